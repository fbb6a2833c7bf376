// Copyright (C) the ngx_http_iclock_module authors

// Times of terminals, wherever who looks is, and in whatever language.

'use strict';

const boxes = require('./lib/boxes.js');


// A punch, and what is of no device, in each place where a time stands: by the
// clock of the device, of who looks, and by UTC.

async function everywhere(t, tab) {
    const due = (await t.api('GET',
        '/commands?device_id=TIME000001&status=sent'))[1].data[0].answer_due_at;

    for (const [times, hour, asked, zone] of [
        ['device', '15:11', '22:41', 'Pacific/Auckland'],
        ['mine', '22:41', '22:41', 'Pacific/Auckland'],
        ['utc', '09:41', '09:41', 'UTC'],
    ]) {
        const shows = async (where, selector, words, about) => {
            const pattern = new RegExp(words, 'm');

            await tab.goto('#/' + where);
            await t.wait(about, async () =>
                pattern.test(await tab.text(selector))).catch(() => null);
            t.like(await tab.text(selector), pattern, `${times}: ${about}`);
        };

        await tab.goto('#/settings');
        await tab.choose('Times', times);

        await shows('fleet?q=TIME', '.rows .c-punch', `, ${hour}$`,
                    'the last punch of a device');
        await shows('live', '.rows .c-time', `\\b${hour}:02`,
                    'a punch that is told');
        await shows('commands', '.rows .c-asked', `, ${asked}$`,
                    'when somebody has asked');
        await shows('commands', '.rows .c-state', 'answer due by '
            + new Intl.DateTimeFormat('en-US', { timeZone: zone,
                hour: '2-digit', minute: '2-digit', second: '2-digit',
                hourCycle: 'h23' }).format(Date.parse(due)),
                    'and until when an answer is due');
        await shows('devices/TIME000001', '#tab-body .moment',
                    `^${hour}:02$`, 'a punch of its list');

        // of one punch all three, and when it was stored

        const stored = await t.sql(`select to_char(
            received_at at time zone '${zone}', 'HH24:MI')
            from iclock.punch where pin = '1001'`);

        await tab.click(`${hour}:02`, '#tab-body button');
        await tab.see('Your time');

        const [device, mine, utc, when] =
            (await tab.text('.panel .facts dd')).split('\n');

        t.like(device, /15:11:02 \(Asia\/Kolkata\)$/,
               `${times}: of the device`);
        t.like(mine, /22:41:02 \(Pacific\/Auckland\)$/,
               `${times}: of who looks`);
        t.like(utc, /09:41:02$/, `${times}: and UTC`);
        t.like(when, new RegExp(`^(?:[^,:]*, )?${stored}`),
               `${times}: and when it was stored`);
    }
}


module.exports = async (t) => {
    await t.sql(`select iclock.register_device('TIME000001', 'Gate 1', 'Pune',
                                               'Asia/Kolkata'),
                        iclock.register_device('TIME000002', 'Dock 2',
                                               'Leipzig', 'Europe/Berlin'),
                        iclock.register_device('TIME000003', 'Moon', 'Mars',
                                               'UTC')`);
    for (const n of [1, 2, 3]) {
        await t.device(`TIME00000${n}`, 'handshake');
    }
    await t.device('TIME000001', 'punches', '1001\t2026-11-20 15:11:02\t0\t1');
    // the hour that comes twice, when summer ends
    await t.device('TIME000002', 'punches', '1090\t2026-10-25 02:30:00\t0\t1');
    // a large number, and one that is none
    await t.device('TIME000001', 'punches',
                   '1001001\t2026-11-20 15:11:03\t0\t1');
    await t.sql(`update iclock.device set punch_count = 1234567
                  where serial_number = 'TIME000001'`);
    await t.sql(`update iclock.device set timezone = 'Mars/Olympus'
                  where serial_number = 'TIME000003'`).catch(() => null);

    for (const [timezone, language] of [['Pacific/Auckland', 'en-GB'],
                                        ['Asia/Kolkata', 'de-DE'],
                                        ['America/New_York', 'ar-EG'],
                                        ['UTC', 'hi-IN']]) {
        const tab = await t.signIn('#/live', { timezone, language });
        const zones = `${timezone}, ${language}`;

        await tab.see('1001', `${zones}: a PIN is there`);
        // a page that takes PostgreSQL long ends before weeks without any punch
        await t.wait(`${zones}: all PINs`, async () => {
            if ((await tab.text('.rows .c-pin')).split('\n').length === 3) {
                return true;
            }

            await tab.goto('#/settings');
            await tab.goto('#/live');
            await tab.until(() => document.querySelector('.rows .c-pin'));
        });
        t.is((await tab.text('.rows .c-pin')).split('\n').sort(),
             ['1001', '1001001', '1090'], `${zones}: PINs are left alone`);

        const digits = (await tab.body()).replace(/[\u0660-\u0669]/g,
            (d) => d.charCodeAt(0) - 0x660).replace(/[\u0966-\u096F]/g,
            (d) => d.charCodeAt(0) - 0x966);

        t.like(digits, /15:11:02/, `${zones}: the time of the terminal`);

        // days and numbers as people write them there

        const [day, many] = await tab.page.evaluate((language) => [
            new Intl.DateTimeFormat(language, { weekday: 'long',
                day: 'numeric', month: 'long', timeZone: 'UTC' })
                .format(Date.UTC(2026, 10, 20, 12)),
            new Intl.NumberFormat(language).format(1234567)], language);

        await tab.goto('#/devices/TIME000001');
        await tab.see(day, `${zones}: a day`);
        t.is((await tab.text('#tab-body a .mono, #tab-body a.mono'))
             .split('\n').sort(), ['1001', '1001001'], `${zones}: and PINs`);
        t.like(await tab.text('.serial'), /^TIME000001/,
               `${zones}: and a serial number`);
        await tab.goto('#/devices/TIME000001?tab=setup');
        await tab.see(many, `${zones}: a number`);
        await t.close(tab);
    }

    // as who looks wants it; one command has waited since the punch, another
    // was sent just now

    await t.sql(`
        insert into iclock.command (device_id, body, created_at)
        select id, 'CHECK', '2026-11-20 09:41:02+00' from iclock.device
         where serial_number = 'TIME000001';
        insert into iclock.command (device_id, body, status, sent_at)
        select id, 'REBOOT', 'sent', now() from iclock.device
         where serial_number = 'TIME000001';
        insert into iclock.device_pulse (device_id, last_local_time,
                                         last_punch_at)
        select id, '2026-11-20 15:11:03', '2026-11-20 09:41:03+00'
          from iclock.device where serial_number = 'TIME000001'
        on conflict (device_id) do update
        set last_local_time = excluded.last_local_time,
            last_punch_at = excluded.last_punch_at`);

    const tab = await t.signIn('#/settings', { timezone: 'Pacific/Auckland' });

    await everywhere(t, tab);

    const stored = await t.sql(`select to_char(received_at at time zone 'UTC',
        'HH24:MI') from iclock.punch where pin = '1001'`);

    await tab.goto('#/live');
    await tab.see(new RegExp(`late, stored (?:[^,]*, )?${stored}`),
                  'UTC: and when it was stored');
    await t.sql("delete from iclock.command where body in ('CHECK', 'REBOOT')");

    // by the standard
    await tab.goto('#/settings');
    await tab.choose('Times', 'device');
    await tab.choose('Dates', 'iso');
    await tab.goto('#/devices/TIME000001');
    await tab.see('2026-11-20', 'ISO 8601');
    await tab.goto('#/settings');
    await tab.choose('Dates', 'browser');

    // what is not a punch, and of the day before

    const later = await t.signIn('#/live', { prepare: (page) =>
        page.evaluateOnNewDocument(() => {
            const { fetch } = globalThis;

            globalThis.fetch = async (where, option) => {
                const { body, status, headers } = await fetch(where, option);
                const told = new Headers(headers);

                // Date has no milliseconds: more than a day, to be another
                told.set('Date', new Date(Date.now() + 90000000)
                                     .toUTCString());
                return new Response(body, { status, headers: told });
            };
        }) });

    await later.see(/Live, \d+ a minute/);
    await t.sql(`select iclock.block_device('TIME000002')`);
    await later.see('Was blocked');

    const day = await later.page.evaluate((at) => new Intl.DateTimeFormat(
        navigator.language, { day: 'numeric', month: 'short',
                              timeZone: 'Europe/Berlin' }).format(at),
        Number(await t.sql(`select extract(epoch from created_at) * 1000
            from iclock.event where type = 5
            order by created_at desc limit 1`)));

    t.ok((await later.text('.rows .c-time')).split('\n').some((time) =>
             time.startsWith(day + ', ')), 'an event of yesterday has its day',
         await later.text('.rows .c-time'));
    await t.close(later);

    // An hour that comes twice, for who is in the zone of the terminal, where
    // no other offset stands: which of the two it was.  A later one has none.

    const near = await t.signIn('#/live', { timezone: 'Europe/Berlin',
                                            language: 'en-GB' });
    const twice = ['1091', '1092', '1093'];
    const times = ['02:30:00 GMT+2', '02:30:00 GMT+1', '04:30:00'];

    // a row, and where its PIN and its time stand in it
    const timesOf = (row, pin, time) => near.page.evaluate(
        (row, pin, time, pins) => {
            const all = new Map([...document.querySelectorAll(row)].map((e) =>
                [e.querySelector(pin)?.innerText,
                 e.querySelector(time)?.innerText.replace(/^[^,]*, /, '')]));

            return pins.map((pin) => all.get(pin) ?? null);
        }, row, pin, time, twice);

    await near.see(/Live, \d+ a minute/);
    await t.sql(`insert into iclock.punch (device_id, local_time, pin, status,
                                           verify, punched_at)
        select d.id, p.punched_at at time zone 'Europe/Berlin', p.pin, 0, 1,
               p.punched_at
          from iclock.device d,
               (values ('1091', timestamptz '2026-10-25 02:30:00+02'),
                       ('1092', timestamptz '2026-10-25 02:30:00+01'),
                       ('1093', timestamptz '2026-10-25 04:30:00+01'))
               as p (pin, punched_at)
         where d.serial_number = 'TIME000002'`);

    let shown;

    await t.wait('three punches in Live', async () => {
        shown = await timesOf('.rows > .row', '.c-pin', '.c-time');
        return shown.every((time) => time !== null);
    });
    t.is(shown, times, 'Live: an hour that comes twice has its offset');
    await boxes(near.page);
    t.is(await near.page.evaluate(() =>
             [...document.querySelectorAll('.rows .c-time')].filter((cell) =>
                 cell.scrollWidth > cell.clientWidth).map((e) => e.innerText)),
         [], 'Live: and none of it is cut off');
    await t.wait('three punches of the terminal', async () => {
        await near.goto('#/settings');
        await near.goto('#/devices/TIME000002');
        await near.settled();
        shown = await timesOf('#tab-body tr', 'a .mono', 'button .mono');
        return shown.every((time) => time !== null);
    });
    t.is(shown, times, 'and among the punches of its terminal');
    await t.close(near);

    // from right to left, and back

    await t.sql(`select iclock.register_device('RTL' || to_char(n, 'FM000'),
        '\u0628\u0648\u0627\u0628\u0629 ' || n, 'Pune', 'Asia/Kolkata')
        from generate_series(1, 3) as n`);
    await t.device('TIME000004', 'handshake');
    await t.sql(`update iclock.device
                    set last_seen = now() - interval '42 min'
                  where serial_number = 'RTL001'`);
    await t.device('TIME000001', 'punches', '1077\t2026-02-30 08:31:00\t0\t1');
    await t.api('POST', '/users', { user_id: '1001', name: 'Asha Rao',
        device_ids: ['TIME000001', 'RTL002'] });

    for (const dir of ['rtl', 'ltr']) {
        await tab.page.evaluate((dir) => {
            document.documentElement.dir = dir;
        }, dir);
        for (const view of ['fleet', 'live', 'people', 'commands', 'problems',
                            'settings', 'devices/TIME000001', 'people/1001']) {
            const name = view.replace('/', '-');

            await tab.goto('#/' + view);
            await tab.settled();
            for (const width of [1280, 800, 390]) {
                await tab.size(width, 800);
                await tab.frames();
                await tab.fits(`${view}, ${dir}, ${width}`);
                await tab.apart(`${view}, ${dir}, ${width}`);
                await tab.page.screenshot({
                    path: t.picture(`${dir}-${name}-${width}`) });
            }
        }
    }
};
