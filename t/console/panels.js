// Copyright (C) the ngx_http_iclock_module authors

// Each panel, dialog and menu that no other test has in its pictures, and the
// tabs of a device with something in them: nobody is kept out of one.

'use strict';

module.exports = async (t) => {
    await t.sql(`select iclock.register_device('PANEL00001', 'Gate 1', 'Pune',
                                               'Asia/Kolkata'),
                        iclock.register_device('PANEL00002', 'Gate 2', 'Pune',
                                               'Asia/Kolkata'),
                        iclock.register_device('PANEL00003', 'Gate 3', 'Pune',
                                               'Asia/Kolkata'),
                        iclock.register_device('SOME' || to_char(n, 'FM000'),
                            'Door ' || n, 'Nashik', 'Asia/Kolkata')
                   from generate_series(1, 21) as n`);
    await t.sql("select iclock.block_device('PANEL00003')");
    await t.device('PANEL00001', 'handshake');
    await t.device('PANEL00001', 'punches',
                   '1001\t2026-11-20 15:11:02\t0\t1\tW7\t0\t0\t0\t0\t36.5\t0',
                   '1077\t2026-02-30 08:31:00\t0\t1');
    await t.api('POST', '/users', { user_id: '1001', name: 'Asha Rao',
        department: 'Assembly', device_ids: ['PANEL00001'] });
    await t.sql(`
        insert into iclock.device_user (device_id, pin, name, privilege, card)
        select id, '1002', 'L. Shah', 14, '4711' from iclock.device
         where serial_number = 'PANEL00001';
        insert into iclock.attendance_check (device_id, starts, ends, status,
               device_count, stored_count, attempts, max_attempts, finished_at)
        select id, '2026-11-20', '2026-11-20 23:59:59', 'differs', 31, 0, 3, 3,
               now()
          from iclock.device where serial_number = 'PANEL00001';
        insert into iclock.device_error (device_id, code, message)
        select id, '5', 'no finger' from iclock.device
         where serial_number = 'PANEL00001'`);
    await t.sql('update iclock.device set last_seen = now()');

    const tab = await t.signIn('#/devices/PANEL00001');
    const dismiss = () => tab.page.evaluate(() => document.querySelectorAll(
        '.strip button[aria-label=Dismiss]').forEach((b) => b.click()));
    const closed = () => tab.until(() =>
        !document.querySelector('.panel, dialog'));

    // a device: what it has sent, and its acts

    await tab.see('15:11:02');
    for (const [name, words] of [['people', 'L. Shah'],
                                 ['commands', 'Put person 1001'],
                                 ['errors', 'no finger'],
                                 ['rejected', '2026-02-30'],
                                 ['check', '31 are missing'],
                                 ['setup', 'How to connect']]) {
        await tab.goto(`#/devices/PANEL00001?tab=${name}`);
        await tab.see(words);
        await tab.settled();
        await tab.looks(`device-${name}`);
    }

    await tab.goto('#/devices/PANEL00001');
    await tab.element('main button', '15:11:02');
    await tab.click('15:11:02', 'main button');
    await tab.see('Your time');
    await tab.looks('punch');
    await tab.press('Escape');
    await closed();

    await tab.click('More');
    await tab.looks('device-more');
    await tab.press('Escape');

    for (const [act, words, name] of [
        ['Restart…', 'It cannot be used for about a minute.', 'restart'],
        ['Send again…', 'none is stored twice', 'send-again'],
        ['Remove…', 'Type PANEL00001 to confirm', 'remove'],
    ]) {
        await tab.click('More');
        await tab.click(act, '[role=menuitem]');
        await tab.see(words);
        await tab.looks(`device-${name}`);
        await tab.press('Escape');
        await closed();
    }

    // it was muted before, and is not any more

    await t.sql(`update iclock.device
                    set muted_until = now() - interval '1 day'
                  where serial_number = 'PANEL00001'`);
    await tab.page.reload();
    await tab.see('15:11:02');
    await tab.settled();

    const mute = async () => {
        await tab.click('Mute', '.panel button');
        await tab.see('Muted until');
    };

    await tab.click('More');
    await tab.click('Mute…', '[role=menuitem]');
    await tab.see('Days (1 to 30)');
    await mute();
    await tab.click('Undo');
    await tab.see('Gate 1 has its old values again.', 'muted, and back');
    t.is(await t.sql(`select count(muted_until) from iclock.device
                       where serial_number = 'PANEL00001'`), '0',
         'so it is in the database');
    await dismiss();

    // "More" is another one then
    await tab.until(() => !document.body.innerText.includes('Muted until'));
    await tab.click('More');
    await tab.click('Mute…', '[role=menuitem]');
    await tab.see('Days (1 to 30)');
    await tab.looks('device-mute');

    // no number of days, or another one than is meant, is not guessed at

    for (const days of ['abc', '0', '60', '1.5']) {
        await tab.fill('Days (1 to 30)', days);
        await tab.click('Mute', '.panel button');
        await tab.until(() => document.activeElement
                              .getAttribute('aria-invalid') === 'true');
        t.is(await tab.text('.panel .field .wrong:not([hidden])'),
             'A whole number from 1 to 30.', `muted for "${days}" days: no`);
    }
    t.is(await t.sql(`select count(muted_until) from iclock.device
                       where serial_number = 'PANEL00001'`), '0',
         'and it counts as before');

    await tab.fill('Days (1 to 30)', '3');
    await mute();
    await tab.looks('device-muted');
    await dismiss();

    await tab.goto('#/devices/PANEL00003');
    await tab.click('Approve again… Gate 3');
    await tab.see('Its punches are placed by this zone from now on.');
    await tab.looks('approve-again');
    await tab.fill('Time zone', 'Asia/Dubai');
    await tab.click('Approve Gate 3');
    await tab.see('Gate 3 is approved.');
    await closed();
    t.is(tab.requests.filter((r) => /^P.*PANEL00003/.test(r)).slice(-2)
         .map((r) => r.replace(/ .*\/devices/, ' ')),
         ['PATCH /PANEL00003', 'POST /PANEL00003/approve'],
         'approved again: by its new zone from the first punch on');
    await t.sql(`select iclock.block_device('PANEL00003')`);
    await dismiss();

    // a person: what can be done, one form in the place of the other

    await tab.goto('#/people/1001');
    for (const [act, words, name] of [
        ['Copy to…', 'The name, the card and the rights are sent.', 'copy'],
        ['Enrol at a device…', 'within 60 s', 'enrol'],
        ['Change…', 'Save Asha Rao', 'change'],
        ['Remove from…', 'Punches stay.', 'remove-from'],
    ]) {
        await tab.click(act, '.panel button');
        await tab.see(words);
        await tab.looks(`people-${name}`);
        await tab.click('Back to Asha Rao', '.panel button');
    }

    // a line that was not stored

    await t.sql('update iclock.device set muted_until = null');
    await tab.goto('#/problems');
    await tab.page.reload();
    await tab.click('Ask again…');
    await tab.see('Lines that are wrong in the terminal stay wrong.');
    await tab.looks('problems-ask');
    await tab.press('Escape');
    await closed();

    // many at once, and what was not accepted

    await tab.goto('#/fleet?site=Nashik');
    await tab.until(() => document.querySelectorAll('.rows > .row').length > 5);
    await tab.page.focus('.rows > .row[tabindex="0"]');
    for (let i = 0; i < 21; i++) {
        await tab.press(' ', 'ArrowDown');
    }
    await tab.see('21 selected');
    await tab.looks('fleet-selected');
    await tab.click('Set clock', '.picked button');
    await tab.see('More than 20 devices at once.');
    await tab.looks('fleet-many');
    tab.allow(/404/);
    await t.sql(`delete from iclock.device
                  where serial_number in ('SOME007', 'SOME008')`);
    await tab.page.focus('dialog input');
    await tab.page.keyboard.type('21');
    await tab.click('Set clock', 'dialog button');
    await tab.see('Set clock: 19 of 21 accepted.', 'many: what was accepted');
    await tab.see('Not accepted');
    await tab.looks('fleet-not-accepted');
    t.is(await t.sql(`select count(*) from iclock.command
                       where body = 'CHECK'`), '19', 'in the database, too');

    // the other ways to show a list

    await tab.goto('#/settings');
    await tab.click('Pages instead of scrolling', 'input[type=checkbox]');
    await tab.choose('Rows', 'compact');
    await tab.goto('#/fleet');
    await tab.see('Door 1');
    await tab.looks('fleet-pages');
    await tab.goto('#/fleet?q=nobody');
    await tab.see('No device matches');
    await tab.looks('fleet-none');
    await tab.goto('#/nowhere');
    await tab.see('There is no such page.');
    await tab.looks('nowhere');
};
