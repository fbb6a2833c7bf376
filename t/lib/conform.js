// Copyright (C) the ngx_http_iclock_module authors

// What the HTTP interface has answered, beside openapi.json:
//
//   node conform.js openapi.json answers
//
// Test::IClock::Answers has written the answers.  Prints how many there are,
// and a line for each kind of fault.  The rules:
//
// - The path is one of the document, the status is told for the operation, and
//   so is the type.  Headers that are told and required are there.
// - JSON is what the schema says, and has no member that it does not tell.
//   That goes for each line of ndjson, which is an item of the list that JSON
//   would be; a CSV has names of such an item on top, and as many values in
//   each row.  What a stream sends is an event, a reset or a farewell.
// - HEAD is GET without its body.  OPTIONS is for browsers, and in no document.
// - A path or a method that is not in the document is a problem, as well.
// - nginx answers by itself, in HTML, what never reached the interface:
//   see nginxes below.
// - What a function of the test itself answers with success may be anything.
// - Of an answer that was cut, head and whole rows count.  One that has no
//   whole head is none.

'use strict';

const fs = require('fs');
const zlib = require('zlib');
const Ajv = require('ajv/dist/2020').default;
const formats = require('ajv-formats').default;

const [document, answers] = process.argv.slice(2);
const doc = JSON.parse(fs.readFileSync(document));
const ajv = new Ajv({ strict: false, allErrors: true });

// a request that cannot be read, and TRACE
const nginxes = [400, 405];

const own = new Set();
const methods = ['get', 'put', 'post', 'patch', 'delete'];


// a member that is not told is wrong, too; the rest of a problem is free

(function close(schema) {
    for (const name in schema) {
        if (schema[name] && typeof schema[name] === 'object') {
            close(schema[name]);
        }
    }

    if (schema.type && [].concat(schema.type).includes('object')
        && Object.keys(schema.properties || {}).length
        && schema.additionalProperties === undefined)
    {
        schema.additionalProperties = false;
    }
})(doc.components.schemas);

formats(ajv);
ajv.addSchema(doc, 'doc');


// the document

const resolve = (o) => o && o.$ref
    ? resolve(o.$ref.slice(2).split('/').reduce((at, name) => at[name], doc))
    : o;

const compiled = new Map();

function check(schema, value) {
    const text = JSON.stringify(schema);

    if (!compiled.has(text)) {
        compiled.set(text, ajv.compile(
            JSON.parse(text.replaceAll('"#/', '"doc#/'))));
    }

    const valid = compiled.get(text);

    if (valid(value)) {
        return '';
    }

    const faults = valid.errors.map((e) => 'body'
        + `${e.instancePath} ${e.message}`
        + (e.params.additionalProperty ? ` like ${e.params.additionalProperty}`
                                       : ''));

    return faults.slice(0, 3).join(', ')
           + (faults.length > 3 ? ` and ${faults.length - 3} more` : '');
}

const templates = Object.keys(doc.paths).map((path) => ({
    path,
    pattern: new RegExp('^' + path.replace(/[.]/g, '\\.')
                                  .replace(/\{\w+\}/g, '[^/]+') + '$'),
})).sort((a, b) => a.path.includes('{') - b.path.includes('{'));

const templateOf = (path) =>
    templates.find(({ pattern }) => pattern.test(path || '/'))?.path;


// one kind of body after the other: what is wrong with it

const item = (schema) => resolve(schema).properties.data.items;

function each(lines, code) {
    for (const [i, line] of lines.entries()) {
        const wrong = code(line);

        if (wrong) {
            return `line ${i + 1}: ${wrong}`;
        }
    }

    return '';
}

function parsed(text, schema) {
    let value;

    try {
        value = JSON.parse(text);
    } catch {
        return `no JSON: ${text.slice(0, 60)}`;
    }

    return check(schema, value);
}

// the values of whole rows, with quotes around those that need them, and what
// cannot be read

function rows(text) {
    const row = /(?:"(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n|$)/gy;
    const all = [[]];
    let at = 0;

    for (const [value, end] of text.matchAll(row)) {
        at += value.length;
        all.at(-1).push(value.slice(0, value.length - end.length));
        end === '\r\n' && all.push([]);
    }

    return [all.slice(0, -1), text.slice(at)];
}

const types = {
    'application/json': (a, text, content) =>
        a.cut ? '' : parsed(text, content.schema),

    'application/problem+json': (a, text, content) =>
        a.cut ? '' : parsed(text, content.schema),

    'application/x-ndjson': (a, text, content, all) => {
        const lines = text.split('\n');
        const last = lines.pop();

        return last && !a.cut
               ? 'the last line has no end'
               : each(lines, (line) =>
                     parsed(line, item(all['application/json'].schema)));
    },

    'text/csv': (a, text, content, all) => {
        const known = resolve(item(all['application/json'].schema)).properties;
        const whole = text.slice(0, text.lastIndexOf('\r\n') + 2);
        const [[head, ...rest], strays] = rows(whole);
        // an end of a line may be one within quotes that the cut left open
        const open = a.cut && /^"(?:[^"]|"")*$/.test(strays);
        const strange = head?.filter((name) => !known[name]);

        return whole !== text && !a.cut ? 'the last line has no end'
               : !head ? (a.cut ? '' : 'no names on top')
               : strange.length ? `no member ${strange}`
               : strays && !open ? `no CSV: ${strays.slice(0, 60).trim()}`
               : each(rest, (row) => row.length === head.length ? ''
                             : `${row.length} values, not ${head.length}`);
    },

    'text/event-stream': (a, text, content, all) => {
        const event = item(all['application/json'].schema);
        const blocks = text.split('\n\n').slice(0, -1);

        return each(blocks, (block) => {
            const field = Object.fromEntries(block.split('\n').map((line) =>
                line.match(/^(\w*): ?(.*)$/)?.slice(1) || ['strange', line]));

            return 'strange' in field ? field.strange
                   : !('data' in field) ? ''
                   : field.event === 'bye' ? parsed(field.data,
                         { type: 'object', maxProperties: 0 })
                   : field.event === 'reset' ? parsed(field.data,
                         { type: 'object', required: ['oldest'] })
                   : parsed(field.data, event);
        });
    },
};


// an answer: what is wrong with it

function wrong(a) {
    const path = a.template && doc.paths[a.template];
    const name = a.method === 'HEAD' ? 'get' : a.method.toLowerCase();
    const operation = path && methods.includes(name) ? path[name] : undefined;

    if (a.method === 'OPTIONS' && a.status === 204) {
        return a.headers['access-control-allow-methods'] ? ''
               : 'says nothing to a browser';
    }

    if (a.type === 'text/html' && !a.headers['x-request-id']
        && nginxes.includes(a.status) && a.text.includes('<hr><center>nginx'))
    {
        return '';
    }

    const told = operation?.responses || {
        '4XX': doc.components.responses.Problem,
        '5XX': doc.components.responses.Problem,
    };
    const response = resolve(told[a.status] || told[`${a.status}`[0] + 'XX']);

    if (!response) {
        return operation ? 'the document does not tell the status'
                         : 'no problem, but the document has no such operation';
    }

    for (const [header, about] of Object.entries(response.headers || {})) {
        const value = a.headers[header.toLowerCase()];
        const { required, schema } = resolve(about);

        if (value === undefined) {
            if (required) {
                return `no header ${header}`;
            }

            continue;
        }

        const said = check(schema, schema.type === 'integer'
                                   && /^\d+$/.test(value) ? +value : value);

        if (said) {
            return `header ${header}: ${value}: ${said}`;
        }
    }

    if (!response.content) {
        return a.text === '' ? '' : 'there is a body';
    }

    const content = response.content[a.type];

    if (!content) {
        return `the document does not tell the type ${a.type}`;
    }

    if (a.method === 'HEAD') {
        return a.text === '' ? '' : 'there is a body';
    }

    if (operation && a.status < 300 && own.has(operation.operationId)) {
        return '';
    }

    return types[a.type] ? types[a.type](a, a.text, content, response.content)
                         : `nobody knows how to read ${a.type}`;
}


// what was written: lengths, and so many bytes

const bytes = fs.readFileSync(answers);
let at = 0;

const number = () => bytes.readUInt32BE((at += 4) - 4);
const text = () => {
    const length = number();

    return bytes.subarray(at, at += length);
};

function next() {
    const method = text().toString('latin1');
    const path = text().toString('latin1').split('?')[0];
    const cut = number();
    const [status, ...lines] = text().toString('latin1').split('\r\n');
    const headers = {};
    let body = text();

    if (method === 'own') {
        own.add(path);
        return null;
    }

    for (const line of lines.filter((l) => l)) {
        const [, key, value] = line.match(/^([^:]+):\s*(.*?)\s*$/);
        headers[key.toLowerCase()] = value;
    }

    if (headers['content-encoding'] === 'gzip' && body.length) {
        body = zlib.gunzipSync(body, {
            finishFlush: zlib.constants.Z_SYNC_FLUSH });
    }

    return { method, path, template: templateOf(path), cut, headers,
             status: +status.split(' ')[1],
             type: (headers['content-type'] || '').replace(/;.*/, ''),
             text: body.toString() };
}

const said = new Map();
let n = 0;

while (at < bytes.length) {
    const a = next();
    const fault = a && wrong(a);

    n += a ? 1 : 0;

    if (fault) {
        const kind = `${a.method} ${a.template || a.path}: ${a.status}: `
                     + fault.replace(/\/\d+\b/g, '/n');
        const first = said.get(kind);

        said.set(kind, { line: first?.line || `${a.method} ${a.path}: `
                         + `${a.status}: ${fault}`,
                         times: (first?.times || 0) + 1 });
    }
}

console.log(n);

for (const { line, times } of said.values()) {
    console.log(times > 1 ? `${line} (${times} times)` : line);
}
