// Copyright (C) the ngx_http_iclock_module authors

// What the page says when something does not work, and that it goes on by
// itself.

'use strict';

module.exports = async (t) => {
    await t.sql(`select iclock.register_device('FAULT00001', 'Gate 1', 'Pune',
                                               'Asia/Kolkata');
                 update iclock.device set last_seen = now()`);

    let tab = await t.signIn('#/fleet');

    tab.allow(/ERR_|Failed to load|50[0-9]/);
    await tab.see('Gate 1');

    // an all-clear, as long as all is known

    await tab.goto('#/problems');
    await tab.see(/Nothing needs you\. 1 device, 0 lines, 0 missing\. Checked/,
                  'nothing is wrong: said so');
    await tab.axe('nothing is wrong');

    const without = await t.open('#/problems');

    without.allow(/503/);
    await without.enter(await t.makeKey({ name: 'still',
        scopes: ['devices:read', 'logs:read', 'commands:read'] }));

    await without.see(/Nothing needs you\. 1 device, 0 lines/,
                      'also to a key that may have no stream');
    await t.close(without);

    // and no longer, when it is the stream that is refused: it may be old

    let refused = { status: 503, code: 'unavailable', detail: 'No room' };
    let kept = true;
    const answer = (request, body) => request.respond({ status: body.status,
        headers: { 'Retry-After': '5' }, body: JSON.stringify(body),
        contentType: 'application/problem+json' });
    const refuse = (request) => {
        if (/event-stream/.test(request.headers().accept)) {
            answer(request, refused);
        } else if (!kept && /events\?after/.test(request.url())) {
            answer(request, { status: 410, code: 'gone', detail: 'Gone' });
        } else {
            request.continue().catch(() => null);
        }
    };

    await tab.page.setRequestInterception(true);
    tab.page.on('request', refuse);
    await t.nginx('reload');
    await tab.see('Live updates are used up by other windows;'
                  + ' refreshing every 10 s.', 'stream, 503: words');
    await tab.until(() => /Not known since/.test(
        document.querySelector('main').innerText));
    t.unlike(await tab.body(), /Nothing needs you/,
             'no all-clear while there is no stream');
    await tab.axe('a stream that is refused');
    await tab.goto('#/fleet');
    await tab.see('Gate 1');
    await t.wait('not known', async () => /Not known since/.test(
        await tab.text('main')), 2);
    t.unlike(await tab.body(), /Nothing needs you/, 'nor of the fleet');
    await tab.goto('#/live');
    await tab.see('Refreshed every 10 s');
    await tab.settled();
    await t.device('FAULT00001', 'handshake');
    await t.device('FAULT00001', 'punches', '1001\t2026-11-20 15:11:02\t0\t1');
    await tab.see('1001', 'what happens is asked for');

    // from now on, if it is too long ago

    kept = false;
    await t.wait('another place', async () =>
        tab.asked('GET', /\/events\?limit/).length > 0);
    t.ok(true, 'events that are not kept any more: it goes on behind them');

    // not of this address: which may be another one soon

    refused = { status: 403, code: 'address', detail: 'Not from here' };
    await t.wait('a 403', async () => tab.answers.some((each) =>
        /^403 .*events$/.test(each)));
    tab.page.off('request', refuse);
    await tab.page.setRequestInterception(false);
    await tab.see(/Live, \d+ a minute/, 'the stream is there again');
    await tab.goto('#/problems');
    await tab.see('Nothing needs you.', 'and so is the all-clear');

    // which is of no more than what the key may read

    for (const [scope, ...chips] of [
        ['logs:read', 'Lines not stored', 'Punches missing'],
        ['commands:read', 'Commands'],
    ]) {
        const other = await t.open('#/problems');

        // a busy machine may have no answer within 5 s
        other.allow(/503/);
        await other.enter(await t.makeKey({
            name: `no ${scope}`, scopes: ['devices:read', 'logs:read',
                'commands:read', 'events:read'].filter((s) => s !== scope) }));
        await other.see('Nothing that your key may read needs you. 1 device.',
                        `${scope}: the all-clear is of the rest`);
        t.unlike(await other.body(), /\b0 (?:lines|missing)/,
                 `${scope}: nothing is said of what was not read`);
        t.is((await other.text('.chip')).split('\n').filter((chip) =>
                 !/ \d+$/.test(chip)), chips,
             `${scope}: what was not read has no number`);
        t.is(await other.page.title(), 'Problems, iclock',
             `${scope}: nor has the title`);
        await t.close(other);
    }

    await tab.goto('#/fleet');
    await tab.see('Gate 1');

    // the database is away

    // what is told by voice stays until there is something else to tell
    const bars = () => tab.text('.bars');

    // asked for every 15 s, when nothing else is
    await t.postgres('stop');
    await t.wait('words', async () => (await bars()).includes(
        'The database does not answer. Terminals keep their punches; nothing'
        + ' is lost.'), 4);
    t.ok(true, 'the database is away: words');
    await tab.see('Gate 1', 'the list stays');
    await tab.until(() => /Not known since \d\d:\d\d:\d\d\./.test(
        document.querySelector('main h1').innerText));
    t.like(await tab.text('main .updated'), /^Updated \d\d:\d\d:\d\d$/,
           'and with its age');
    t.unlike(await tab.text('main h1'), /online|Nothing needs you/,
             'without an all-clear');
    await tab.looks('fault-database');
    await t.postgres('start');
    await t.wait('recovery', async () => await bars() === '', 4);
    t.ok(true, 'it recovers alone');
    // whose device may have been silent for long
    await tab.until(() => /The active device is online|1 device is silent/.test(
        document.querySelector('main h1').innerText));
    t.ok(true, 'and has its verdict again');

    // nginx is reloaded and restarted while somebody types

    await tab.goto('#/people');
    await tab.see('Add person…');
    await tab.click('Add person…');
    await tab.fill('PIN', '4711');
    await tab.fill('Name', 'Lata Shah');
    await t.nginx('reload');
    await t.nginx('stop');
    await tab.see('No connection to the server.', 'nginx is away: words');
    await tab.looks('fault-offline');
    await t.nginx('start');
    await t.wait('recovery', async () => await bars() === '', 4);
    t.is(await tab.page.evaluate(() => [...document.querySelectorAll(
             '.panel input')].slice(0, 2).map((field) => field.value)),
         ['4711', 'Lata Shah'], 'what was typed is there');

    // and comes back as a newer one

    await tab.page.evaluate(() => {
        const { fetch } = globalThis;

        globalThis.fetch = async (where, option) => {
            const answer = await fetch(where, option);

            if (!String(where).endsWith('/key')) {
                return answer;
            }

            const who = await answer.json();

            who.server.version = '99.0.0';
            return new Response(JSON.stringify(who), answer);
        };
    });
    await tab.see(/Live/);
    await t.nginx('reload');
    await tab.see('The server was upgraded.', 'a newer server: said so');
    await t.close(tab);

    // an error of the server, and slow answers

    tab = await t.open('#/people');
    tab.allow(/50[03]|429/);
    await tab.page.setRequestInterception(true);

    // or 'rate', or 'gateway': a proxy without a server; or 'hold': those that
    // are held wait for a release; 'away' is of who has signed in
    let how = 'fail';
    const held = [];
    const release = () => {
        how = 'pass';
        held.splice(0).forEach((request) =>
            request.continue().catch(() => null));
    };

    tab.page.on('request', (request) => {
        if (how === 'away' && request.url().endsWith('/v1/key')) {
            request.respond({ status: 503,
                contentType: 'application/problem+json',
                body: JSON.stringify({ status: 503, code: 'unavailable',
                                       detail: 'Restarted' }) });
        } else if (how === 'gateway' && request.url().includes('/v1/')) {
            request.respond({ status: 502, contentType: 'text/html',
                              body: '<h1>Bad Gateway</h1>' });
        } else if (how === 'pass' || !request.url().includes('/v1/users')) {
            request.continue().catch(() => null);
        } else if (how === 'fail') {
            request.respond({ status: 500,
                contentType: 'application/problem+json',
                headers: { 'X-Request-Id': '3f2a9c' },
                body: JSON.stringify({ status: 500, code: 'internal',
                                       detail: 'Something failed' }) });
        } else if (how === 'rate') {
            how = 'pass';
            request.respond({ status: 429, headers: { 'Retry-After': '7' },
                contentType: 'application/problem+json',
                body: JSON.stringify({ status: 429, code: 'rate_limited',
                                       detail: 'Too many' }) });
        } else {
            held.push(request);
        }
    });
    await tab.enter(t.key);
    await tab.see('request 3f2a9c stands in its error log',
                  '500: the number of the request');
    await tab.looks('fault-500');

    // too many requests: as long as the server says, and not a word longer

    const { identifier } = await tab.page.evaluateOnNewDocument(() => {
        globalThis.said = new Set();
        new MutationObserver(() => document.querySelectorAll('.bars, main')
            .forEach((e) => globalThis.said.add(e.tagName + e.textContent)))
            .observe(document, { subtree: true, childList: true,
                                 characterData: true });
    });

    how = 'rate';
    await tab.page.reload();
    await tab.see('No people yet.', '429: it goes on by itself');
    await t.wait('no bar', async () => await bars() === '');
    t.unlike(await tab.text('main'), /Too many/, 'and nothing is left of it');

    const said = await tab.page.evaluate(() => [...globalThis.said].join('\n'));
    const words = 'Too many requests for this key; going on in';

    t.like(said, new RegExp(`^MAIN.*${words} 7 s\\.`, 'm'),
           '429: words, and for how long');
    t.like(said, new RegExp(`^SECTION${words} \\d s\\.`, 'm'), 'and a bar');
    await tab.page.removeScriptToEvaluateOnNewDocument(identifier);

    // all that is drawn, and then moves
    await tab.page.evaluateOnNewDocument(() => {
        globalThis.shifts = [];
        new PerformanceObserver((list) => globalThis.shifts.push(
            ...list.getEntries().map((shift) => [shift.value, shift.sources
                .map(({ node }) => node?.className || node?.nodeName)])))
            .observe({ type: 'layout-shift', buffered: true });
    });

    const still = async () => {
        await tab.frames();
        await tab.frames();
        await tab.page.evaluate(() => globalThis.shifts.splice(0));
    };

    for (const slow of ['slow', 'very slow']) {
        how = 'hold';
        await tab.page.reload();
        await tab.until(() => document.querySelector('.bone'));
        t.ok(true, `${slow}: bars`);
        await still();

        // after 8 s
        if (slow === 'very slow') {
            await tab.see('Still waiting for the server.', 'and words');
            await tab.looks('fault-slow');
            await still();
        }
        release();
        await tab.see('No people yet.', 'and the answer');
        await tab.frames();
        t.unlike(await tab.text('main'), /Still waiting/,
                 `${slow}: in their place`);
        t.is(await tab.page.evaluate(() => globalThis.shifts), [],
             `${slow}: nothing has moved`);
    }

    // neither a moment before: timers of 200 ms and of 8 s end when the test
    // says so

    const timers = await tab.page.evaluateOnNewDocument(() => {
        const { setTimeout, clearTimeout } = globalThis;
        const ends = globalThis.ends = new Map();
        let ids = 1e9;

        globalThis.setTimeout = (f, ms, ...more) => ms === 200 || ms === 8000
            ? ends.set(++ids, { f, ms }) && ids : setTimeout(f, ms, ...more);
        globalThis.clearTimeout = (id) =>
            ends.delete(id) || clearTimeout(id);
    });
    const end = (ms) => tab.page.evaluate((ms) =>
        globalThis.ends.forEach((each) => each.ms === ms && each.f()), ms);
    const drawn = () => tab.page.evaluate(() =>
        [document.querySelector('.bone') !== null,
         /Still waiting/.test(document.querySelector('main').innerText)]);

    how = 'hold';
    await tab.page.reload();
    await t.wait('a list is asked for', () => held.length > 0);
    await tab.frames();
    t.is(await drawn(), [false, false], 'before 200 ms: no bars');
    await end(200);
    t.is(await drawn(), [true, false], 'before 8 s: no words');
    await end(8000);
    t.is(await drawn(), [true, true], 'after that: both');
    release();
    await tab.see('No people yet.');
    await tab.page.removeScriptToEvaluateOnNewDocument(timers.identifier);

    // a proxy whose server does not answer

    tab.allow(/502/);
    how = 'gateway';
    await tab.goto('#/commands');
    await tab.see('No connection to the server.', '502 of a proxy: words');
    t.unlike(await tab.body(), /something else than the API/,
             'it is not the configuration');
    release();
    await tab.see('Nothing is under way.', '502: it goes on by itself');
    await t.wait('no bar', async () => await bars() === '');
    await tab.goto('#/people');
    await tab.see('No people yet.');

    // answers that are not of the API, or have no end

    await tab.page.reload();
    await tab.see('No people yet.');
    await tab.page.evaluate(() => {
        const { fetch } = globalThis;
        const answers = {
            html: () => new Response('<h1>Welcome</h1>', {
                headers: { 'Content-Type': 'text/html' } }),
            large: () => new Response(new ReadableStream({
                pull(out) {
                    out.enqueue(new Uint8Array(1 << 20));
                },
                cancel() {
                    globalThis.given = 'up';
                },
            }), { headers: { 'Content-Type': 'application/json' } }),
        };

        globalThis.fetch = async (where, option) =>
            /\/v1\/users/.test(where) ? answers[globalThis.kind]()
                                      : fetch(where, option);
    });

    for (const [kind, words] of [
        ['html', 'The server answered something else than the API. Is "api="'
         + ' of iclock_console right?'],
        ['large', 'The answer is larger than 16 MB and was not read.'],
    ]) {
        await tab.goto('#/settings');
        await tab.page.evaluate((kind) => {
            globalThis.kind = kind;
        }, kind);
        await tab.goto('#/people');
        await tab.see(words, `an answer, ${kind}: words`);
    }
    t.is(await tab.page.evaluate(() => globalThis.given), 'up',
         'and the rest of it is not waited for');

    // a view that is gone to before it is known who has signed in

    for (const [where, words] of [['#/live', '1001'], ['#/fleet', 'Gate 1']]) {
        how = 'away';
        await tab.page.reload();
        await tab.see('Try again');
        await tab.goto(where);
        await tab.frames();
        t.unlike(await tab.text('main'), /may not open/,
                 `${where}: the key is not blamed`);
        release();
        await tab.see(words, `${where}: it opens by itself`);
    }
    await t.close(tab);

    // A key that has used up its requests, one a second: they have to add up,
    // as a view needs several.

    const slow = await t.makeKey({ name: 'slow', rate: 60 });
    const ask = async () => {
        const response = await fetch(`${t.origin}/v1/key`,
            { headers: { Authorization: `Bearer ${slow}` } });

        await response.arrayBuffer();
        return response.status;
    };

    tab = await t.signIn('#/settings', { key: slow });
    tab.allow(/429|503/);
    await tab.until(() =>
        document.querySelector('.stream').dataset.state === 'live');
    await tab.settled();
    await t.sql(`insert into iclock.rejected_line (device_id, table_name, line,
                                                   reason)
                 select id, 'ATTLOG', 'x', 'no such date'
                   from iclock.device where serial_number = 'FAULT00001'`);
    for (let n = 0; n < 100 && await ask() === 200; n++) {
        // as long as it has some
    }
    await tab.goto('#/problems');
    await tab.see('Gate 1: 1 line', 'a key without requests: it goes on');
};
