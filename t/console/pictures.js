// Copyright (C) the ngx_http_iclock_module authors

// Views, panels and dialogs look as they did: compared with t/console/pictures,
// by a clock that stands and in a font of boxes.  TEST_PICTURES=write in the
// environment writes them; look at them then.

'use strict';

const fs = require('fs');
const path = require('path');

const boxes = require('./lib/boxes.js');

const stored = path.join(__dirname, 'pictures');
const write = process.env.TEST_PICTURES === 'write';
const stands = Date.UTC(2025, 0, 15, 9, 41, 20);


// In the page: its clock stands, and what the server says is moved to then.

const freeze = (began, stands) => {
    const { fetch } = globalThis;
    const moved = /"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z?)"/g;

    Date.now = () => stands;
    globalThis.fetch = async (where, option) => {
        // a database that does not answer, when the test wants it
        if (globalThis.without && /\/v1\//.test(where)) {
            return new Response('{}', { status: 503, headers: {
                'Content-Type': 'application/problem+json' } });
        }

        const answer = await fetch(where, option);
        const headers = new Headers(answer.headers);
        let body = answer.body;

        headers.set('Date', new Date(stands).toUTCString());
        if (/json/.test(headers.get('Content-Type'))) {
            body = (await answer.text()).replace(moved, (_, at, zone) => {
                const then = new Date(Date.parse(at + 'Z') - began + stands);

                return `"${then.toISOString().slice(0, 19)}${zone}"`;
            });
        }

        // nor is a picture one of the versions of a machine
        if (String(where).endsWith('/key') && answer.ok) {
            const key = JSON.parse(body);

            Object.assign(key.server, { nginx: '1.26.3', postgresql: '17.6',
                schema: 1, schema_required: 1 });
            body = JSON.stringify(key);
        }

        // what the server measures, and what depends on the time of day
        if (String(where).endsWith('/summary') && answer.ok) {
            const summary = JSON.parse(body);

            summary.server.database_ms = 3;
            summary.server.horizon_seconds = 0;
            Object.assign(summary.punches, { today: 3, per_5min:
                summary.punches.per_5min.map(() => 0) });
            body = JSON.stringify(summary);
        }

        return new Response(body, { status: answer.status, headers });
    };
};


// In a blank page: how many pixels of two pictures differ.

const compare = async (...pictures) => {
    const [one, other] = await Promise.all(pictures.map(async (url) => {
        const image = await createImageBitmap(await (await fetch(url)).blob());
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext('2d');

        context.drawImage(image, 0, 0);
        return context.getImageData(0, 0, image.width, image.height);
    }));
    let n = 0;

    if (one.width !== other.width || one.height !== other.height) {
        return Infinity;
    }

    for (let i = 0; i < one.data.length; i += 4) {
        n += [0, 1, 2].some((c) =>
            Math.abs(one.data[i + c] - other.data[i + c]) > 16);
    }

    return n;
};


module.exports = async (t) => {
    const began = Number(await t.sql(
        'select extract(epoch from now())::bigint')) * 1000;
    const at = `timestamptz '${new Date(began).toISOString()}'`;

    await t.sql(`
        select iclock.register_device('LOOK0000001', 'Gate 1', 'Pune',
                                      'Asia/Kolkata'),
               iclock.register_device('LOOK0000002', 'Gate 2', 'Pune',
                                      'Asia/Kolkata'),
               iclock.register_device('LOOK0000003', 'Store', 'Nashik',
                                      'Asia/Kolkata');
        select iclock.register_device('LOOK0000004', status => 'pending');
        insert into iclock.person (site, pin, name)
        values ('Pune', '1001', 'Asha Rao'), ('Pune', '1002', 'L. Shah');
        insert into iclock.device_user (device_id, pin, name, privilege, card)
        select d.id, p.pin, p.name, 0, ''
          from iclock.device d, iclock.person p
         where d.serial_number < 'LOOK0000003';
        insert into iclock.punch (device_id, local_time, punched_at, pin,
                                  status, verify, received_at)
        select d.id, timezone('Asia/Kolkata', p.at), p.at, '100' || n, 0, 1,
               p.at + interval '1 s'
          from iclock.device d, generate_series(1, 2) as n,
               lateral (select ${at} - n * interval '7 min' as at) as p
         where d.serial_number = 'LOOK0000001';
        insert into iclock.rejected_line (device_id, table_name, line, reason,
                                          received_at)
        select id, 'ATTLOG', 'x', 'no such date', ${at} - interval '1 hour'
          from iclock.device where serial_number = 'LOOK0000002';
        insert into iclock.attendance_check (device_id, starts, ends, status,
               device_count, stored_count, attempts, max_attempts, created_at,
               finished_at)
        select id, date_trunc('second', timezone('Asia/Kolkata', ${at}))
               - interval '1 day', date_trunc('second',
                   timezone('Asia/Kolkata', ${at})) - interval '1 hour',
               'differs', 31, 0, 3, 3, ${at} - interval '2 hours',
               ${at} - interval '1 hour'
          from iclock.device where serial_number = 'LOOK0000001';
        insert into iclock.command (device_id, body, created_at, status,
                                    return_code, sent_at, finished_at)
        select id, 'REBOOT', ${at} - interval '5 min', 'failed', -1001,
               ${at} - interval '5 min', ${at} - interval '4 min'
          from iclock.device where serial_number = 'LOOK0000002';
        insert into iclock.command (device_id, body, created_at)
        select id, 'CHECK', ${at} - interval '1 min'
          from iclock.device where serial_number = 'LOOK0000001';
        update iclock.device
           set last_seen = ${at} - interval '20 s', delay = 86400,
               first_seen = ${at} - interval '9 days',
               remote_address = '10.0.3.14', updated_at = ${at},
               status_since = ${at} - interval '9 days';
        update iclock.device
           set last_seen = ${at} - interval '3 hours', delay = null
         where serial_number = 'LOOK0000003'`);

    const tab = await t.open('', { language: 'en-GB',
        timezone: 'Asia/Kolkata', prepare: (page) =>
            page.evaluateOnNewDocument(freeze, began, stands) });
    const blank = await (await t.browser.createBrowserContext()).newPage();
    let patient = true;

    fs.mkdirSync(stored, { recursive: true });
    await boxes(tab.page);

    // what is drawn late is waited for, as long as nothing was wrong
    const same = async (name) => {
        const file = path.join(stored, name + '.png');
        const own = t.picture(`look-${name}`);
        let picture, differ = 0;

        if (!write && !fs.existsSync(file)) {
            t.ok(false, `${name}: there is a picture`,
                 'TEST_PICTURES=write makes it');
            return;
        }

        const look = async () => {
            picture = Buffer.from(await tab.page.screenshot());

            if (write) {
                fs.writeFileSync(file, picture);
            }

            const other = fs.readFileSync(file);

            // mostly it has the same bytes
            differ = picture.equals(other) ? 0 : await blank.evaluate(compare,
                ...[picture, other].map((bytes) =>
                    `data:image/png;base64,${bytes.toString('base64')}`));
            return differ <= 0.001 * picture.readUInt32BE(16)
                             * picture.readUInt32BE(20);
        };

        const ok = await look() || patient && await t.wait(name, look)
            .catch(() => false);

        patient &&= ok;
        fs.writeFileSync(own, picture);
        t.ok(ok, `${name}: looks as it did`,
             `${differ} pixels of ${own} are others`);
    };

    // both sizes and both themes, or more of it; axe and contrast are elsewhere
    const looks = async (name, ...more) => {
        await tab.settled().catch(() => null);
        await tab.page.mouse.move(0, 0);
        for (const [width, height, scheme] of [[1280, 800, 'light'],
                                               [390, 844, 'dark'],
                                               ...more]) {
            await tab.theme(scheme);
            await tab.size(width, height);
            await tab.frames();
            await same(`${name}-${width}-${scheme}`);
        }
        await tab.theme('light');
        await tab.size(1280, 800);
    };

    const closed = async () => {
        await tab.press('Escape');
        await tab.until(() => !document.querySelector('.panel, dialog'));
    };

    await tab.see('API key');
    await looks('signin');
    await tab.enter(t.key);
    await tab.until(() =>
        document.querySelector('.stream').dataset.state === 'live');

    // before a terminal falls silent, which is told by a clock that goes

    await tab.goto('#/live?show=punches');
    await tab.until(() =>
        document.querySelectorAll('.rows > .row').length === 2);
    await tab.click('Pause');
    await tab.see('Paused');
    await looks('live-paused');

    for (const [name, where, words] of [
        ['fleet', 'fleet', 'Gate 2'],
        ['fleet-none', 'fleet?q=nobody', 'No device matches'],
        ['device', 'devices/LOOK0000001', '31 punches missing'],
        ['people', 'people', 'Asha Rao'],
        ['commands', 'commands', 'Waits'],
        ['problems', 'problems', 'stored 0'],
    ]) {
        await tab.goto('#/' + where);
        await tab.see(words);
        await looks(name);
    }

    await tab.goto('#/people/1001');
    await tab.element('.panel button', 'Copy to…');
    await looks('person');
    await tab.goto('#/fleet');
    await tab.click('Approve… LOOK0000004');
    await tab.element('.panel button', 'Block');
    await looks('approve', [1280, 800, 'dark']);
    await closed();
    await tab.goto('#/devices/LOOK0000001');
    await tab.click('More');
    await tab.click('Block…');
    await tab.see('Gate 1 will be refused at its next call.');
    await looks('block');
    await closed();

    await tab.goto('#/settings');
    await tab.see(/Database answers in 3 ms Notifications arrive/);
    await looks('settings');

    // nothing is asked in the fleet while the clock stands

    await tab.page.evaluate(() => {
        globalThis.without = true;
    });
    await tab.goto('#/people');
    await tab.see('The database does not answer.');
    await tab.goto('#/fleet');
    await tab.see('Not known since');
    await looks('fault-database');
    await blank.close();
};
