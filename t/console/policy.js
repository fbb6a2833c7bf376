// Copyright (C) the ngx_http_iclock_module authors

// The bytes of the page and its policy: hashes, headers, what strangers put
// into it, and pages that put it into theirs.

'use strict';

const crypto = require('crypto');
const http = require('http');
const zlib = require('zlib');

const sha256 = (text) =>
    'sha256-' + crypto.createHash('sha256').update(text).digest('base64');


function get(url, method = 'GET', headers = {}) {
    return new Promise((resolve, reject) => {
        http.request(url, { method, headers }, (res) => {
            const parts = [];

            res.on('data', (part) => parts.push(part));
            res.on('end', () => resolve({ status: res.statusCode,
                                          headers: res.headers,
                                          body: Buffer.concat(parts) }));
        }).on('error', reject).end();
    });
}


module.exports = async (t) => {
    const url = `${t.origin}/console`;

    // sizes and hashes

    const plain = await get(url);
    const zipped = await get(url, 'GET', { 'Accept-Encoding': 'gzip' });
    const html = plain.body.toString();

    t.is(plain.status, 200, 'the page is there');
    t.ok(plain.body.length <= 250000, 'at most 250 kB', plain.body.length);
    t.ok(zipped.body.length <= 72000, 'at most 72 kB with gzip',
         zipped.body.length);
    t.note(`${plain.body.length} bytes, ${zipped.body.length} with gzip`);
    t.is(zlib.gunzipSync(zipped.body).equals(plain.body), true,
         'gzip has the same bytes');

    const policy = plain.headers['content-security-policy'];
    const of = (tag) => [...html.matchAll(
        new RegExp(`<${tag}[^>]*>([^]*?)</${tag}>`, 'g'))].map((m) => m[1]);

    const scripts = of('script'), styles = of('style');

    t.is([scripts.length, styles.length], [1, 1], 'one script, one style');
    t.is(policy, `default-src 'none'; script-src '${sha256(scripts[0])}';`
        + ` style-src '${sha256(styles[0])}'; img-src data:;`
        + ` connect-src 'self'; base-uri 'none'; form-action 'none';`
        + ` frame-ancestors 'none'; require-trusted-types-for 'script';`
        + ` trusted-types 'none'`, 'the policy, with the hashes of these');

    // headers, byte for byte, whatever the answer

    const expected = {
        'content-security-policy': policy,
        'x-frame-options': 'DENY',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
        'permissions-policy': 'camera=(), microphone=(), geolocation=(),'
                              + ' usb=(), payment=()',
    };

    const answers = {
        GET: plain,
        gzip: zipped,
        HEAD: await get(url, 'HEAD'),
        304: await get(url, 'GET', { 'If-None-Match': plain.headers.etag }),
        405: await get(url, 'POST'),
    };

    for (const [name, answer] of Object.entries(answers)) {
        const its = Object.fromEntries(Object.keys(expected).map((header) =>
            [header, answer.headers[header]]));

        t.is(its, expected, `headers of ${name}`);
        t.is(answer.headers['cross-origin-opener-policy'], undefined,
             `${name}: no opener policy without TLS`);
    }

    t.is(answers[304].status, 304, 'it has not changed');
    t.is(answers[405].status, 405, 'it cannot be posted to');
    t.is(answers.HEAD.headers['content-length'], String(plain.body.length),
         'HEAD has the length');
    t.is(plain.headers['cache-control'], 'no-cache', 'asked for each time');
    t.like(plain.headers.vary || '', /Accept-Encoding/i, 'Vary');

    // what is put into the page does nothing

    const tab = await t.open();

    tab.allow(/Content Security Policy|Trusted|inline/i);
    await tab.see('API key');

    const tried = await tab.page.evaluate(async () => {
        const said = {};

        const script = document.createElement('script');
        try {
            script.text = 'globalThis.owned = 1';
        } catch (error) {
            said.text = error.name;
        }
        document.body.append(script);

        const act = document.createElement('button');
        try {
            act.setAttribute('onclick', 'globalThis.owned = 2');
        } catch (error) {
            said.onclick = error.name;
        }
        document.body.append(act);
        act.click();

        const bright = document.createElement('p');
        bright.setAttribute('style', 'color: rgb(1, 2, 3)');
        document.body.append(bright);
        said.colour = getComputedStyle(bright).color;

        const sheet = document.createElement('style');
        sheet.append('p { color: rgb(1, 2, 3) }');
        document.body.append(sheet);
        said.sheet = getComputedStyle(bright).color;

        try {
            bright.innerHTML = '<b>x</b>';
        } catch (error) {
            said.html = error.name;
        }

        // not eval(): what the browser is told to run here may
        try {
            setTimeout('globalThis.owned = 3');
        } catch (error) {
            said.timeout = error.name;
        }

        await new Promise((resolve) => setTimeout(resolve, 100));
        said.owned = globalThis.owned ?? null;
        return said;
    });

    t.is(tried.owned, null, 'no foreign script ran');
    t.is(tried.html, 'TypeError', 'innerHTML takes no text');
    t.ok(!/1, 2, 3/.test(tried.colour + tried.sheet), 'no foreign style',
         JSON.stringify(tried));

    // in the page of another

    const frame = http.createServer((req, res) => {
        res.setHeader('Content-Type', 'text/html');
        res.end(`<iframe src="${url}"></iframe>`);
    });

    await new Promise((resolve) => frame.listen(0, '127.0.0.1', resolve));

    const other = await t.browser.newPage();

    await other.goto(`http://127.0.0.1:${frame.address().port}/`);

    const inner = other.frames().find((f) => f !== other.mainFrame());
    const words = await inner.evaluate(() => document.body?.innerText ?? '')
        .catch(() => '');

    t.unlike(words, /API key/, 'not inside of another page');
    await other.close();
    frame.close();

    // an interface in another place, whose name may be another text in HTML

    for (const [page, api] of [['elsewhere', '/x/v1'],
                               ['escaped', '/x&amp/v1']])
    {
        const away = await t.open(`${t.origin}/${page}`);

        await away.enter(t.key);
        await away.see('No devices yet.',
                       `${page}: the interface is where "api" says`);
        await away.settled();
        t.is(away.requests.filter((r) => /\/v1/.test(r)
                 && !r.includes(t.origin + api + '/')), [],
             'and nowhere else');
        await t.close(away, page);
    }
};
