// Copyright (C) the ngx_http_iclock_module authors

// What the page asks of the server while nothing happens, by a clock that goes
// when the test says so.

'use strict';

// In the page: a second and more pass by go() alone, there and at the server.

const clock = () => {
    const began = Date.now();
    const { setTimeout, clearTimeout, setInterval, fetch } = globalThis;
    const timers = new Map();
    const streams = new Set();
    const beat = new TextEncoder().encode(': \n\n');
    let at = 0, ids = 1e9;

    const later = (f, ms, each) => {
        timers.set(++ids, { f, at: at + ms, each });
        return ids;
    };

    Date.now = () => began + at;
    globalThis.setTimeout = (f, ms, ...more) => ms >= 1000
        ? later(() => f(...more), ms, 0) : setTimeout(f, ms, ...more);
    globalThis.setInterval = (f, ms, ...more) => ms >= 1000
        ? later(() => f(...more), ms, ms) : setInterval(f, ms, ...more);
    globalThis.clearTimeout = globalThis.clearInterval = (id) =>
        timers.delete(id) || clearTimeout(id);
    AbortSignal.timeout = (ms) => {
        const stop = new AbortController();

        later(() => stop.abort(), ms, 0);
        return stop.signal;
    };

    // what listens
    const heard = globalThis.heard = { abort: 0, scroll: 0 };

    for (const [name, n] of [['add', 1], ['remove', -1]]) {
        const listener = `${name}EventListener`;
        const its = EventTarget.prototype[listener];

        EventTarget.prototype[listener] = function (type, ...more) {
            if (type in heard) {
                heard[type] += n;
            }
            return its.call(this || globalThis, type, ...more);
        };
    }

    // what streams say between their events, when nothing happens
    const alive = (body, signal) => body.pipeThrough(new TransformStream({
        start(out) {
            streams.add(out);
            signal.addEventListener('abort', () => streams.delete(out));
        },
        transform(part, out) {
            out.whole = part.at(-1) === 10 && part.at(-2) === 10;
            out.enqueue(part);
        },
    }));

    globalThis.fetch = async (where, option) => {
        const answer = await fetch(where, option);
        const headers = new Headers(answer.headers);

        headers.set('Date', new Date(began + at).toUTCString());
        return new Response(/event-stream/.test(headers.get('Content-Type'))
            ? alive(answer.body, option.signal) : answer.body,
            { status: answer.status, headers });
    };

    // events that the server has not sent
    globalThis.tell = (events) => {
        const text = events.map((event) => `event: ${event.type}\n`
            + `data: ${JSON.stringify(event)}\n\n`).join('');

        for (const out of streams) {
            if (out.whole) {
                out.enqueue(new TextEncoder().encode(text));
            }
        }
    };

    globalThis.go = (ms) => {
        const end = at + ms;

        for (const out of streams) {
            if (out.whole) {
                out.enqueue(beat);
            }
        }

        for ( ;; ) {
            const [id, next] = [...timers].sort((a, b) => a[1].at - b[1].at)[0]
                               || [0, { at: Infinity }];

            if (next.at > end) {
                break;
            }

            at = next.at;
            timers.delete(id);
            if (next.each) {
                timers.set(id, { ...next, at: at + next.each });
            }
            next.f();
        }
        at = end;
    };

    let hidden = false;

    Object.defineProperty(document, 'hidden', { get: () => hidden });
    globalThis.hide = (is) => {
        hidden = is;
        document.dispatchEvent(new Event('visibilitychange'));
    };
};


module.exports = async (t) => {
    await t.sql(`select iclock.register_device('REST' || to_char(n, 'FM0000'),
        'Door ' || n, 'Pune', 'Asia/Kolkata')
        from generate_series(1, 60) as n;
        update iclock.device set last_seen = now()`);

    // one whose list has three pages
    const many = (is) => t.sql(is
        ? `insert into iclock.device (serial_number, name, site, timezone,
                                      status, last_seen)
           select 'SOME' || n, 'Some ' || n, 'Pune', 'Asia/Kolkata', 'active',
                  now() from generate_series(10000, 12499) as n`
        : `delete from iclock.device where serial_number like 'SOME%'`);

    const tab = await t.signIn('#/fleet', {
        prepare: (page) => page.evaluateOnNewDocument(clock) });

    const go = async (seconds) => {
        for (let i = 0; i < seconds; i += 5) {
            await tab.page.evaluate(() => globalThis.go(5000));
            await tab.settled();
        }
    };

    // what is asked in a minute, by what it is
    const minutes = async (n) => {
        const had = tab.requests.length;

        await go(60 * n);
        return tab.requests.slice(had).filter((r) => r.includes('/v1/'));
    };

    const count = (asked) => {
        const all = asked.map((r) => r.replace(/.*\/v1|\?.*/g, '')).sort();

        return [...new Set(all)].map((what) =>
            `${all.filter((r) => r === what).length} ${what}`).join(', ');
    };

    const few = async (about, most, n = 1) => {
        const asked = await minutes(n);

        t.note(`${about}: ${count(asked)}`);
        t.ok(asked.length <= most * n, `${about}: at most ${most} a minute`,
             count(asked));
        t.ok(asked.length > 0, `${about}: some`);
    };

    const views = ['fleet', 'devices/REST0001', 'live', 'people', 'commands',
                   'problems', 'settings'];

    const heard = () => tab.page.evaluate(() => globalThis.heard);

    // nothing is under way

    for (const view of views) {
        await tab.goto('#/' + view);
        await tab.settled();
        await go(5);

        const before = await heard();

        await few(view, 12);
        t.is(await heard(), before, `${view}: no more listeners`);
    }

    // nor of a list that was left before it came

    const before = await heard();
    const late = await tab.hold(/v1\/users/);

    await tab.goto('#/people');
    await t.wait('it is asked for', async () => late.all.length > 0);
    await tab.goto('#/settings');
    await late();
    await go(10);
    t.is(await heard(), before, 'a list that was left: no more listeners');

    // much happens: it is asked for together, in 10 s

    const busy = async (view, path, most, event) => {
        await tab.goto('#/' + view);
        await tab.settled();

        const had = tab.requests.length;

        for (let i = 0; i < 60; i += 5) {
            await tab.page.evaluate((i, event) => {
                globalThis.tell([1, 2, 3, 4, 5].map((n) => ({
                    event_id: `${event.type} ${i + n}`,
                    created_at: new Date().toISOString(),
                    device: { id: 'REST' + `${i + n}`.padStart(4, '0') },
                    ...event,
                })));
                // it is painted four times a second
                return new Promise((resolve) => setTimeout(resolve, 510));
            }, i, event);
            await tab.page.evaluate(() => globalThis.go(800));
        }
        await tab.settled();

        const asked = tab.requests.slice(had).filter((r) =>
            r.includes('/v1/'));
        const its = asked.filter((r) => r.includes(path)).length;

        t.note(`${view}, much happens: ${count(asked)}`);
        t.ok(asked.length <= 20, `${view}, much happens: at most 20`,
             count(asked));
        t.ok(its > 0 && its <= most,
             `${view}, much happens: at most ${most} of ${path}`, its);
    };

    await busy('commands', '/v1/commands?', 6, { type: 'command.finished' });
    await busy('people', '/v1/users?', 3, { type: 'user.updated' });
    await busy('devices/REST0001', '/v1/logs?', 4,
               { type: 'attendance.punch', device: { id: 'REST0001' } });

    // punches of ten minutes ago, of a stream that goes on: no rate

    await tab.goto('#/live');
    await tab.settled();
    await go(65);
    await tab.page.evaluate(() => globalThis.tell([0, 600].map((ago) => {
        const at = new Date(Date.now() - ago * 1000).toISOString();

        return { event_id: `late ${ago}`, type: 'attendance.punch',
                 created_at: at, device: { id: 'REST0001' },
                 user: { id: `LATE${ago}` },
                 punch: { type: 'CheckIn', method: 'Pin', timestamp: at,
                          local_time: at.slice(0, 19), status: 0,
                          verify: 1 } };
    })));
    await tab.see('LATE600');
    t.like(await tab.text('.head'), /Live, 1 a minute/,
           'what comes late is not of this minute');

    // problems: when the summary tells of a change, and within a minute when
    // it does not

    await tab.goto('#/problems');
    await tab.page.evaluate(() => {
        const { fetch } = globalThis;

        globalThis.lines = 0;
        globalThis.fetch = async (where, option) => {
            const answer = await fetch(where, option);

            return String(where).endsWith('/summary')
                ? new Response(JSON.stringify({ ...await answer.json(),
                      rejected_24h: globalThis.lines }), answer) : answer;
        };
    });
    await go(20);

    const read = () => tab.asked('GET', /\/rejected/).length;
    const had = read();

    await tab.page.evaluate(() => {
        globalThis.lines = 7;
    });
    await go(20);
    t.ok(read() > had, 'a number has changed: lists are read');
    await t.sql(`insert into iclock.rejected_line (device_id, table_name, line,
                                                   reason)
                 select id, 'ATTLOG', 'x', 'no such date' from iclock.device
                  where serial_number = 'REST0001'`);
    await go(60);
    t.like(await tab.text('main'), /Door 1: 1 line/,
           'none has changed: within a minute');
    await t.sql('truncate iclock.rejected_line');
    await tab.page.reload();
    await tab.settled();

    // a command that waits, and is followed

    await tab.goto('#/devices/REST0001');
    await tab.click('Set clock', 'main button');
    await tab.see('Door 1 is asked to take the time of the server.');
    for (const view of views) {
        await tab.goto('#/' + view);
        await tab.settled();
        await few(`${view}, a command waits`, 20);
    }
    t.ok(await tab.has('Undo'), 'it is followed all the time');

    // nobody looks

    await tab.page.evaluate(() => globalThis.hide(true));
    await go(65);
    t.is(await tab.page.evaluate(() =>
             document.querySelector('.stream').dataset.state), 'hidden',
         'hidden for a minute: the stream is closed');
    t.is(await minutes(3), [], 'hidden: nothing is asked');

    // a link that is gone without a word

    const gone = await tab.hold(/v1\/(?:events|health)$/);
    const wait = (what, n) => t.wait(`${n} times ${what}`, async () => {
        await tab.page.evaluate(() => globalThis.go(1000));
        await tab.frames();
        return gone.all.filter((r) => r.url().endsWith(what)).length >= n;
    });

    await tab.page.evaluate(() => globalThis.hide(false));
    await wait('/events', 1);
    await wait('/health', 2);
    t.ok(true, 'no answer for long: it is asked once more');
    await gone();
    // Chromium does not tell of the end of one that was held
    gone.all.forEach((request) => tab.running.delete(request));
    await t.wait('a stream', async () => {
        await tab.page.evaluate(() => globalThis.go(1000));
        return tab.page.evaluate(() =>
            document.querySelector('.stream').dataset.state === 'live');
    });
    t.ok(true, 'shown again: so is the stream');

    // a fleet whose list has pages

    await many(true);
    await tab.goto('#/fleet');

    // of the first page nothing is said

    const rest = await tab.hold(/devices\?.*cursor=/);

    await tab.page.reload();
    await t.wait('the second page', async () => rest.all.length > 0);
    await tab.read(/summary/);
    await tab.until(() => document.querySelectorAll('.rows > .row').length > 5);
    t.unlike(await tab.body(), /Nothing needs you/,
             'there is no verdict of a part of them');
    await rest();
    await go(60);
    await tab.see('2,560 active devices', 'all of them are known');
    await few('three pages', 12, 3);
};
