// Copyright (C) the ngx_http_iclock_module authors

// Acts on a device, each with its way back; and punches as a file.  What can be
// wrong with one, in words.

'use strict';

const { execFile } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const os = require('os');
const path = require('path');


// Each condition: how the device $d comes to it, and its label, what is said of
// it (* is anything), and what can be done there.  Those that are not about
// silence call so seldom that they do not become silent meanwhile.

const set = (members) => `update iclock.device set ${members} where id = $d`;
const calls = set(`last_seen = now() - interval '1 min', delay = 86400,
                   remote_address = '10.0.3.14'`);
const pulse = (members, values) => `${calls};
    insert into iclock.device_pulse (device_id, ${members})
    values ($d, ${values})`;
const refusal = (reason) => `${calls};
    insert into iclock.device_refusal (device_id, reason, first_at, last_at)
    values ($d, '${reason}', now() - interval '2 hours', now())`;

const conditions = [
    ['silent', set("last_seen = now() - interval '42 min'"),
     /^Silent \d+ min$/, 'Last call * Its punches are safe in the terminal and'
     + ' come when it calls again. Check power and network cable, then Comm.'
     + ' > Cloud Server Setting.', ['How to connect']],
    ['silent_day', set(`last_seen = now() - interval '3 days',
                        punch_count = 100`)
     + `; insert into iclock.device_option (device_id, name, value)
          values ($d, 'MaxAttLogCount', '20')`,
     /^Silent 3 days$/, 'Its punches are safe in the terminal * About 1,900'
     + ' punches fit before its memory is full.', ['How to connect']],
    ['never', 'select 1',
     /^Never called$/, 'Registered on *, no call yet. Enter'
     + ' http://10.0.0.5:8081 in its Cloud Server Setting.',
     ['Copy address']],
    ['new', `${calls}; ` + set(`status = 'pending', delay = null,
                                first_seen = now() - interval '5 min'`),
     /^Waiting for approval$/, 'First call * min ago from 10.0.3.14.'
     + ' It keeps its punches until you approve it. Set its time zone now:'
     + ' punches are placed by it.', ['Approve…', 'Block']],
    ['blocked', `${calls}; set iclock.api_key = 'ops';
                 select iclock.block_device((select serial_number
                     from iclock.device where id = $d));
                 reset iclock.api_key`,
     /^Blocked$/, 'Refused since *, by ops. It keeps its punches and goes on'
     + ' calling.', ['Approve again…']],
    ['key', refusal('key'),
     /^Wrong key$/, 'Calls from 10.0.3.14, but its communication key'
     + ' differs from the one set here.', ['Setup']],
    ['network', refusal('network'),
     /^Wrong network$/, 'Calls from 10.0.3.14, but another network is'
     + ' allowed for it.', ['Setup']],
    ['clock', pulse('clock_skew, skew_at, skew_since',
                    "interval '14 min', now(), now()"),
     /^Clock 14 min fast$/, 'Punches are stored as the terminal says. Is it in'
     + ' Asia/Kolkata? If not, change the zone; else set its clock.',
     ['Zone…', 'Set clock']],
    ['clock', pulse('clock_skew, skew_at, skew_since',
                    "interval '-3 hours', now(), now()"),
     /^Clock 3 h slow$/, 'else set its clock.', ['Zone…', 'Set clock']],
    ['quiet', pulse('quiet_since, quiet_usual', 'now(), 140'),
     /^No punches today$/, 'It calls, but sends no punches; usually 140 by now.'
     + ' Is it in access-control mode, or was its upload switched off?',
     ['Check']],
    ['lines', `${calls};
        insert into iclock.rejected_line (device_id, table_name, line, reason)
        select $d, 'ATTLOG', convert_to('x' || n, 'UTF8'), 'no such date'
          from generate_series(1, 12) as n`,
     /^12 lines not stored$/, 'They can never be stored as they are; they are'
     + ' kept, byte for byte.', ['Read']],
    ['missing', `${calls};
        insert into iclock.attendance_check (device_id, starts, ends, status,
               device_count, stored_count, attempts, max_attempts, finished_at)
        values ($d, '2026-11-20', '2026-11-20 23:59:59', 'differs', 4031, 4000,
                3, 3, now() - interval '2 hours')`,
     /^31 punches missing$/, 'The terminal holds more punches than are stored'
     + ' here.', ['Fetch']],
    ['full', `${calls}; ` + set('punch_count = 930')
     + `; insert into iclock.device_option (device_id, name, value)
          values ($d, 'MaxAttLogCount', '10')`,
     /^Memory 93 % full$/, 'What is stored here stays. Check that nothing is'
     + ' missing before you clear it at the terminal.', ['Check']],
    ['commands', `${calls};
        insert into iclock.command (device_id, body, created_at)
        select $d, 'DATA UPDATE USERINFO PIN=' || n, now() - interval '1 hour'
          from generate_series(1, 4) as n`,
     /^4 commands unanswered$/, 'It calls but does not answer. It may be busy,'
     + ' or not know the command.', ['Show']],
    ['failed', `${calls};
        insert into iclock.command (device_id, body, status, return_code,
                                    sent_at, finished_at)
        values ($d, 'REBOOT', 'failed', -1001, now(), now())`,
     /^1 command failed$/, 'Restart: *−1001*.', ['Show', 'Again']],
    ['muted', set(`last_seen = now() - interval '3 days', note = 'in repair',
                   muted_until = now() + interval '5 days'`),
     /^Muted until .+$/, 'It counts for nothing until then: in repair.',
     ['Count it again']],
];


// Each act that is offered does something: what is seen, or what is so in SQL.

async function acted(t, tab, sn) {
    const at = (place) => () => tab.page.evaluate((place) =>
        location.hash.endsWith(place), place);
    const seen = (words) => async () =>
        (await tab.text('.panel, dialog')).includes(words);
    const queued = (body) => async (id) => await t.sql(
        `select count(*) from iclock.command c
           join iclock.device d on d.id = c.device_id
          where d.serial_number = '${id}' and c.status = 'queued'
            and c.body like '${body}%'`) !== '0';
    const left = new Map([
        ['How to connect', at('?tab=setup')],
        ['Copy address', () => tab.page.evaluate(() => globalThis.copied
            === 'http://10.0.0.5:8081')],
        ['Approve…', seen('Punches are placed by this zone')],
        ['Block', seen('will be refused at its next call')],
        ['Approve again…', seen('are placed by this zone from now on')],
        ['Setup', at('?tab=setup')],
        ['Zone…', seen('Time zone of Gate clock')],
        ['Set clock', queued('CHECK')],
        ['Check', at('?tab=check')],
        ['Read', at('?tab=rejected')],
        // the days in which it holds more, and not all that it holds
        ['Fetch', queued('VERIFY SUM ATTLOG %2026-11-20')],
        ['Show', at('?tab=commands')],
        ['Again', queued('REBOOT')],
        ['Count it again', async (id) => await t.sql(
            `select muted_until is null from iclock.device
              where serial_number = '${id}'`) === 't'],
    ]);

    await tab.page.evaluate(() => {
        navigator.clipboard.writeText = async (text) => {
            globalThis.copied = text;
        };
    });

    for (const [i, [name, , , , acts]] of conditions.entries()) {
        for (const act of acts.filter((each) => left.has(each))) {
            const done = left.get(act);

            left.delete(act);
            await tab.goto(`#/devices/${sn(i)}`);
            await tab.click(act === 'Copy address' ? act
                                                   : `${act} Gate ${name}`,
                            '.todo button');
            t.ok(await t.wait(act, () => done(sn(i))).catch(() => false),
                 `${name}: ${act}: it is done`);
            await tab.press('Escape');
            await tab.until(() => !document.querySelector('.panel, dialog'));
        }
    }

    t.is([...left.keys()], [], 'each act was pressed');
}


async function wrong(t) {
    // nginx counts punches each minute, and writes to this table then
    await t.sql(`update iclock.punch_tally set tallied_at = 'infinity'`);

    const sn = (i) => `WRONG${String(i).padStart(5, '0')}`;
    const words = (text) => text.replace(/\s+/g, ' ').trim();

    t.is((await t.sql(`select string_agg(name, ' ' order by position)
                         from iclock.condition`)).split(' ')
         .filter((name) => !conditions.some((c) => c[0] === name)), [],
         'every condition is looked at');

    for (const [i, [name, how]] of conditions.entries()) {
        await t.sql(`select iclock.register_device('${sn(i)}', 'Gate ${name}',
                                                   'Nashik', 'Asia/Kolkata')`);
        await t.sql(how.replaceAll('$d', `(select id from iclock.device
                                       where serial_number = '${sn(i)}')`));
    }

    const tab = await t.signIn('#/fleet');

    for (const [i, [name, , label, sentence, acts]] of conditions.entries()) {
        const pattern = new RegExp(sentence.replace(/[.?]/g, '\\$&')
                                   .replaceAll('*', '.+') + '$');
        let told = [];

        await tab.goto(`#/devices/${sn(i)}`);
        await t.wait(name, async () => {
            told = await tab.page.evaluate((sn) =>
                document.querySelector('.serial')?.innerText.includes(sn)
                ? [...document.querySelectorAll('.todo > li')].map((li) =>
                      [li.querySelector('.label').innerText,
                       li.querySelector('.advice').innerText,
                       [...li.querySelectorAll('button')].map((b) =>
                           b.innerText)])
                : [], sn(i));
            return told.length && label.test(words(told[0][0]))
                   && pattern.test(words(told[0][1]));
        }).catch(() => null);
        t.is(told.length, 1, `${name}: that alone`);

        const [its, advice, buttons] = told[0] || ['', '', []];

        t.like(words(its), label, `${name}: its label`);
        t.like(words(advice), pattern, `${name}: what it means`);
        t.is(buttons.map(words), acts, `${name}: what can be done`);
        await tab.settled();
        await tab.axe(`a device, ${name}`);
    }

    // on a telephone, the one that says the most

    await tab.goto('#/devices/' + sn(conditions.findIndex(([name]) =>
        name === 'silent_day')));
    await tab.see('before its memory is full');
    await tab.settled();
    await tab.size(390, 844);
    await tab.frames();
    await tab.fits('a device, 390 px');
    await tab.axe('a device, 390 px');
    await tab.size(1280, 800);

    // and in the list, by a word for each

    await tab.goto('#/fleet');
    await tab.see('Wrong network');

    const chips = await tab.text('.chip');

    for (const word of ['Silent', 'Never called', 'New', 'Blocked',
                        'Wrong key', 'Wrong network', 'Clock', 'No punches',
                        'Lines not stored', 'Punches missing', 'Memory',
                        'Unanswered', 'Failed', 'Muted']) {
        t.like(chips, new RegExp(`^${word} \\d+$`, 'm'), `the list: ${word}`);
    }

    await acted(t, tab, sn);

    await t.close(tab);
}


// the lines of CSV, as lists; the first of a line is never empty

function cells(text) {
    return text.split('\r\n').slice(0, -1).map((line) =>
        [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
            ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain));
}


// A file has what SQL has, of the days that are asked for.

async function files(t, tab) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'csv-'));
    const session = await tab.page.createCDPSession();
    const columns = ['user_id', 'user_name', 'punch_type', 'method',
        'timestamp', 'local_time', 'timezone', 'device_id', 'device_name',
        'site', 'status', 'verify', 'temperature', 'mask_detected',
        'work_code', 'received_at'];

    // its name is in the directory before its bytes are
    let complete = 0;

    session.on('Browser.downloadProgress', ({ state }) => {
        complete += state === 'completed';
    });

    await session.send('Browser.setDownloadBehavior', {
        behavior: 'allow', downloadPath: dir, eventsEnabled: true,
        browserContextId: tab.context.id });

    for (const [from, to, n] of [['', '', 6], ['2026-11-20', '', 5],
                                 ['', '2026-11-19', 1]])
    {
        await tab.page.evaluate((...days) => ['from', 'to'].forEach((id, i) => {
            const field = document.getElementById(id);

            field.value = days[i];
            field.dispatchEvent(new Event('change'));
        }), from, to);
        await tab.settled();

        const before = complete;

        await tab.click('Save CSV');
        await t.wait('a whole file', () => complete > before);

        const file = path.join(dir, fs.readdirSync(dir).find((name) =>
            name.endsWith('.csv')));
        const [names, ...rows] = cells(fs.readFileSync(file, 'utf8'));

        // a spreadsheet takes no name for a formula
        const expected = JSON.parse(await t.sql(`
            select json_agg(json_build_array(p.pin,
                       case left(n.name, 1) when '=' then '''' else '' end
                       || coalesce(n.name, ''),
                       case p.status when 0 then 'CheckIn' else 'CheckOut' end,
                       case p.verify when 1 then 'Fingerprint' else 'Card' end,
                       to_char(p.local_time - interval '5:30',
                               'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                       to_char(p.local_time, 'YYYY-MM-DD"T"HH24:MI:SS'),
                       'Asia/Kolkata', 'ACT0000001', 'Gate 1', 'Pune',
                       p.status, p.verify, trim_scale(p.temperature),
                       case when p.mask >= 0 then p.mask = 1 end,
                       p.work_code,
                       to_char(p.received_at at time zone 'UTC',
                               'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
                       order by p.local_time desc)
              from iclock.punch p
              left join iclock.person n on n.pin = p.pin and n.site = 'Pune'
             where p.local_time >= coalesce(nullif('${from}', ''),
                                            '-infinity')::timestamp
               and p.local_time < coalesce(nullif('${to}', '')::date + 1,
                                           'infinity')::timestamp`));

        t.is(names, ['id', ...columns], 'CSV: the names of the columns');
        t.is(rows.map(([, ...row]) => row), expected.map((row) =>
                 row.map((cell) => String(cell ?? ''))),
             `CSV, from "${from}" to "${to}": what SQL has`);
        t.is(new Set(rows.map(([id]) => id)).size, n,
             'CSV: each has a line and an id');
        fs.rmSync(file);
    }

    await large(t, tab, dir);
    fs.rmSync(dir, { recursive: true });
}


// Who reads further down is not led back to the top by the next punch, and a
// slow answer is not shown in place of that to a later question.

async function further(t, tab) {
    const rows = () => tab.page.evaluate(() =>
        document.querySelectorAll('main tbody tr:not(.day)').length);
    const shows = (n) => t.wait(`${n} rows`, async () => await rows() === n);

    await shows(100);
    await tab.click('More', '.scroller + .acts button');
    await shows(200);
    await t.device('LARGE00001', 'punches', '1003\t2026-11-21 09:00:00\t0\t1');
    await tab.see('09:00:00');
    t.is(await rows(), 200, 'as many rows as were read');

    const first = /end_date=2026-09-01/;
    const held = await tab.hold(first);
    const day = (name, text) => tab.page.evaluate((name, text) => {
        const input = document.getElementById(name);

        input.value = text;
        input.dispatchEvent(new Event('change', { bubbles: true }));
    }, name, text);

    await day('to', '2026-09-01');
    await t.wait('asked for', async () => held.all.length > 0);
    await day('to', '2026-08-31');
    await shows(0);
    await held();
    await tab.read(first);
    t.is(await rows(), 0, 'a slow answer to an earlier question is left aside');

    // what is refused does not leave the answer to another question

    await day('to', '2026-09-03');
    await shows(100);
    tab.allow(/400/);
    await day('from', '2026-09-15');
    await tab.see('"end_date" is before', 'a question that is refused: said so');
    t.is(await rows(), 0, 'and no row of an earlier one is shown');
    await day('from', '');
    await shows(100);
    await day('to', '');
    await shows(100);
    await t.sql(`delete from iclock.punch where pin = '1003'
                    and local_time = '2026-11-21 09:00:00'`);
}


// The page keeps 100,000 rows; more of them are for curl, by a line that it
// gives.

async function large(t, tab, dir) {
    const many = 100001;

    // without triggers, which are of no interest here
    await t.sql(`select iclock.register_device('LARGE00001', 'Gate 9', 'Pune',
                                               'Asia/Kolkata');
        set session_replication_role = replica;
        insert into iclock.punch (device_id, local_time, pin, status, verify)
        select d.id, timestamp '2026-09-01' + n * interval '7 s',
               (2000 + n % 997)::text, 0, 1
          from iclock.device d, generate_series(1, ${many}) as n
         where d.serial_number = 'LARGE00001';
        reset session_replication_role`);
    await tab.goto('#/devices/LARGE00001');
    await tab.see('Gate 9');
    await further(t, tab);
    await tab.click('Save CSV');
    await tab.see('More than 100,000 rows. Read them with: curl',
                  'CSV: one more than it keeps');
    t.is(fs.readdirSync(dir), [], 'CSV: it is no file');

    const line = await tab.text('.strip code');

    t.ok(!line.includes(t.key), 'CSV: the line has no key', line);

    const text = await new Promise((resolve, reject) =>
        execFile('sh', ['-c', `exec ${line} --silent --show-error --fail`],
                 { env: { ...process.env, ICLOCK_KEY: t.key },
                   maxBuffer: 1 << 26 }, (error, text) =>
                     error ? reject(error) : resolve(text)));
    const [names, ...rows] = text.split('\r\n').slice(0, -1).map((row) =>
        row.split(','));
    const [id, pin, at] = ['id', 'user_id', 'local_time'].map((name) =>
        names.indexOf(name));
    const moment = (n) => new Date(Date.UTC(2026, 8, 1) + n * 7000)
        .toISOString().slice(0, 19);

    t.is(rows.length, many, 'CSV of curl: all lines');
    t.is(new Set(rows.map((row) => row[id])).size, many,
         'CSV of curl: each has an id of its own');
    t.is([rows[0][at], rows.at(-1)[at]], [moment(many), moment(1)],
         'CSV of curl: the first, and the last');
    t.is(crypto.createHash('md5').update(rows.map((row) =>
             `${row[pin]} ${row[at]}`).join('\n')).digest('hex'),
         await t.sql(`
            select md5(string_agg(p.pin || ' ' || to_char(p.local_time,
                           'YYYY-MM-DD"T"HH24:MI:SS'), E'\\n'
                           order by p.local_time desc))
              from iclock.punch p join iclock.device d on d.id = p.device_id
             where d.serial_number = 'LARGE00001'`),
         'CSV of curl: in their order, what SQL has');
    await tab.page.evaluate(() => document.querySelectorAll(
        '.strip button[aria-label=Dismiss]').forEach((b) => b.click()));
}


// What was done is said for 20 s, and for as long as somebody is in it: here
// they are over when the test says so.

async function said20(t, tab, act) {
    const strips = () => tab.page.evaluate(() =>
        [[...globalThis.ends.values()].filter((f) =>
             /note\.close/.test(f)).length,
         document.querySelectorAll('.strip').length]);

    await tab.page.evaluate(() => {
        const { setTimeout, clearTimeout } = globalThis;
        const ends = globalThis.ends = new Map();
        let ids = 1e9;

        globalThis.timers = { setTimeout, clearTimeout };
        globalThis.setTimeout = (f, ms, ...more) => ms === 20000
            ? ends.set(++ids, f) && ids : setTimeout(f, ms, ...more);
        globalThis.clearTimeout = (id) =>
            ends.delete(id) || clearTimeout(id);
    });

    await act();
    t.is(await strips(), [1, 1], 'what is done: said for 20 s');
    await tab.page.focus('.strip button');
    t.is(await strips(), [0, 1], 'and for as long as somebody is in it');
    await tab.page.evaluate(() => document.activeElement.blur());
    t.is(await strips(), [1, 1], 'and 20 s after that');
    await tab.page.evaluate(() => {
        Object.assign(globalThis, globalThis.timers);
        globalThis.ends.forEach((f) => /note\.close/.test(f) && f());
    });
    t.is((await strips())[1], 0, 'no longer');
}


// Setup sends what was changed there, and nothing else.

async function setup(t) {
    const its = (what) => t.sql(`select ${what} from iclock.device
                                  where serial_number = 'ACT0000001'`);
    const saved = (name) => t.wait(`${name} is saved`, async () =>
        await its('name') === name);
    const dismiss = () => tab.page.evaluate(() => document.querySelectorAll(
        '.strip button[aria-label=Dismiss]').forEach((b) => b.click()));
    const said = () => tab.see('is saved.').then(dismiss);
    const shows = (label, value) => t.wait(`${label} is ${value}`, async () =>
        await (await tab.element('input', label)).evaluate((input) =>
            input.value) === value);

    // a list does not have the place

    await t.sql(`update iclock.device set location = 'Lobby'
                  where serial_number = 'ACT0000001'`);

    const tab = await t.signIn('#/fleet');

    await tab.see('ACT0000001');
    await tab.settled();
    await tab.goto('#/devices/ACT0000001?tab=setup');
    await tab.element('input', 'Name');
    await tab.settled();
    await tab.fill('Name', 'Gate 3');
    await said20(t, tab, async () => {
        await tab.click('Save');
        await saved('Gate 3');
        await tab.see('is saved.');
    });
    t.is(await its('location'), 'Lobby', 'setup: the place stays');
    await shows('Place', 'Lobby');

    // somebody else has another name for it

    await tab.fill('Place', 'Yard');
    await t.api('PATCH', '/devices/ACT0000001', { name: 'Gate 5' });

    // an event has the page read the device at once
    const [, { commands }] = await t.api('POST', '/devices/ACT0000001/reboot');

    await t.api('DELETE', `/commands/${commands[0].id}`);
    await tab.until(() =>
        document.querySelector('h1').innerText.includes('Gate 5'));
    await tab.click('Save');
    await t.wait('the place is saved', async () =>
        await its('location') === 'Yard');
    await said();
    t.is(await its('name'), 'Gate 5', 'setup: what others change stays');
    await shows('Name', 'Gate 5');
    await shows('Place', 'Yard');

    // back, and once more

    await tab.fill('Name', 'Gate 6');
    await tab.click('Save');
    await saved('Gate 6');
    await tab.click('Undo');
    await saved('Gate 5');
    await shows('Name', 'Gate 5');

    // away from its site, and back; away, and to one from nowhere

    const stands = (site) => t.wait(`it stands at "${site}"`, async () =>
        await its('site') === site);

    await dismiss();
    await tab.fill('Site', '');
    await tab.click('Save');
    await stands('');
    await tab.click('Undo');
    await stands('Pune');
    await shows('Site', 'Pune');
    await dismiss();
    await tab.fill('Site', '');
    await tab.click('Save');
    await said();
    await tab.fill('Site', 'Pune');
    await tab.click('Save');
    await tab.see('is saved.');
    t.is(await its('site'), 'Pune', 'setup: a site again');
    t.ok(!await tab.has('Undo'), 'setup: which gets what is stored for good');

    // nobody is told the old key

    await dismiss();
    await tab.fill('Communication key', '4711');
    await tab.click('Save');
    await tab.see('Gate 5 is saved.');
    t.ok(!await tab.has('Undo'), 'setup: no way back from another key');
    await shows('Communication key', '');
    t.is(await its('comm_key is not null'), 't', 'it is saved');
    await t.sql(`select iclock.reset_device('ACT0000001', 'comm_key')`);

    await t.close(tab);
}


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

    // who measures no temperature sends 0

    await t.device('ACT0000001', 'punches',
                   '1004\t2026-11-20 15:12:00\t0\t1\t0\t0\t0\t0\t0\t0',
                   '1005\t2026-11-20 15:12:05\t0\t1\t0\t0\t0\t0\t36.5\t0');
    t.is(await t.sql(`select string_agg(temperature::text, ' ' order by pin)
                        from iclock.punch where pin in ('1004', '1005')`),
         '0 36.5', 'as it came');
    await tab.see(/36[.,]5\s°C/, 'a temperature');
    t.unlike(await tab.body(), /\b0\s°C/, 'none where none was measured');

    // punches as a file

    await t.device('ACT0000001', 'punches',
                   '1006\t2026-11-19 23:59:59\t1\t4\tW7');
    await t.sql(`insert into iclock.person (site, pin, name)
                 values ('Pune', '1001', 'Rao, "Asha"'),
                        ('Pune', '1002', '=1+1')`);
    await files(t, tab);

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

    // Another zone: what there is stays, and back.  How much that is nobody
    // has counted: the terminal tells what it holds itself.

    await tab.click('More');
    await tab.click('Zone…');
    await tab.fill('Time zone', 'Asia/Dubai');
    await tab.click('Change zone');
    await tab.see('Punches from now on are placed by Asia/Dubai; those that are'
                  + ' stored keep their UTC time.',
                  'the dialog says what stays');
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
        `select status from iclock.command where body = 'REBOOT'`)
        === 'queued');
    await tab.click('Undo');
    await t.wait('it is taken back', async () => await t.sql(
        `select status from iclock.command where body = 'REBOOT'`)
        === 'cancelled');
    t.ok(true, 'a restart, taken back');

    // the clock, the same two ways; nginx may have seen the other zone, and has
    // commands of its own then

    const last = (what) => t.sql(`select ${what} from iclock.command
        where created_by = 'api:ops' order by id desc limit 1`);
    const sent = (body) => t.wait('it is sent', async () => {
        await t.device('ACT0000001', 'poll');
        return await last('body || status') === `${body}sent`;
    });

    await tab.click('Set clock', 'main button');
    await tab.see('Gate 1 is asked to take the time of the server.');
    t.is(await last('body'), 'CHECK', 'set clock: it is to shake hands');
    const asked = await last('id');
    await tab.click('Undo');
    await t.wait('it is taken back', async () => await t.sql(
        `select status from iclock.command where id = ${asked}`)
        === 'cancelled');
    t.ok(true, 'taken back while it waits');

    tab.allow(/409/);
    await tab.page.evaluate(() => document.querySelectorAll(
        '.strip button[aria-label=Dismiss]').forEach((b) => b.click()));
    await tab.click('Set clock', 'main button');
    // the page may see by itself that it is sent, and take the button away
    let undo = await tab.element('button', 'Undo');
    await sent('CHECK');
    await undo.evaluate((button) => button.click());
    await tab.see(/Too late, it was sent/, 'set clock: too late');
    await tab.page.evaluate(() => document.querySelectorAll(
        '.strip button[aria-label=Dismiss]').forEach((b) => b.click()));

    // and one that was sent meanwhile

    await tab.click('More');
    await tab.click('Restart…');
    await tab.click('Restart', 'dialog button');
    undo = await tab.element('button', 'Undo');
    await sent('REBOOT');
    await undo.evaluate((button) => button.click());
    await tab.see(/Too late, it was sent/, 'too late: said so');

    await setup(t);
    await wrong(t);
};
