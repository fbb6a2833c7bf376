// Copyright (C) the ngx_http_iclock_module authors

// Runs one file of t/console: node harness.js <name> <what JSON says>.
// Test::IClock::Browser is the other side of stdin and stdout.
//
// A test exports an async function that gets this object:
//
//   module.exports = async (t) => {
//       const tab = await t.signIn('#/fleet');
//       await tab.see('All 1 active devices are online');
//       t.is(await t.sql('select 1'), '1', 'a name');
//   };

'use strict';

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const puppeteer = require('puppeteer-core');

const Tab = require('./tab.js');

const [name, text] = process.argv.slice(2);
const given = JSON.parse(text);


// the other side

let asked = 0;
const waiting = new Map();

function say(what) {
    fs.writeSync(1, JSON.stringify(what) + '\n');
}


function ask(what, ...args) {
    return new Promise((resolve, reject) => {
        waiting.set(++asked, { resolve, reject });
        say({ id: asked, ask: what, args });
    });
}


const input = readline.createInterface({ input: process.stdin });

input.on('line', (line) => {
    const answer = JSON.parse(line);
    const { resolve, reject } = waiting.get(answer.id);

    waiting.delete(answer.id);
    answer.error ? reject(new Error(answer.error)) : resolve(answer.value);
});

// nobody is left who wants to know

input.on('close', () => process.exit(1));


// What the interface has answered to a page, for conform.js, as
// Test::IClock::Answers writes it.  What a test answers in its place has no
// Server, and a stream has no end.

const hearing = new Set();

async function heard(response) {
    const url = new URL(response.url());
    const [, path] = url.pathname.match(/^(?:\/x[^/]*)?\/v1(\/.*|)$/) || [];
    const headers = response.headers();

    if (!given.answers || path === undefined
        || !/^nginx/.test(headers.server))
    {
        return;
    }

    const type = headers['content-type'] || '';
    let body = type.startsWith('text/event-stream') ? undefined : '';

    // a page that goes elsewhere may have had no more than the head
    if (body === '' && type) {
        body = await response.buffer().catch(() => undefined);
    }

    // the browser has unpacked it
    delete headers['content-encoding'];

    const head = [`HTTP/1.1 ${response.status()}`,
                  ...Object.entries(headers).map(([name, value]) =>
                      `${name}: ${value.replace(/\n/g, ', ')}`), '', ''];
    const text = (value) => {
        const bytes = Buffer.from(value);

        return [number(bytes.length), bytes];
    };
    const number = (value) => {
        const bytes = Buffer.alloc(4);

        bytes.writeUInt32BE(value);
        return bytes;
    };

    fs.appendFileSync(given.answers, Buffer.concat([
        ...text(response.request().method()), ...text(path),
        number(body === undefined ? 1 : 0), ...text(head.join('\r\n')),
        ...text(body ?? '')]));
}


// what tests get

const t = {
    name,
    key: given.key,
    origin: `http://127.0.0.1:${given.port}`,
    patience: 60000 * given.patience,
    tabs: [],

    // a test goes on after something is wrong
    ok(ok, about, diag) {
        say({ ok: !!ok, name: about, diag: String(diag ?? '') });
        return !!ok;
    },

    is(got, expected, about) {
        const g = JSON.stringify(got), e = JSON.stringify(expected);
        return t.ok(g === e, about, `got ${g}\nexpected ${e}`);
    },

    like(got, pattern, about) {
        return t.ok(pattern.test(got), about, `${got}\nis not like ${pattern}`);
    },

    unlike(got, pattern, about) {
        return t.ok(!pattern.test(got), about, `${got}\nis like ${pattern}`);
    },

    heard(response) {
        const promise = heard(response).finally(() => hearing.delete(promise));

        hearing.add(promise);
    },

    note(text) { say({ note: String(text) }) },

    sql: (text) => ask('sql', text),
    makeKey: (option = {}) => ask('key', option),
    device: (sn, call, ...args) => ask('device', sn, call, ...args),
    terminal: (sn, call, ...args) => ask('terminal', sn, call, ...args),
    api: (...args) => ask('api', ...args),
    postgres: (call) => ask('postgres', call),
    nginx: (call, ...args) => ask('nginx', call, ...args),
    accessLog: () => ask('access_log'),
    errorLog: () => ask('error_log'),

    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),

    // until the function says something true
    async wait(what, code, times = 1) {
        const until = Date.now() + times * t.patience;

        for ( ;; ) {
            const value = await code();

            if (value) {
                return value;
            }

            if (Date.now() > until) {
                throw new Error(`waited in vain: ${what}`);
            }

            await t.sleep(50);
        }
    },

    // A browser without memory.  Options: width, height, dark, touch, language,
    // timezone, prepare (gets the page before it loads).
    async open(where = '', option = {}) {
        const context = option.context
                        || await t.browser.createBrowserContext();
        const tab = await Tab.make(t, context, option);

        t.tabs.push(tab);
        await tab.goto(where);

        return tab;
    },

    // what was wrong in a tab is told, whenever it ends
    told(tab, about = 'a tab') {
        t.is(tab.messages, [], `${about}: no message on the console`);
        t.is(tab.foreign, [], `${about}: no request to another origin`);
    },

    async close(tab, about) {
        t.tabs.splice(t.tabs.indexOf(tab), 1);
        t.told(tab, about);
        await (tab.shared ? tab.page : tab.context).close();
    },

    // and signed in with the key that may do everything, or another
    async signIn(where = '', option = {}) {
        const tab = await t.open(where, option);

        await tab.enter(option.key || t.key);
        return tab;
    },

    picture: (file) => path.join(given.pictures, file + '.png'),
};


async function main() {
    t.browser = await puppeteer.launch({
        // the same engine without the windows: half the work of a test
        executablePath: process.env.CHROMIUM
            || '/usr/bin/chromium-headless-shell',
        userDataDir: path.join(given.dir, 'profile'),
        headless: 'shell',
        pipe: true,
        protocolTimeout: 180000 * given.patience,
        timeout: 120000 * given.patience,
        args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
               '--disable-extensions', '--disable-background-networking',
               '--font-render-hinting=none', '--force-color-profile=srgb',
               '--no-first-run', '--hide-scrollbars',
               // a name that is not of the machine itself, without TLS
               '--host-resolver-rules=MAP terminals.test 127.0.0.1'],
    });

    try {
        await require(path.join(__dirname, '..', name + '.js'))(t);

    } catch (error) {
        t.ok(false, 'nothing is thrown', error.stack);

        for (const tab of t.tabs) {
            t.note(await tab.body().catch(() => 'no page'));
            await tab.page.screenshot({ path: t.picture(`failed-${name}`) })
                .catch(() => null);
        }
    }

    t.tabs.forEach((tab) => t.told(tab));

    // one that has not come by now does not come
    await Promise.race([Promise.all(hearing), t.sleep(1000)]);
    await t.browser.close();
    fs.rmSync(path.join(given.dir, 'profile'),
              { recursive: true, force: true, maxRetries: 10 });
    say({ end: 1 });
    process.exit(0);
}


main().catch((error) => {
    t.ok(false, 'the browser starts', error.stack);
    process.exit(1);
});
