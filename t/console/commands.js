// Copyright (C) the ngx_http_iclock_module authors

// Commands and problems: what waits, what failed and why, what can be done.

'use strict';

module.exports = async (t) => {
    await t.sql(`select iclock.register_device('CMD00001', 'Gate 4', 'Pune',
                                               'Asia/Kolkata'),
                        iclock.register_device('CMD00002', 'Store 2', 'Nashik',
                                               'Asia/Kolkata')`);
    await t.terminal('CMD00001', 'online');

    let tab = await t.signIn('#/commands');

    await tab.see('Nothing is under way.', 'an empty list has words');
    await tab.looks('commands-empty');

    // one that waits, and is taken back

    await t.api('POST', '/devices/CMD00002/reboot');

    const what = await t.sql(`select coalesce(
        (iclock_api.commands_json(array[max(id)]))[1] ->> 'words',
        (iclock_api.commands_json(array[max(id)]))[1] ->> 'command')
        from iclock.command`);

    // devices, and so their names, come later than the command
    const held = await tab.hold(/\/v1\/devices/);

    await tab.page.reload();
    await tab.see(/Waits/, 'one that waits');
    await tab.element('button', `Cancel: ${what}, CMD00002`);
    await held();
    await tab.element('button', `Cancel: ${what}, Store 2`);
    t.ok(true, 'a name that comes late is in the label, too');
    await t.sql(`update iclock.command set not_before = now() + interval '1 day'
                  where status = 'queued'`);
    await tab.page.reload();
    await tab.see(/Waits until [^:]+, \d\d:\d\d/, 'put off: until when');

    await tab.looks('commands');
    await tab.click(`Cancel: ${what}, Store 2`);
    await tab.see('was cancelled', 'it is taken back');
    t.is(await t.sql(`select status from iclock.command
                       order by id desc limit 1`), 'cancelled',
         'so it is in the database');

    // too late: the page does not know yet

    const id = (await t.api('POST', '/devices/CMD00002/reboot'))[1]
        .commands[0].id;

    await tab.page.reload();
    await tab.see(/Waits/);

    // it may learn of it by itself, and take the button away
    const late = await tab.element('.rows button', 'Cancel: ', false);

    await t.device('CMD00002', 'handshake');
    await t.wait('it is sent', async () =>
        /REBOOT/.test(await t.device('CMD00002', 'poll')));
    tab.allow(/409/);
    await late.evaluate((button) => button.click());
    await tab.see(/Too late/, 'too late: said so');

    // nor has one been sent that somebody else has taken back meanwhile

    const other = (await t.api('POST', '/devices/CMD00001/reboot'))[1]
        .commands[0].id;

    await tab.page.reload();

    const taken = await tab.element('.rows button', 'Cancel: ', false);

    await t.api('DELETE', `/commands/${other}`);
    await taken.evaluate((button) => button.click());
    await tab.see(/Cancel “[^”]+” for (Gate 4|CMD00001)\. Cancelled/,
                  'taken back by another: said so');

    // one that failed, its reason in words, and again

    await t.device('CMD00002', 'ack', id, -1001, 'REBOOT');
    await tab.goto('#/commands?f=failed');
    await tab.see(/Failed: .+\(−1001\)/, 'why it failed, in words');
    t.like(await tab.body(), new RegExp(await t.sql(
        `select result from iclock.command_status where id = ${id}`)
        .then((words) => words.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))),
        'those of the table of labels');
    await tab.looks('commands-failed');
    tab.allow(/404/);
    await tab.goto('#/commands?f=failed&device=NOBODY');
    await tab.see('Not found for this key. It may belong to another site.');
    t.unlike(await tab.text('main'), /−1001|Nothing has/,
             'a device that is gone: no other rows');
    await tab.goto('#/commands?f=failed');
    await tab.see(/Failed: .+\(−1001\)/);
    t.unlike(await tab.text('main'), /Not found/, 'and nothing is left of it');
    await tab.page.evaluate(() => [...document.querySelectorAll('button')]
        .find((b) => /^Again/.test(b.textContent)).click());
    await t.wait('another', async () => await t.sql(
        `select count(*) from iclock.command
          where body = 'REBOOT' and status = 'queued'`) === '1');
    t.ok(true, 'again');

    // an answer that comes after that of a later question is not shown

    const done = /\/v1\/commands\?.*status=done/;
    const letGo = await tab.hold(done);

    await tab.goto('#/commands?f=done');
    await t.wait('asked for', async () => letGo.all.length > 0);
    await tab.goto('#/commands?f=failed');
    await tab.see(/Failed: .+\(−1001\)/);
    await letGo();
    await tab.read(done);
    t.like(await tab.body(), /Failed: .+\(−1001\)/,
           'a slow answer to an earlier question is left aside');

    // what came by SQL, which no key may repeat

    await t.sql(`insert into iclock.command (device_id, body, status,
                        return_code, sent_at)
                 select id, 'AC_UNLOCK', 'failed', -1, now()
                   from iclock.device where serial_number = 'CMD00002'`);
    await tab.page.reload();
    await tab.click('Again: Open the door, Store 2');
    await tab.see('No key may send this command', 'it is said who can');
    t.is(await t.sql(`select count(*) from iclock.command
                       where body = 'AC_UNLOCK'`), '1', 'it is not done');

    // what has waited for days, and failed today; what expired is not counted

    await t.sql(`insert into iclock.command (device_id, body, status,
                        return_code, created_at, sent_at, finished_at)
                 select d.id, c.body, c.status, c.code,
                        now() - interval '3 days', now(), c.at
                   from iclock.device d,
                        (values ('CHECK', 'failed', -5, now()),
                                ('INFO', 'failed', -5,
                                 now() - interval '2 days'),
                                ('LOG', 'expired', null, now()))
                            as c (body, status, code, at)
                  where d.serial_number = 'CMD00001'`);
    // asked later, and more than are read at once
    await t.sql(`insert into iclock.command (device_id, body, status,
                        created_at, sent_at, finished_at)
                 select d.id, 'INFO', 'failed', now() - interval '3 days',
                        now() - interval '2 days', now() - interval '2 days'
                   from iclock.device d, generate_series(1, 250)
                  where d.serial_number = 'CMD00001'`);
    await t.close(tab);
    tab = await t.signIn('#/commands?f=failed');
    await tab.see('Store 2');
    await t.wait('rows of Gate 4', async () =>
        (await tab.text('.rows')).match(/Gate 4/g)?.length === 2)
        .catch(() => null);
    t.is((await tab.text('.rows')).match(/Gate 4/g)?.length, 2,
         'commands are listed by when they ended');

    const failed = await t.sql(`select 'Failed ' || count(*)
        from iclock.command where status = 'failed'
         and coalesce(finished_at, now()) > now() - interval '1 day'`);

    for (const f of ['failed', 'open']) {
        await tab.goto(`#/commands?f=${f}`);
        await t.wait(failed, async () => (await tab.text('.chip'))
            .split('\n').includes(failed)).catch(() => null);
        t.ok((await tab.text('.chip')).split('\n').includes(failed),
             `${f}: ${failed}`, await tab.text('.chip'));
    }
    await tab.goto('#/problems');
    await tab.see(/Gate 4: [^:]*Failed/, 'so they are among the problems');
    await t.close(tab);

    // problems: a line that cannot be stored, byte for byte

    await t.device('CMD00002', 'punches', '1077\t2026-02-30 08:31:00\t0\t1');
    tab = await t.signIn('#/problems');
    await tab.see('Lines not stored');
    await tab.click('Read');
    await tab.see(/1077 ?TAB ?2026-02-30 08:31:00 ?TAB ?0 ?TAB ?1/,
                  'the line as it came, with its TABs');
    await tab.looks('problems');

    // more of them than are listed

    await t.sql(`insert into iclock.rejected_line (device_id, table_name, line,
                                                   reason)
                 select id, 'ATTLOG', ('x' || n)::bytea, 'no such date'
                   from iclock.device, generate_series(1, 60) as n
                  where serial_number = 'CMD00002'`);
    await tab.see('Lines not stored 61', 'all are counted');
    t.like(await tab.text('main'), /The newest 50 are read/, 'though not read');

    // what has failed, and was done since then; and a device that is muted

    const problems = async (is, about) => {
        await tab.page.reload();
        await t.wait(about, async () => is(await tab.text('main')))
            .catch(() => null);
        t.ok(is(await tab.text('main')), about, await tab.text('main'));
    };

    await t.sql(`update iclock.command c set subject = 'clock'
                   from iclock.device d
                  where d.id = c.device_id and c.status = 'failed'
                    and d.serial_number = 'CMD00001';
                 insert into iclock.command (device_id, body, status, subject,
                                             sent_at)
                 select id, 'CHECK', 'done', 'clock', now()
                   from iclock.device where serial_number = 'CMD00001'`);
    await problems((words) => /Store 2: /.test(words) && !/Gate 4/.test(words),
                   'problems: nothing that was done later');
    await t.sql(`update iclock.device set muted_until = now() + interval '1 day'
                  where serial_number = 'CMD00002'`);
    await problems((words) => /notifications/.test(words)
                              && !/Store 2|CMD00002/.test(words),
                   'problems: nothing of a device that is muted');
    t.like(await tab.text('.chip'), /^Lines not stored 0$/m,
           'nor is it counted');
    await t.sql(`update iclock.device set muted_until = null
                  where serial_number = 'CMD00002'`);

    // bytes that are no text, and a blank at its end

    await t.sql(`insert into iclock.rejected_line (device_id, table_name, line,
                                                   reason)
                 select id, 'ATTLOG', decode('3130ff0920', 'hex'), 'no text'
                   from iclock.device where serial_number = 'CMD00002'`);
    await tab.goto('#/devices/CMD00002?tab=rejected');

    const newest = () => tab.page.evaluate(() => {
        const line = document.querySelector('code.line');

        return line && [line.textContent, getComputedStyle(line).whiteSpace];
    });

    await t.wait('it is listed', async () =>
        (await newest())?.[0].startsWith('10')).catch(() => null);
    t.is(await newest(), ['10\\xff TAB  ', 'pre-wrap'],
         'a line that is no text: its bytes, and the blank behind them');
    await tab.goto('#/problems');

    // the terminal holds more than is stored

    for (let n = 0; n < 31; n++) {
        await t.terminal('CMD00001', 'punch', '1001',
            `2026-11-20 08:00:${String(n).padStart(2, '0')}`, 'withhold', 1);
    }
    await t.sql(`insert into iclock.attendance_check
        (device_id, starts, ends, status, device_count, stored_count,
         attempts, max_attempts, finished_at)
        select id, '2026-11-20', '2026-11-20 23:59:59', 'differs', 31, 0, 3,
               3, now()
          from iclock.device where serial_number = 'CMD00001'`);
    await tab.page.reload();
    await tab.see('terminal holds 31, stored 0');

    // taken back, nothing is on its way

    const row = () => tab.text('.problem .need');

    await tab.click('Fetch 31');
    // which goes by itself after a while
    const undo = await tab.element('button', 'Undo');
    await t.wait('on its way', async () => /On its way/.test(await row()));
    await undo.evaluate((button) => button.click());
    await t.wait('taken back', async () => /Fetch 31/.test(await row()));
    t.unlike(await row(), /On its way/, 'what was taken back is not coming');

    // nor when the terminal cannot answer

    await tab.click('Fetch 31');
    await t.wait('on its way', async () => /On its way/.test(await row()));
    await t.sql(`update iclock.command
                    set status = 'failed', finished_at = now(),
                        return_code = -1
                  where body like 'VERIFY SUM%' and status = 'queued'`);
    await t.wait('it has failed', async () => /Fetch 31/.test(await row()));
    t.ok(true, 'nor is what has failed');

    await tab.click('Fetch 31');
    await t.wait('it is asked', async () => await t.sql(
        `select count(*) from iclock.attendance_check
          where status in ('asking', 'filling')`) !== '0');
    t.ok(true, 'it is asked for them');

    const state = () => t.sql(`select status from iclock.attendance_check
                                order by id desc limit 1`);

    await t.wait('they agree', async () => {
        await t.terminal('CMD00001', 'work_off');
        return await state() === 'agreed';
    });
    t.is(await t.sql(`select count(*) from iclock.punch p
                        join iclock.device d on d.id = p.device_id
                       where d.serial_number = 'CMD00001'`), '31',
         'the terminal sends them');
    await tab.until(() => !/terminal holds 31/.test(document.body.innerText));
    t.ok(true, 'nothing is missing any more');
    await tab.goto('#/devices/CMD00001?tab=check');
    await tab.see('Agrees', 'and the check says that they agree');
    await tab.click('Fetch what is missing');
    await tab.see('No punches are missing, as far as terminals were asked.',
                  'nothing is missing: nothing is asked for');
    await tab.goto('#/problems');
    await tab.see('Lines not stored');
    await tab.until(() => !/Not known yet/.test(document.body.innerText));

    // an all-clear is withheld when it is not known

    await t.sql(`truncate iclock.rejected_line, iclock.attendance_check`);
    await t.sql(`update iclock.command set status = 'cancelled',
                        finished_at = now() where status = 'failed'`);
    await t.sql(`delete from iclock.device where serial_number = 'CMD00002'`)
        .catch(() => null);
    tab.allow(/ERR_|Failed to load|50[0-9]/);
    await t.nginx('stop');
    await tab.see(/Not known since/, 'no all-clear without a server');
    t.unlike(await tab.body(), /Nothing needs you/, 'none at all');
    await tab.looks('problems-unknown');
    await t.nginx('start');
    await t.wait('it recovers', async () =>
        !/Not known since/.test(await tab.body()), 4);
    t.ok(true, 'and recovers by itself');
};
