// Copyright (C) the ngx_http_iclock_module authors

// People: put on terminals, sent again, removed; what cannot be is said.

'use strict';

module.exports = async (t) => {
    const terminals = Array.from({ length: 14 }, (_, i) =>
        `PEOPLE${String(i + 1).padStart(2, '0')}`);

    await t.sql(terminals.map((sn, i) =>
        `select iclock.register_device('${sn}', 'Gate ${i + 1}', 'Pune',
                                       'Asia/Kolkata')`).join(';'));

    // this one takes PINs of four characters
    await t.sql(`insert into iclock.device_option (device_id, name, value)
                 select id, 'PIN2Width', '4' from iclock.device
                  where serial_number = 'PEOPLE14'`);

    let tab = await t.signIn('#/people');

    await tab.see('No people yet.', 'an empty list has words');
    await tab.looks('people-empty');

    // somebody new, on all of them

    await tab.click('Add person…');
    await tab.fill('PIN', '10010');
    await tab.fill('Name', 'Asha Rao');
    await tab.fill('Department', 'Assembly');
    await tab.click('Select all shown', 'input[type=checkbox]');
    await tab.see('14 chosen');
    await tab.looks('people-add');
    await tab.click('Add Asha Rao on 14 devices');
    await tab.see('Asha Rao waits for 13 devices.', 'what waits is said');
    await tab.see('the terminal takes PINs of at most 4 characters',
                  'and why one cannot');
    t.is(await t.sql(`select count(distinct device_id) from iclock.command
                       where body like '%PIN=10010%'`), '13',
         'so it is in the database');

    await tab.see('13 waiting', 'the list knows it');
    await tab.looks('people');

    // it arrives

    for (const sn of terminals.slice(0, 3)) {
        await t.terminal(sn, 'online');
        await t.terminal(sn, 'work_off');
    }
    await tab.see('3 of 13', 'it arrives at three');

    // the panel

    await tab.page.evaluate(() => {
        document.querySelector('.rows > .row').click();
    });
    await tab.see('On terminals');
    t.like(await tab.page.evaluate(() => location.hash), /#\/people\/10010/,
           'the panel has an address');
    await tab.see('Has it');
    await tab.looks('people-person');

    // what one key was told of a terminal is not for the next one

    const left = () => tab.text('.panel').then((words) =>
        /at most 4 characters/.test(words));

    t.ok(await left(), 'it has who was left out, and why');
    await t.sql(`update iclock.device set site = 'Nashik'
                  where serial_number = 'PEOPLE14'`);
    await tab.goto('#/settings');
    await tab.click('Sign out');
    await tab.enter(await t.makeKey({ name: 'pune', sites: ['Pune'],
        scopes: ['users:read', 'devices:read', 'commands:read'] }));
    await tab.goto('#/people/10010');
    await tab.see('On terminals');
    t.ok(!await left(), 'which a key of another site is not told');
    await t.sql(`update iclock.device set site = 'Pune'
                  where serial_number = 'PEOPLE14'`);
    await tab.goto('#/settings');
    await tab.click('Sign out');
    await tab.enter(t.key);
    await tab.goto('#/people/10010');
    await tab.see('On terminals');

    // a finger for fourteen: one of them refuses it, and says why

    await t.terminal('PEOPLE04', 'new', 'cannot', ['DATA UPDATE FINGERTMP']);
    for (const sn of terminals) {
        await t.terminal(sn, 'online');
    }
    await t.api('POST', '/users', { user_id: '2002', name: 'Lata Shah',
        device_ids: terminals, templates: [{ type: 'fingerprint', index: 3,
            data: Buffer.from('a finger').toString('base64') }] });
    for (const sn of terminals) {
        await t.terminal(sn, 'work_off');
    }
    await tab.goto('#/people/2002');
    await tab.until(() => document.querySelectorAll('.panel .places .place')
                          .length === 14);
    await tab.see(/Gate 4 Failed: \S+/, 'a finger that one refuses');

    const why = await t.sql(`select s.result from iclock.command_status s
        where s.status = 'failed' and s.serial_number = 'PEOPLE04'
        order by s.id desc limit 1`);

    t.ok(why.length > 3, 'there are words for it', why);
    t.is(await tab.page.evaluate(() =>
             [...document.querySelectorAll('.panel .place')].map((place) =>
                 place.innerText.replace(/\s+/g, ' ').trim()).sort()),
         terminals.map((sn, i) => `Gate ${i + 1} ` + (i === 3
             ? `Failed: ${why}` : 'Has it')).sort(),
         'the reason is in words, thirteen have it');
    await tab.see('1 failed', 'and the list says so');
    await tab.goto('#/devices/PEOPLE01?tab=people');
    await tab.see(/2002 Lata Shah\b.*\b1 finger/, 'a terminal that has it');
    await tab.goto('#/people/2002');
    await tab.see('On terminals');
    await tab.axe('a finger that one refuses');

    // sent again: what puts it there, and nothing else that ever failed

    await t.sql(`
        insert into iclock.command (device_id, body, status, return_code,
                                    sent_at, finished_at)
        select d.id, c.body, 'failed', -1, now(), now()
          from iclock.device d,
               (values (E'ENROLL_FP PIN=2002\\tFID=1\\tRETRY=3\\tOVERWRITE=1'),
                       ('DATA DELETE USERINFO PIN=2002')) as c (body)
         where d.serial_number = 'PEOPLE04'`);
    await tab.click('Send again');
    await tab.see('Lata Shah waits for 1 device.');
    t.is(await t.sql(`select string_agg(distinct left(body, 20), ', '
                                        order by left(body, 20))
                        from iclock.command where status = 'queued'
                         and body like '%PIN=2002%'`),
         'DATA UPDATE FINGERTM, DATA UPDATE USERINFO',
         'sent again: what puts it there');

    // a card that was replaced, and the new one waits for the first device: not
    // the old one is sent there again

    await t.sql(`
        insert into iclock.device_user (device_id, pin, name, card)
        select id, '2003', 'Nila Sen', '111' from iclock.device
         where serial_number in ('PEOPLE05', 'PEOPLE06')`);
    await t.api('PATCH', '/users/2003', { card: '222' });
    await t.sql(`
        update iclock.command c
           set status = 'done', return_code = 0, sent_at = now(),
               finished_at = now()
          from iclock.device d
         where d.id = c.device_id and d.serial_number = 'PEOPLE06'
           and c.body like '%PIN=2003%';
        update iclock.device_user u set card = '222'
          from iclock.device d
         where d.id = u.device_id and d.serial_number = 'PEOPLE06'
           and u.pin = '2003'`);

    const sendsAgain = async () => {
        const last = () => t.sql(`select max(id) from iclock.command
                                   where body like '%PIN=2003%'`);
        const had = await last();

        await tab.click('Send again');
        await t.wait('it is sent again', async () => await last() !== had);
    };

    await tab.goto('#/people/2003');
    // the person before is on a Gate 6, too
    await tab.until(() => /Nila Sen[^]*Gate 6\s+Has it/.test(
        document.querySelector('.panel')?.innerText));
    await sendsAgain();
    t.is(await t.sql(`
        select substring(c.body from 'Card=([0-9]*)')
          from iclock.command c join iclock.device d on d.id = c.device_id
         where d.serial_number = 'PEOPLE05' and c.status = 'queued'
           and c.body like 'DATA UPDATE USERINFO PIN=2003%'
         order by c.id desc limit 1`), '222',
         'sent again: the card that the others have, not the one before');

    // nor is a name put back that somebody else has changed meanwhile

    await t.api('PATCH', '/users/2003', { name: 'Nila Bose' });
    await sendsAgain();
    t.is(await t.sql(`select distinct name from iclock.person
                       where pin = '2003'`), 'Nila Bose',
         'sent again: by the name of now');
    await tab.goto('#/people/10010');
    await tab.see('Asha Rao');
    await tab.see('On terminals');

    // A lost answer, and the same request again: to a terminal that takes it.
    // The others have the person, or cannot.

    await t.sql(`select iclock.register_device('PEOPLE15', 'Gate 15', 'Pune',
                                               'Asia/Kolkata')`);
    await tab.page.reload();
    await tab.see('On terminals');

    await tab.page.setRequestInterception(true);

    const keys = [];
    let lost = false;
    const intercept = (request) => {
        if (request.method() === 'POST') {
            keys.push(request.headers()['idempotency-key']);
            if (!lost) {
                lost = true;
                fetch(request.url(), { method: 'POST',
                    headers: request.headers(), body: request.postData() })
                    .then(() => request.abort('connectionreset'));
                return;
            }
        }
        request.continue().catch(() => null);
    };

    tab.allow(/ERR_|Failed to load/);
    tab.page.on('request', intercept);

    await tab.click('Copy to…');
    await tab.click('Gate 15 Pune', 'input[type=checkbox]');
    await tab.click('Copy to 1 device');
    await t.wait('a second request', () => keys.length >= 2);
    t.is(new Set(keys).size, 1, 'it is sent again by the same name');
    await tab.see('Asha Rao waits for 1 device.');
    t.is(await t.sql(`select count(*) || ' of ' || count(distinct c.body)
                        from iclock.command c
                        join iclock.device d on d.id = c.device_id
                       where d.serial_number = 'PEOPLE15'`), '1 of 1',
         'and done once');
    tab.page.off('request', intercept);
    await tab.page.setRequestInterception(false);
    await t.sql("select iclock.delete_device('PEOPLE15')");
    await tab.page.reload();
    await tab.see('On terminals');

    // removed from some, and from all

    await tab.goto('#/people/10010');
    await tab.see('On terminals');
    await tab.click('Remove from…');
    await tab.see('Punches stay.');
    await tab.click('Select all shown', 'input[type=checkbox]');
    await tab.click('Remove from 13 devices');
    await tab.see('Type 10010 to confirm', 'all: the PIN has to be typed');

    const act = await tab.element('dialog button', 'Remove from 13 devices');

    t.ok(await act.evaluate((b) => b.disabled), 'not before');
    await tab.looks('people-remove');
    await tab.page.focus('dialog input');
    await tab.page.keyboard.type('10011');
    t.ok(await act.evaluate((b) => b.disabled), 'nor with another PIN');
    await tab.press('Backspace');
    await tab.page.keyboard.type('0');
    await act.click();
    await t.wait('deletions', async () => await t.sql(
        `select count(distinct device_id) >= 3 from iclock.command
          where body like 'DATA DELETE USERINFO PIN=10010%'`) === 't');
    t.ok(true, 'they are told to delete');

    // taken back: nothing has failed, whatever events tell

    const strips = await tab.page.evaluateHandle(() => {
        const told = { said: [], failed: false };

        new MutationObserver(() =>
            document.querySelectorAll('.strip').forEach((strip) => {
                told.failed ||= strip.classList.contains('failed');
                if (told.said.at(-1) !== strip.textContent) {
                    told.said.push(strip.textContent);
                }
            })).observe(document.body, { subtree: true, childList: true,
                                         attributes: true });
        return told;
    });
    const afresh = () => strips.evaluate((told) => {
        document.querySelectorAll('.strip button[aria-label=Dismiss]')
            .forEach((b) => b.click());
        Object.assign(told, { said: [], failed: false });
    });
    const said = (words) => t.wait(words, () => strips.evaluate(
        (told, words) => told.said.some((text) => text.includes(words)),
        words));

    await afresh();
    await tab.goto('#/people');
    await tab.until(() =>
        document.querySelector('.stream').dataset.state === 'live');
    await tab.click('Add person…');
    await tab.fill('PIN', '3003');
    await tab.fill('Name', 'Ravi Nair');
    await tab.click('Select all shown', 'input[type=checkbox]');
    await tab.click('Add Ravi Nair on 14 devices');
    await said('Ravi Nair waits for 14 devices.');
    await tab.click('Undo');
    await said('Cancelled: 14 of 14; sent already: 0.');

    // what comes after their events has come
    await tab.goto('#/live');
    await t.device('PEOPLE01', 'punches', '3003\t2026-11-20 15:11:02\t0\t1');
    await tab.see('15:11:02');
    t.is(await strips.evaluate((told) => [told.failed, told.said.filter(
             (text) => text.includes('failed'))]), [false, []],
         'a person taken back: nothing has failed');

    // the same of a finger

    await afresh();
    await tab.goto('#/people/2002');
    await tab.see('On terminals');
    await tab.click('Enrol at a device…');
    await tab.choose('Device', 'Gate 2');
    await tab.click('Ask Gate 2 for it');
    await said('Gate 2 is told at its next call.');
    await tab.click('Undo');
    await said('Cancelled: 1 of 1; sent already: 0.');
    // it is asked for, unless that has been read for long enough
    await tab.until(() => !document.querySelector('.strip')
        || /Gate 2: /.test(document.querySelector('.strips').innerText));
    t.is(await strips.evaluate((told) => told.failed), false,
         'an enrolment taken back: it has not failed');
    await tab.press('Escape');

    // more requests than the key may make now: an act goes on

    const answers = [];
    const instead = (request) => {
        const status = request.method() === 'GET' ? 0 : answers.shift();

        if (status) {
            request.respond({ status, headers: { 'Retry-After': '1' },
                contentType: 'application/problem+json',
                body: JSON.stringify(status === 503
                    ? { status, code: 'unavailable',
                        detail: 'nobody knows whether this was done' }
                    : { status, detail: 'not now' }) });
        } else {
            request.continue().catch(() => null);
        }
    };

    tab.allow(/429|404|503/);
    await tab.page.setRequestInterception(true);
    tab.page.on('request', instead);

    await afresh();
    await tab.goto('#/people');
    await tab.click('Add person…');
    await tab.fill('PIN', '4004');
    await tab.fill('Name', 'Dev Patil');
    await tab.click('Select all shown', 'input[type=checkbox]');
    // and its answer is lost, after that
    answers.push(429, 429, 429, 429, 503);
    await tab.click('Add Dev Patil on 14 devices');
    await said('Dev Patil waits for 14 devices.');
    answers.push(0, 0, 429, 0, 429, 429);
    await tab.click('Undo');
    await said('Cancelled: 14 of 14; sent already: 0.');
    t.is(await t.sql(`select string_agg(distinct status, ' ')
                        from iclock.command where body like '%PIN=4004%'`),
         'cancelled', 'too many requests: all are taken back');

    // one of them does not have it any more, and of another nobody knows

    const deletions = (status) => t.sql(`
        select string_agg(d.serial_number, ' ')
          from iclock.command c join iclock.device d on d.id = c.device_id
         where c.body = 'DATA DELETE USERINFO PIN=2002'
           and c.status = '${status}'`);

    await tab.goto('#/people/2002');
    await tab.see('On terminals');
    await tab.click('Remove from…');
    for (const gate of ['Gate 1 Pune', 'Gate 2 Pune', 'Gate 3 Pune']) {
        await tab.click(gate, 'input[type=checkbox]');
    }
    await tab.click('Remove from 3 devices');
    await afresh();
    answers.push(404, 429, 0, 503);
    await tab.click('Remove from 3 devices', 'dialog button');
    await said('Whether it was done is not known.');
    t.is(await deletions('queued'), 'PEOPLE02', 'removed, as far as it went');
    await tab.click('Undo');
    await said('Cancelled: 1 of 1; sent already: 0.');
    t.is([await deletions('queued'), await deletions('cancelled')],
         ['', 'PEOPLE02'], 'and back');
    tab.page.off('request', instead);
    await tab.page.setRequestInterception(false);

    // who has read far stays there, and sees what changes

    await t.sql(`insert into iclock.device_user (device_id, pin, name)
                 select id, to_char(n, 'FM0000'), 'Person ' || n
                   from iclock.device, generate_series(5001, 5450) as n
                  where serial_number = 'PEOPLE01'`);
    await tab.goto('#/fleet');
    await tab.goto('#/people');
    for (const some of ['200 people r', '400 people r', '45\\d people\\.']) {
        await tab.see(new RegExp(some));
        await tab.page.evaluate(() =>
            window.scrollTo(0, document.documentElement.scrollHeight));
    }
    await tab.see('Person 5450');
    await t.sql(`update iclock.device_user set name = 'Meera Iyer'
                  where pin = '5450'`);
    await t.api('POST', '/users', { user_id: '5450', name: 'Meera Iyer',
                                    device_ids: ['PEOPLE01'] });
    await tab.see('Meera Iyer', 'far below: what changes is seen');
    t.like(await tab.body(), /45\d people\./, 'and all of them');

    // a search, by the server, and by the address

    await tab.goto('#/people?q=nobody');
    await tab.see('No person matches', 'a search without a result has words');
    await tab.click('Clear filters');
    await t.wait('the address', () => tab.page.evaluate(() =>
        location.hash === '#/people'));

    // a key that may not cancel is offered no way back, and what it may not
    // follow does not stay

    const few = await t.signIn('#/people', { key: await t.makeKey({
        name: 'few', scopes: ['devices:read', 'devices:write', 'users:read',
                              'users:write'] }) });

    few.allow(/403/);
    await few.settled();
    await few.click('Add person…');
    await few.fill('PIN', '7007');
    await few.click('Gate 1 Pune', 'input[type=checkbox]');
    await few.click('Add 7007 on 1 device');
    await few.see('7007 waits for 1 device.');
    t.ok(!await few.has('Undo'), 'a key that may not cancel: no way back');
    await few.goto('#/devices/PEOPLE01');
    await few.click('Set clock', 'main button');
    await few.until(() => [...document.querySelectorAll('.strip.over')]
        .some((strip) => /take the time of the server/
              .test(strip.textContent)));
    t.ok(true, 'nor does it follow what it may not read');
};
