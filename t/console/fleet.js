// Copyright (C) the ngx_http_iclock_module authors

// Fleet and a device: verdict, conditions, acts, and that all of it is true.

'use strict';

const fs = require('fs');
const path = require('path');

const rules = path.join(__dirname, '../../alerts/iclock.rules.yml');


// Where an alert leads, a filter says what is shown.

async function alerts(t, tab) {
    const words = {
        'fleet?c=silent': 'Silent', 'fleet?c=silent_day': 'Silent for a day',
        'fleet?c=quiet': 'No punches', 'fleet?c=clock': 'Clock',
        'fleet?c=missing': 'Punches missing',
        'fleet?c=lines': 'Lines not stored', 'fleet?c=new': 'New',
        'fleet?c=commands': 'Unanswered', 'commands?f=failed': 'Failed',
        'problems': 'All',
    };
    const links = new Set(fs.readFileSync(rules, 'utf8')
        .match(/#\/(?:fleet|commands|problems)[^']*/g));
    const day = (interval) => t.sql(`update iclock.device
        set last_seen = now() - interval '${interval}'
        where serial_number = 'MANY012'`);

    await day('3 days');
    await tab.page.reload();
    await tab.inside();

    for (const link of links) {
        const pattern = new RegExp(`^${words[link.slice(2)]}(?: [\\d,]+)?$`);
        const pressed = () => tab.text('.chip[aria-pressed=true]');

        await tab.goto(link);
        await t.wait(link, async () => pattern.test(await pressed()))
            .catch(() => null);
        t.like(await pressed(), pattern, `${link}: its filter, and no other`);
    }

    await tab.goto('#/fleet?c=silent_day');
    await tab.until(() => document.querySelector('[role=grid]')
                          .getAttribute('aria-rowcount') === '2');
    t.is(await tab.text('.rows .c-serial'), 'MANY012',
         'it leaves what it says');
    t.like(await tab.text('.chip'), /^Silent for a day 1$/m, 'and counts it');
    await tab.goto('#/fleet');
    await tab.until(() => document.querySelector('.chip[aria-pressed=true]')
                          ?.innerText.startsWith('All'));
    t.unlike(await tab.text('.chip'), /for a day/,
             'else it is one of the silent');
    await day('0');
}


// Every column, both ways.  Of nine devices each has another value, 1 to 8 of
// something, each time in another order, and one has none: it is the last, both
// ways.

async function sorts(t, tab, first) {
    const eight = `generate_series(1, 8) as n
                   join iclock.device d on d.serial_number = 'MANY00' || n`;

    await t.sql(`
        update iclock.device d
           set site = 'Hall ' || 4 + n * 4 % 9,
               last_seen = now() - n * 2 % 9 * interval '10 s',
               punch_count = n * 5 % 9 * 10
          from generate_series(1, 8) as n
         where d.serial_number = 'MANY00' || n;
        update iclock.device
           set site = null, last_seen = null, punch_count = -1
         where serial_number = 'MANY009';
        insert into iclock.device_option (device_id, name, value)
        select d.id, 'MaxAttLogCount', '10' from ${eight};
        insert into iclock.device_pulse (device_id, last_punch_at, skew_at,
                                         clock_skew)
        select d.id, now() - n * 7 % 9 * interval '1 day', now(),
               (n % 2 * 2 - 1) * (n * 8 % 9) * interval '3 s' from ${eight}
        on conflict (device_id) do update
        set last_punch_at = excluded.last_punch_at,
            skew_at = excluded.skew_at, clock_skew = excluded.clock_skew;
        insert into iclock.command (device_id, body)
        select d.id, 'INFO' from ${eight}
         cross join generate_series(1, n * 2 % 9)`);
    await tab.page.reload();
    await tab.inside();

    for (const [column, by, back] of [
        ['site', 'site', 'site desc'],
        ['call', 'called desc', 'called'],
        ['punch', 'punched desc', 'punched'],
        ['clock', 'clock', 'clock desc'],
        ['wait', 'waiting', 'waiting desc'],
        ['memory', 'memory', 'memory desc'],
    ]) {
        for (const [sort, order] of [[column, by], ['-' + column, back]]) {
            const expected = await t.sql(`
                select string_agg(serial_number, ' ' order by ${order}
                                      nulls last, serial_number)
                  from (select d.serial_number,
                               substring(d.site from '[0-9]+')::integer as site,
                               d.last_seen as called,
                               u.last_punch_at as punched,
                               abs(extract(epoch from u.clock_skew)) as clock,
                               (select count(*) from iclock.command c
                                 where c.device_id = d.id
                                   and c.status = 'queued') as waiting,
                               nullif(d.punch_count, -1) as memory
                          from iclock.device d
                          left join iclock.device_pulse u on u.device_id = d.id
                         where d.serial_number like 'MANY00_') as d`);
            let got = '';

            await tab.goto(`#/fleet?q=MANY00&s=${sort}`);
            await t.wait(sort, async () => (got = await first()) === expected)
                .catch(() => null);
            t.is(got, expected, `sorted by ${sort}, as SQL does`);
        }
    }

    // of one site

    const rows = (n) => tab.page.evaluate((n) => document.querySelector(
        '[role=grid]').getAttribute('aria-rowcount') === String(n + 1), n);

    await tab.goto('#/fleet');
    for (const site of ['Pune', 'Hall 7']) {
        const n = Number(await t.sql(`select count(*) from iclock.device
            where site = '${site}' and removed_at is null`));

        await tab.choose('Site', site);
        t.ok(await t.wait(site, () => rows(n)).catch(() => false),
             `${site}: ${n} devices, as SQL has`);
        t.is(await tab.page.evaluate(() => new URLSearchParams(
                 location.hash.split('?')[1]).get('site')), site,
             'and the address has it');
    }

    await t.sql(`
        update iclock.device d
           set site = case n % 2 when 0 then 'Pune' else 'Nashik' end,
               last_seen = now() - case n when 7 then interval '42 min'
                                   else interval '0' end, punch_count = -1
          from generate_series(1, 9) as n
         where d.serial_number = 'MANY00' || n;
        delete from iclock.device_option where name = 'MaxAttLogCount';
        update iclock.device_pulse
           set last_punch_at = null, clock_skew = null, skew_at = null;
        delete from iclock.command where body = 'INFO'`);
}


module.exports = async (t) => {
    const add = (sn, name, site, more = '') => t.sql(
        `select iclock.register_device('${sn}', '${name}', '${site}',
                                       'Asia/Kolkata');
         update iclock.device set last_seen = now() ${more}
          where serial_number = '${sn}'`);

    // none, one, many

    let tab = await t.signIn('#/fleet');

    await tab.see('No devices yet.', 'none: words that help');
    await tab.see('http://10.0.0.5:8081', 'with the address for terminals');
    await tab.looks('fleet-empty');

    await add('FLEET00001', 'Gate 1', 'Pune');
    await tab.page.reload();
    await tab.see('Gate 1');
    await tab.see('The active device is online. Nothing needs you.',
                  'one: singular');

    await t.sql(`insert into iclock.rejected_line (device_id, table_name, line,
                                                   reason)
                 select id, 'ATTLOG', 'x', 'no such date' from iclock.device`);
    await tab.page.reload();
    await tab.see('The active device is online. 1 needs you.',
                  'one that needs somebody');
    await t.sql(`truncate iclock.rejected_line;
                 update iclock.device
                    set last_seen = now() - interval '42 min'`);
    await tab.page.reload();
    await tab.see('1 device is silent.', 'one that is silent');

    await t.sql(`select iclock.register_device('MANY' || to_char(n, 'FM000'),
        'Door ' || n, case when n % 2 = 0 then 'Pune' else 'Nashik' end,
        'Asia/Kolkata') from generate_series(1, 418) as n;
        update iclock.device set last_seen = now()`);
    await tab.page.reload();
    await tab.see('All 419 active devices are online. Nothing needs you.',
                  'many: the sentence');
    await tab.looks('fleet');

    // conditions, with what to do

    await t.sql(`update iclock.device
                    set last_seen = now() - interval '42 min'
                  where serial_number = 'MANY007'`);
    await t.sql(`update iclock.device set status = 'blocked'
                  where serial_number = 'MANY008'`);
    await t.device('NEW0000001', 'handshake');
    await tab.page.reload();
    await tab.see(/417 of 418 active devices are online\. 2 need you\./,
                  'what needs somebody is counted');
    await tab.see(/Silent 4[2-9] min/, 'silent: since when');
    await tab.see('Waiting for approval', 'new: what it waits for');
    await tab.looks('fleet-needs');

    // the numbers are those of SQL

    const chips = await tab.text('.chip');

    t.like(chips, /All 420/, 'all');
    t.like(chips, new RegExp('Online ' + await t.sql(`select count(*)
        from iclock.device where status = 'active'
         and last_seen > now() - interval '5 min'`)), 'those online');
    t.like(chips, /Silent 1/, 'those silent');

    // approved: served, and the row changes

    await tab.click('Approve… NEW0000001');
    await tab.fill('Name', 'Gate 5');
    await tab.fill('Site', 'Pune');
    await tab.looks('approve');
    await tab.click('Approve Gate 5');
    await t.wait('it is approved', async () => await t.sql(
        `select status || name from iclock.device
          where serial_number = 'NEW0000001'`) === 'activeGate 5');
    await t.wait('the terminal is served', async () =>
        /GET OPTION FROM/.test(await t.device('NEW0000001', 'handshake')));
    t.ok(true, 'the terminal is served');
    await t.wait('the row', async () => !/Waiting for approval/.test(
        await tab.body()));
    t.ok(true, 'the list knows it without a reload');

    // What others approve is known by its event alone: no list is read.  This
    // page reads none from time to time, either.

    const told = await t.signIn('#/fleet?q=NEW0000002', { prepare: (page) =>
        page.evaluateOnNewDocument(() => {
            const { fetch } = globalThis;

            globalThis.setInterval = () => 0;
            // and may get them late
            globalThis.fetch = async (where, option) => {
                const answer = await fetch(where, option);

                if (/devices\?/.test(where)) {
                    await globalThis.late;
                }
                return answer;
            };
        }) });
    const row = (sn) => told.page.evaluate((sn) =>
        [...document.querySelectorAll('.rows > .row')].find((row) =>
            row.querySelector('.c-serial').textContent === sn)?.textContent,
        sn);

    await told.see('No device matches');
    await t.device('NEW0000002', 'handshake');
    await t.wait('a row', async () => /New/.test(await row('NEW0000002')));

    const lists = () => told.asked('GET', /\/devices\?/).length;
    const singles = () => told.asked('GET', /\/devices\/NEW0000002$/).length;

    await told.settled();

    const [many, single] = [lists(), singles()];

    await t.api('POST', '/devices', { serial_number: 'NEW0000002',
        name: 'Gate 6', site: 'Pune', timezone: 'Asia/Kolkata' });
    await t.wait('the row', async () =>
        /Gate 6.*Pune/.test(await row('NEW0000002')));
    t.ok(true, 'a row of what somebody else has approved');
    t.is(lists() - many, 0, 'no list was read for it');
    t.ok(singles() > single, 'but this device');
    t.note(`${singles() - single} of the device`);
    await tab.goto('#/live');
    for (const gate of ['Gate 5', 'Gate 6']) {
        await tab.until((gate) =>
            [...document.querySelectorAll('.rows > .row')].some((row) =>
                row.textContent.includes(gate)
                && row.textContent.includes('Was approved')), gate);
        t.ok(true, `the event of ${gate} is seen`);
    }

    // a list is read, for so many; who is removed meanwhile does not come back

    await told.page.evaluate(() => {
        globalThis.late = new Promise((resolve) => {
            globalThis.letGo = resolve;
        });
    });
    await t.sql(`select iclock.register_device('NEWER' || n, 'Gate ' || n,
        'Pune', 'Asia/Kolkata') from generate_series(1, 12) as n`);
    await t.wait('a list', async () => told.answers.filter((answer) =>
        /\/devices\?/.test(answer)).length > many);
    await t.api('DELETE', '/devices/NEW0000002');
    await told.see('No device matches');
    await told.page.evaluate(() => globalThis.letGo());
    await told.goto('#/fleet?q=NEW');
    await t.wait('the list', async () => /Gate 4/.test(await row('NEWER4')));
    t.is(await row('NEW0000002') ?? 'none', 'none', 'what is removed stays so');
    await t.close(told);

    await t.sql(`select iclock.delete_device('NEWER' || n)
                   from generate_series(1, 12) as n`);
    await tab.settled();
    await tab.goto('#/fleet');
    await tab.see('Gate 5');

    // sorted, filtered, searched; the address says it

    await tab.page.keyboard.press('/');
    await tab.page.keyboard.type('door 41');
    await tab.see('Door 411');

    const found = 1 + Number(await t.sql(`select count(*) from iclock.device
        where lower(concat_ws(' ', serial_number, name, site))
              like all (array['%door%', '%41%'])`));

    await tab.until((n) => document.querySelector('[role=grid]')
                           .getAttribute('aria-rowcount') === String(n), found);
    t.ok(true, 'a search finds what SQL does');

    const address = await tab.page.evaluate(() => location.hash);

    t.like(address, /q=door/, 'the address has it');

    const copy = await t.open(address, { context: tab.context });

    await copy.enter(t.key);
    await copy.see('Door 411', 'in another tab it is the same');
    await t.close(copy);

    const first = () => tab.page.evaluate(() =>
        [...document.querySelectorAll('.rows > .row')]
            .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).slice(0, 10)
            .map((row) => row.querySelector('.c-serial').innerText).join(' '));

    for (const [sort, by] of [
        ['serial', 'serial_number collate "C"'],
        ['-serial', 'serial_number collate "C" desc'],
    ]) {
        const expected = await t.sql(`select string_agg(serial_number, ' ')
            from (select serial_number from iclock.device d
                   order by ${by} limit 10) as d`);
        let got = '';

        await tab.goto(`#/fleet?s=${sort}`);
        await t.wait(sort, async () => (got = await first()) === expected)
            .catch(() => null);
        t.is(got, expected, `sorted by ${sort}, as SQL does`);
    }

    await tab.goto('#/fleet');
    await tab.click('Blocked 1');
    await tab.until(() => document.querySelector('[role=grid]')
                          .getAttribute('aria-rowcount') === '2');
    t.is(await first(), 'MANY008', 'a filter leaves what SQL does');

    // each number is that of the rows, with devices that are muted, too

    await t.sql(`update iclock.device set last_seen = now()
                  where status = 'active' and serial_number <> 'MANY007';
                 update iclock.device set last_seen = now() - interval '42 min'
                  where serial_number = 'MANY009';
                 update iclock.device set muted_until = now() + interval '1 day'
                  where serial_number in ('MANY007', 'MANY011')`);
    await tab.goto('#/fleet');
    await tab.page.reload();
    await tab.see('Muted 2');
    for (const chip of (await tab.text('.chip')).split('\n')) {
        const n = Number(chip.replace(/.* |,/g, ''));
        const count = () => tab.page.evaluate(() => document.querySelector(
            '[role=grid]').getAttribute('aria-rowcount') - 1);

        await tab.click(chip);
        await tab.until((chip) => document.querySelector(
            '.chip[aria-pressed=true]').innerText.replace(/\s+/g, ' ').trim()
            === chip, chip);
        await t.wait(`${n} rows`, async () => await count() === n)
            .catch(() => null);
        t.is(await count(), n, `${chip}: so many rows`);
    }
    await t.sql('update iclock.device set muted_until = null');
    await alerts(t, tab);
    await sorts(t, tab, first);

    await tab.goto('#/fleet?q=gte%204');
    await tab.see('No device matches', 'nothing found: words');
    await tab.click('Clear filters');

    // far down, by keys

    await tab.until(() => document.querySelector('.rows > .row[tabindex="0"]'));
    await tab.page.focus('.rows > .row[tabindex="0"]');
    await tab.press('End');
    await tab.until(() => document.activeElement
                          .getAttribute('aria-rowindex') === '421');
    t.ok(true, 'End goes to the last row');
    await tab.press('ArrowUp', 'ArrowUp');
    await tab.until(() => document.activeElement
                          .getAttribute('aria-rowindex') === '419');
    t.ok(true, 'arrows from there');
    await t.sleep(5500);
    t.is(await tab.page.evaluate(() =>
             document.activeElement.getAttribute('aria-rowindex')), '419',
         'new data do not take the focus away');

    // in pages: what is shown is a page of the list, with the row of Tab

    await tab.goto('#/settings');
    await tab.click('Pages instead of scrolling', 'input[type=checkbox]');
    await tab.goto('#/fleet');
    for (const page of ['101', '201']) {
        await tab.click('Next', '.pager button');
        await tab.see(`Rows ${page} to`);
    }
    await tab.goto('#/fleet?q=door%2041');
    await tab.until((n) => document.querySelector('[role=grid]')
                           .getAttribute('aria-rowcount') === String(n), found);

    const rows = (more = '') => tab.page.evaluate((more) =>
        document.querySelectorAll('.rows > .row' + more).length, more);

    t.is(await rows(), found - 1, 'a filter: all rows of its page');
    await tab.goto('#/fleet');
    await tab.click('Next', '.pager button');
    await tab.see('Rows 101 to');
    await tab.goto('#/fleet?s=-serial');
    await t.wait('sorted', async () => /^MANY/.test(await first()));
    await tab.settled();
    t.is(await rows('[tabindex="0"]'), 1, 'sorted: Tab comes to a row');
    await tab.goto('#/settings');
    await tab.click('Pages instead of scrolling', 'input[type=checkbox]');

    // the clock of who looks is wrong

    for (const hours of [-1, 1]) {
        await t.sql(`update iclock.device
                        set last_seen = now() - interval '2 min'
                      where serial_number = 'FLEET00001'`);

        const other = await t.signIn('#/devices/FLEET00001', {
            prepare: (page) => page.evaluateOnNewDocument((ms) => {
                const now = Date.now.bind(Date);
                Date.now = () => now() + ms;
            }, hours * 3600000) });

        await other.see(/called [2-5] min ago/i,
                        `a clock that is ${hours} h off changes no age`);
        await t.close(other);
    }

    // one device, blocked and back

    await tab.goto('#/devices/FLEET00001');
    await tab.see('Gate 1');
    await tab.looks('device');

    for (const [name, words] of [
        ['people', 'It has told of no people.'],
        ['commands', 'No commands yet.'],
        ['errors', 'It has reported no error.'],
        ['rejected', 'Every line was stored.'],
        ['check', 'Not checked yet.'],
        ['setup', 'How to connect'],
    ]) {
        await tab.goto(`#/devices/FLEET00001?tab=${name}`);
        await tab.settled();
        await tab.see(words, `device, ${name}: words`);
        await tab.axe(`device, ${name}`);
    }

    // one that is not there

    tab.allow(/404/);
    await tab.goto('#/devices/NOBODY');
    await tab.see('No device NOBODY for this key. It may belong to another'
                  + ' site.', 'a device that is gone: words');

    // and one that goes while it is looked at: what the view asks from time to
    // time does not come

    await tab.page.evaluate(() => {
        globalThis.every = globalThis.setInterval;
        globalThis.setInterval = () => 0;
    });
    await tab.goto('#/devices/MANY010');
    await tab.see('Door 10');
    await tab.until(() =>
        document.querySelector('.stream').dataset.state === 'live');
    await t.api('DELETE', '/devices/MANY010');
    await tab.see('No device MANY010 for this key. It may belong to another'
                  + ' site.', 'removed while it is open: words');
    t.unlike(await tab.text('main'), /Door 10|Set clock/,
             'and nothing to be done');
    await tab.page.evaluate(() => {
        globalThis.setInterval = globalThis.every;
    });

    // a key of one site: each view has something of it, and nothing of what
    // there is of another

    for (const [sn, name, pin] of [['MANY002', 'Pune-too', '8000'],
                                   ['MANY005', 'Nashik-only', '9000']])
    {
        await t.sql(`update iclock.device set name = '${name}'
                      where serial_number = '${sn}'`);
        await t.device(sn, 'handshake');
        await t.device(sn, 'punches', `${pin}1\t2026-11-20 15:11:02\t0\t1`,
                                      `${pin}2\t2026-02-30 08:31:00\t0\t1`);
        await t.api('POST', '/users', { user_id: `${pin}1`, name,
                                        device_ids: [sn] });
    }

    const key = await t.makeKey({ name: 'pune', sites: ['Pune'],
        scopes: ['devices:read', 'events:read', 'logs:read', 'users:read',
                 'commands:read'] });

    const other = await t.signIn('#/fleet?q=MANY00', { key });
    const foreign = /Nashik|9000\d|MANY00[13579]/;

    for (const [view, words] of [['fleet?q=MANY00', 'Pune-too'],
                                 ['people', 'Pune-too'],
                                 ['commands', 'Put person 80001'],
                                 ['problems', 'Pune-too: 1 line'],
                                 ['live', '80001']])
    {
        await other.goto('#/' + view);
        await other.see(words, `${view}: what is of the site`);
        await other.settled();
        t.unlike(await other.body(), foreign, `${view} of one site only`);
    }

    // what happens while it looks

    await other.see(/Live, \d+ a minute/);
    for (const [sn, pin] of [['MANY005', '90003'], ['MANY002', '80003']]) {
        await t.device(sn, 'punches', `${pin}\t2026-11-20 15:11:03\t0\t1`);
    }
    await other.see('80003', 'live: a punch of the site');
    t.unlike(await other.body(), foreign, 'and none of another');

    // each line that was not stored

    await other.goto('#/problems');
    await other.click('Read');
    await other.see('80002', 'problems: a line of the site');
    t.unlike(await other.body(), foreign, 'and none of another');

    other.allow(/404/);
    await other.goto('#/devices/MANY007');
    await other.see('No device MANY007 for this key. It may belong to another'
                    + ' site.', 'a device of another site: words');
    t.unlike(await other.body(), /Door 7|Nashik/, 'and no more than that');
};
