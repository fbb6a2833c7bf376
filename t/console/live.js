// Copyright (C) the ngx_http_iclock_module authors

// Live: what happens is shown at once, each thing once, and nothing is said
// that is not known any more.

'use strict';

const net = require('net');


// Stands between the page and nginx, and can cut what goes through it.

function wire(port) {
    const open = new Set();
    const server = net.createServer((near) => {
        const far = net.connect(port, '127.0.0.1');

        open.add(near);
        near.pipe(far).pipe(near);
        near.on('error', () => far.destroy());
        far.on('error', () => near.destroy());
        near.on('close', () => {
            open.delete(near);
            far.destroy();
        });
    });

    return new Promise((resolve) => server.listen(0, '127.0.0.1', () =>
        resolve({
            port: server.address().port,
            cut() {
                for (const near of open) {
                    near.resetAndDestroy();
                }
            },
            close() {
                this.cut();
                server.close();
            },
        })));
}


// Without TLS, and not from the machine itself, as most sites have it: browsers
// give such a page no clipboard, and the page says what is read on the way.

async function unencrypted(t, punch) {
    const there = t.origin.replace('127.0.0.1', 'terminals.test');
    const tab = await t.open(`${there}/console#/live`);

    await tab.enter(t.key);
    await tab.see('This connection is not encrypted: the key can be read on the'
                  + ' way.', 'without TLS: said so');
    t.is(await tab.page.evaluate(() => isSecureContext), false,
         'it is no secure context');
    await tab.see(/Live, \d+ a minute/);
    await t.device('LIVE0001', 'punches', punch);
    await tab.see('PLAIN', 'without TLS: it is live');

    await tab.page.evaluate(() => {
        location.hash = '#/devices/LIVE0001';
    });

    // as often as it is asked for
    for (let i = 0; i < 2; i++) {
        await tab.click('Copy', '.serial button');
        await tab.until(() => document.activeElement.matches('.serial input'));
        await tab.page.evaluate(() => document.activeElement.blur());
    }

    await tab.click('Copy', '.serial button');
    t.is(await tab.page.evaluate(() =>
             [...document.querySelectorAll('.serial input')].map((field) =>
                 [field === document.activeElement, field.value.slice(
                      field.selectionStart, field.selectionEnd)])),
         [[true, 'LIVE0001']], 'Copy: it is selected, in one field');
    t.is((await tab.text('.serial')).match(/Press Ctrl\+C/g)?.length, 1,
         'and what to press is said once');
    await tab.axe('without TLS');

    // what changes something

    await tab.click('Set clock', 'main button');
    await tab.see('Gate 1 is asked to take the time of the server.');
    await tab.click('Undo');
    await t.wait('it is taken back', async () => await t.sql(
        `select status from iclock.command where body = 'CHECK'
          order by id desc limit 1`) === 'cancelled');
    t.ok(true, 'without TLS: an act, and back');

    t.is(tab.foreign.filter((url) => !url.startsWith(there + '/')), [],
         'without TLS: no request to another origin');
    tab.foreign.length = 0;
    await t.close(tab);
}


module.exports = async (t) => {
    await t.sql(`select iclock.register_device('LIVE0001', 'Gate 1', 'Pune',
                                               'Asia/Kolkata'),
                        iclock.register_device('LIVE0002', 'Dock 2', 'Leipzig',
                                               'Europe/Berlin')`);
    await t.device('LIVE0001', 'handshake');
    await t.device('LIVE0002', 'handshake');

    const now = (seconds = 0, zone = 'Asia/Kolkata') =>
        new Date(Date.now() + seconds * 1000).toLocaleString('sv',
            { timeZone: zone });

    // an event that nobody could read before it was dropped

    const lose = () => t.sql(`begin;
        insert into iclock.punch (device_id, local_time, pin, status, verify,
                                  punched_at)
        select id, localtimestamp, 'LOST', 0, 1, now()
          from iclock.device where serial_number = 'LIVE0001';
        update iclock.event_state set (dropped_xid, dropped_seq) =
            (select xid, seq from iclock.event
              order by xid desc, seq desc limit 1);
        select pg_notify('iclock_event', '');
        commit`);

    // nothing yet

    let tab = await t.signIn('#/live');

    await tab.see(/Nothing yet|so it is quiet/, 'an empty list has words');
    await tab.see(/Live, \d+ a minute/);

    // a punch, without a question

    await t.device('LIVE0001', 'punches', `1001\t${now()}\t0\t1`);
    await tab.see('1001', 'a punch is shown');
    await tab.see(/Check in/);
    await tab.settled();

    const asks = () => tab.requests.filter((r) =>
        /\/v1\/(?:events|logs)/.test(r)).length;
    const before = asks();

    await t.device('LIVE0001', 'punches', `SOON\t${now(1)}\t0\t1`);
    await tab.see('SOON', 'another one');
    t.is(asks(), before, 'it is told, not asked for');

    // late, and of another zone

    await t.device('LIVE0001', 'punches', `LATE\t${now(-3600)}\t1\t15`);
    await tab.see(/late, stored/, 'a late punch says so');
    await t.device('LIVE0002', 'punches',
                   `BERLIN\t${now(0, 'Europe/Berlin')}\t0\t1`);
    await tab.see('BERLIN');

    // others than punches

    await t.sql(`select iclock.block_device('LIVE0002')`);
    await tab.see('Was blocked', 'what devices do');
    await t.sql(`select iclock.approve_device('LIVE0002')`);
    await tab.see('Was approved');
    await tab.looks('live');

    // paused

    await tab.click('Pause');
    await t.device('LIVE0001', 'punches',
                   ...[1, 2, 3].map((n) => `PAUSED${n}\t${now(10 + n)}\t0\t1`));
    await tab.see('3 new while paused');
    t.unlike(await tab.body(), /PAUSED1/, 'they are not shown');
    await tab.looks('live-paused');
    await tab.click('Show them');
    await tab.see('PAUSED3', 'until they are asked for');

    // filters, by the address

    await tab.choose('Site', 'Leipzig');
    await tab.until(() => !document.querySelector('main').innerText
                           .includes('LATE'));
    t.like(await tab.page.evaluate(() => location.hash), /site=Leipzig/,
           'the address has the filter');
    await tab.page.goBack();
    await tab.see('LATE', 'Back takes it away');
    await tab.page.goForward();
    await tab.until(() => !document.querySelector('main').innerText
                           .includes('LATE'));
    t.ok(true, 'Forward brings it back');
    await tab.page.goBack();
    await tab.see('LATE');

    // the same after a reload: the list begins with what was stored

    await tab.page.reload();
    await tab.see('LATE', 'what was before');
    await t.close(tab);

    // a reload of the server is not worth a word

    tab = await t.signIn('#/live');
    await tab.see(/Live, \d+ a minute/);

    const streams = async () => (await t.accessLog()).split('\n').filter(
        (line) => /GET \/v1\/events HTTP/.test(line)).length;

    const watched = await tab.page.evaluateHandle(() => {
        const said = new Set();
        const look = () => document.querySelectorAll('.bar, .strip')
            .forEach((e) => said.add(e.innerText));

        new MutationObserver(look).observe(document.body,
            { subtree: true, childList: true, characterData: true });
        look();
        return said;
    });
    const ended = await streams();

    await t.nginx('reload');
    await t.wait('the stream has ended', async () => await streams() > ended);
    await t.device('LIVE0001', 'punches', `BYE\t${now(60)}\t0\t1`);
    await tab.see('BYE', 'after a reload it goes on');
    t.is(await watched.evaluate((said) => [...said]), [],
         'bye: not a word of it');

    // events that are not kept any more

    await lose();
    await tab.see('Some events are older than the server keeps;'
                  + ' lists were read again.', 'reset: said so');
    t.ok(tab.asked('GET', /\/v1\/logs/).length > 1, 'and they were');
    await tab.axe('after a reset');
    await t.close(tab);

    // a tab that nobody looks at; its minute is over when the test says so

    tab = await t.signIn('#/live', {
        prepare: (page) => page.evaluateOnNewDocument(() => {
            const later = globalThis.setTimeout;
            const minutes = new Map();
            let hidden = false;

            globalThis.setTimeout = (f, ms, ...more) => {
                const id = later(ms === 60000 ? () => null : f, ms, ...more);

                if (ms === 60000) {
                    minutes.set(id, f);
                }
                return id;
            };

            const forget = globalThis.clearTimeout;

            globalThis.clearTimeout = (id) => {
                minutes.delete(id);
                forget(id);
            };
            globalThis.aMinute = () => minutes.forEach((f) => f());
            Object.defineProperty(document, 'hidden', { get: () => hidden });
            globalThis.hide = (is) => {
                hidden = is;
                document.dispatchEvent(new Event('visibilitychange'));
            };
        }) });
    await tab.see(/Live, \d+ a minute/);

    const closed = await streams();

    await tab.page.evaluate(() => globalThis.hide(true));
    await t.device('LIVE0001', 'punches', `HIDDEN1\t${now(61)}\t0\t1`);
    await tab.see('HIDDEN1', 'hidden for a moment: it goes on');
    await tab.page.evaluate(() => globalThis.aMinute());
    await t.wait('it is closed', async () => await streams() > closed);
    t.is(await tab.page.evaluate(() =>
             document.querySelector('.stream').dataset.state), 'hidden',
         'hidden for a minute: the stream is closed');
    await t.device('LIVE0001', 'punches', `HIDDEN2\t${now(62)}\t0\t1`);
    await t.sleep(1000);
    t.unlike(await tab.page.evaluate(() => document.body.textContent),
             /HIDDEN2/, 'nothing is told then');
    await tab.page.evaluate(() => globalThis.hide(false));
    await tab.see('HIDDEN2', 'shown again: it catches up');
    await t.device('LIVE0001', 'punches', `SHOWN\t${now(63)}\t0\t1`);
    await tab.see('SHOWN', 'and goes on');

    // ten thousand at once: the newest, and a number for the others

    await tab.page.evaluate(() => {
        globalThis.shifts = [];
        new PerformanceObserver((list) => globalThis.shifts.push(
            ...list.getEntries().map((shift) => shift.value)))
            .observe({ type: 'layout-shift' });
        globalThis.hide(true);
        globalThis.aMinute();
    });
    await t.wait('it is closed', async () => await streams() > closed + 1);
    await t.sql(`insert into iclock.punch (device_id, local_time, pin, status,
                                           verify, punched_at)
        select d.id, '2026-03-02'::timestamp + n * interval '1 s',
               case n when 10000 then 'NEWEST' else 'MANY' || n end, 0, 1,
               now()
          from generate_series(1, 10000) as n
          join iclock.device d on d.serial_number = 'LIVE0001'`);
    await tab.page.evaluate(() => globalThis.hide(false));
    await tab.see('NEWEST', '10,000 events: the newest');
    await tab.see('earlier events are not shown');

    // some had come before
    const earlier = (await tab.body()).match(/[\d,]+ earlier events/g) || [];

    t.is(earlier.length, 1, '10,000 events: one number');
    t.is(await tab.page.evaluate(() =>
             document.querySelector('[role=grid]')
                 .getAttribute('aria-rowcount')), '2001',
         'of all but 2,000');
    t.like(earlier[0] || '', /^8,00[3-9] /, 'and those that came before');
    t.ok(await tab.page.evaluate(() =>
             document.querySelectorAll('*').length <= 2500),
         'few are in the document');
    t.is(await tab.page.evaluate(() => globalThis.shifts), [],
         'and nothing has moved');
    await t.close(tab);

    // A link that breaks again and again, each time while the stream is open.
    // The page waits a tenth of its time before it tries again; the bar counts
    // seconds.

    const cable = await wire(new URL(t.origin).port);
    const away = `http://127.0.0.1:${cable.port}`;

    // all rows are in the document
    tab = await t.open(`${away}/console#/live`, { height: 3000,
        prepare: (page) => page.evaluateOnNewDocument(() => {
            const later = globalThis.setTimeout;

            globalThis.setTimeout = (f, ms, ...more) => later(f,
                ms > 400 && ms < 2500 && ms !== 1000 ? ms / 10 : ms, ...more);
        }) });
    tab.allow(/ERR_|Failed to load/);
    await tab.enter(t.key);
    await tab.see(/Live, \d+ a minute/);

    // from here on it knows where to go on from
    await t.device('LIVE0001', 'punches', 'READY\t2026-03-01 09:59:59\t0\t1');
    await tab.see('READY');

    const opened = () => tab.asked('GET', /\/v1\/events$/).length;
    const uncut = await streams();

    for (let i = 0; i < 20; i++) {
        const second = String(i).padStart(2, '0');
        const punch = () => t.device('LIVE0001', 'punches',
            `CUT${second}\t2026-03-01 10:00:${second}\t0\t1`);

        await tab.until(() =>
            document.querySelector('.stream').dataset.state === 'live');

        const last = opened();

        // just before it breaks, or while it is broken
        if (i % 2) {
            cable.cut();
            await punch();
        } else {
            await punch();
            cable.cut();
        }
        await t.wait('another stream', () => opened() > last);
    }

    let cuts = 0;

    await t.wait('20 streams that have ended', async () =>
        (cuts = await streams() - uncut) >= 20).catch(() => null);
    t.ok(cuts >= 20, 'each cut has broken a stream', cuts);

    let once = [];

    await t.wait('all of them', async () => {
        const shown = (await tab.page.evaluate(() =>
            [...document.querySelectorAll('.c-name, .c-pin')]
                .map((e) => e.textContent).join(' '))).match(/CUT\d\d/g) || [];

        once = [...new Set(shown)].sort();
        return once.length >= 20;
    }).catch(() => null);

    t.is(once, Array.from({ length: 20 }, (_, i) =>
        'CUT' + String(i).padStart(2, '0')), '20 cuts: nothing is missing');
    t.is((await tab.page.evaluate(() =>
             [...document.querySelectorAll('.rows .c-name')]
                 .map((e) => e.textContent).join(' ')))
             .match(/CUT\d\d/g).sort(), once, 'and nothing is there twice');

    // no connection at all

    cable.close();
    await tab.see('No connection to the server.', 'the bar says it');
    await tab.until(() =>
        !/Live, \d+ a minute/.test(document.body.innerText));
    t.ok(true, 'and it is not live');
    await tab.looks('live-offline');
    t.is(tab.foreign.filter((url) => !url.startsWith(away + '/')), [],
         'cut off: no request to another origin');
    tab.foreign.length = 0;
    await t.close(tab);

    // who listens is not talked to all the time

    tab = await t.signIn('#/live');
    await tab.click('Announce punches', 'input[type=checkbox]');

    const told = await tab.page.evaluateHandle(() => {
        const all = [];

        new MutationObserver(() => all.push([performance.now(),
            document.querySelector('[role=status]').textContent]))
            .observe(document.querySelector('[role=status]'),
                     { subtree: true, childList: true });
        return all;
    });

    // 50 at once, and something that is said besides at the beginning
    let n = 0;

    await t.wait('three messages', async () => {
        n++;
        await t.sql(`insert into iclock.punch (device_id, local_time, pin,
                status, verify, punched_at)
            select d.id, localtimestamp(0) + (${n} * 50 + n) * interval '1 s',
                   'BUSY' || n, 0, 1, now()
              from generate_series(1, 50) as n
              join iclock.device d on d.serial_number = 'LIVE0001'`);
        if (n === 4 || n === 8) {
            await lose();
        }
        await t.sleep(700);
        return await told.evaluate((all) => all.length) >= 3;
    });

    const spoken = await told.jsonValue();

    t.ok(spoken.some(([, text]) => /\d+ punches in 10 s, last/.test(text)),
         'punches are told, as a number', JSON.stringify(spoken));
    t.is(spoken.slice(1).map(([at], i) => at - spoken[i][0]).filter((gap) =>
             gap < 9900), [], 'one message in 10 s, whatever happens');
    await tab.click('Announce punches', 'input[type=checkbox]');
    await t.close(tab);

    await unencrypted(t, `PLAIN\t${now(3)}\t0\t1`);

    // the EventSource of a browser, by a token in place of a key

    const context = await t.browser.createBrowserContext();
    const plain = await context.newPage();

    await plain.goto(`${t.origin}/v1/`);

    const shown = plain.evaluate(async (key) => {
        const response = await fetch('/v1/stream-tokens', {
            method: 'POST', headers: { Authorization: `Bearer ${key}` } });
        const { token } = await response.json();

        return new Promise((resolve) => {
            const source = new EventSource('/v1/events?token=' + token);

            source.onopen = () => window.opened = true;
            source.addEventListener('attendance.punch', (event) => {
                source.close();
                resolve(JSON.parse(event.data).user.id);
            });
        });
    }, t.key);

    await t.wait('an EventSource', () => plain.evaluate(() => window.opened));
    await t.device('LIVE0001', 'punches', `TOKEN\t${now(2)}\t0\t1`);
    t.is(await shown, 'TOKEN', 'an EventSource with a token shows a punch');
    await context.close();

    // refused: too many; that of the tab before may end a little later, and a
    // response that nobody holds is closed by the garbage collector

    const taken = [];

    await t.wait('five streams', async () => {
        const stop = new AbortController();
        const response = await fetch(`${t.origin}/v1/events`, {
            signal: stop.signal,
            headers: { Accept: 'text/event-stream',
                       Authorization: `Bearer ${t.key}` } });

        if (response.status === 200) {
            taken.push({ stop, response });
        } else {
            stop.abort();
        }

        return taken.length === 5;
    });

    tab = await t.open('#/live');
    tab.allow(/429/);
    await tab.enter(t.key);
    await tab.see('Live updates are used up by other windows;'
                  + ' refreshing every 10 s.');
    await tab.looks('live-refused');
    taken.forEach(({ stop }) => stop.abort());
};
