// Copyright (C) the ngx_http_iclock_module authors

// Acts on a device, each with its way back; and punches as a file.

'use strict';

const fs = require('fs');
const os = require('os');
const path = require('path');


module.exports = async (t) => {
    await t.sql(`select iclock.register_device('ACT0000001', 'Gate 1', 'Pune',
                                               'Asia/Kolkata')`);
    await t.device('ACT0000001', 'handshake');
    await t.device('ACT0000001', 'punches', ...[1, 2, 3].map((n) =>
        `100${n}\t2026-11-20 15:11:0${n}\t0\t1`));

    const its = (what) => t.sql(`select ${what} from iclock.device
                                  where serial_number = 'ACT0000001'`);
    const is = (what, value) => t.wait(`${what} = ${value}`,
        async () => await its(what) === value);

    const tab = await t.signIn('#/devices/ACT0000001');

    await tab.see('15:11:02', 'punches by the clock of the terminal');

    // the file is what SQL has

    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'csv-'));
    const session = await tab.page.createCDPSession();

    await session.send('Browser.setDownloadBehavior', {
        behavior: 'allow', downloadPath: dir,
        browserContextId: tab.context.id });
    await tab.click('Save CSV');

    const file = await t.wait('a file', () => fs.readdirSync(dir)
        .find((name) => name.endsWith('.csv')));
    const lines = fs.readFileSync(path.join(dir, file), 'utf8').trim()
        .split(/\r?\n/);
    const pins = (await t.sql(`select string_agg(pin, ' ' order by pin)
                                 from iclock.punch`)).split(' ');

    t.is(lines.length, 1 + pins.length, 'a file has a line each');
    t.ok(pins.every((pin) => lines.some((line) => line.includes(pin))),
         'of the punches that there are', lines.join('\n'));
    fs.rmSync(dir, { recursive: true });

    // who measures no temperature sends 0

    await t.device('ACT0000001', 'punches',
                   '1004\t2026-11-20 15:12:00\t0\t1\t0\t0\t0\t0\t0\t0',
                   '1005\t2026-11-20 15:12:05\t0\t1\t0\t0\t0\t0\t36.5\t0');
    t.is(await t.sql(`select string_agg(temperature::text, ' ' order by pin)
                        from iclock.punch where pin in ('1004', '1005')`),
         '0 36.5', 'as it came');
    await tab.see(/36[.,]5\s°C/, 'a temperature');
    t.unlike(await tab.body(), /\b0\s°C/, 'none where none was measured');

    // it is known to call by what it sends, before that is written

    await t.sql(`select iclock.register_device('ACT0000002', 'Gate 2', 'Pune',
                                               'Asia/Kolkata')`);
    await tab.goto('#/devices/ACT0000002');
    await tab.see('Never called', 'registered: never called');
    await t.device('ACT0000002', 'handshake');
    await t.device('ACT0000002', 'punches', '1001\t2026-11-20 15:11:01\t0\t1');
    await tab.until(() =>
        !document.body.innerText.includes('Never called'));
    await tab.see('Online', 'until it calls');
    await tab.goto('#/devices/ACT0000001');
    await tab.see('15:11:02');

    // blocked, and approved again

    await tab.click('More');
    await tab.click('Block…');
    await tab.see('Gate 1 will be refused at its next call.');
    await tab.looks('device-block');
    await tab.click('Block Gate 1');
    await is('status', 'blocked');
    await tab.see('Gate 1 is blocked.');
    await tab.click('Approve again');
    await is('status', 'active');
    t.ok(true, 'blocked, and back');

    // "More" is another one now
    await tab.element('main button', 'Set clock');

    // another zone: what there is stays, and back

    await tab.click('More');
    await tab.click('Zone…');
    await tab.fill('Time zone', 'Asia/Dubai');
    await tab.click('Change zone');
    await tab.see(/keep their UTC time/, 'the dialog says what stays');
    await tab.looks('device-zone');
    await tab.click('Change zone', 'dialog button');
    await is('timezone', 'Asia/Dubai');
    await tab.click('Undo');
    await is('timezone', 'Asia/Kolkata');
    t.ok(true, 'another zone, and back');

    // a command, taken back while it waits

    await tab.click('More');
    await tab.click('Restart…');
    await tab.see('It cannot be used for about a minute.');
    await tab.click('Restart', 'dialog button');
    await t.wait('it waits', async () => await t.sql(
        `select count(*) from iclock.command where status = 'queued'`)
        === '1');
    await tab.click('Undo');
    await t.wait('it is taken back', async () => await t.sql(
        `select string_agg(status, ' ') from iclock.command`)
        === 'cancelled');
    t.ok(true, 'a restart, taken back');

    // the clock, the same two ways

    const last = (what) => t.sql(`select ${what} from iclock.command
                                   order by id desc limit 1`);

    await tab.click('Set clock', 'main button');
    await tab.see('Gate 1 is asked to take the time of the server.');
    t.is(await last('body'), 'CHECK', 'set clock: it is to shake hands');
    await tab.click('Undo');
    await t.wait('it is taken back', async () =>
        await last('status') === 'cancelled');
    t.ok(true, 'taken back while it waits');

    tab.allow(/409/);
    await tab.page.evaluate(() => document.querySelectorAll(
        '.strip button[aria-label=Dismiss]').forEach((b) => b.click()));
    await tab.click('Set clock', 'main button');
    await t.wait('it is sent', async () =>
        /CHECK/.test(await t.device('ACT0000001', 'poll')));
    await tab.click('Undo');
    await tab.see(/Too late, it was sent/, 'set clock: too late');
    await tab.page.evaluate(() => document.querySelectorAll(
        '.strip button[aria-label=Dismiss]').forEach((b) => b.click()));

    // and one that was sent meanwhile

    await tab.click('More');
    await tab.click('Restart…');
    await tab.click('Restart', 'dialog button');
    await t.wait('it is sent', async () =>
        /REBOOT/.test(await t.device('ACT0000001', 'poll')));
    await tab.click('Undo');
    await tab.see(/Too late, it was sent/, 'too late: said so');
};
