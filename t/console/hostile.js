// Copyright (C) the ngx_http_iclock_module authors

// Names, sites and lines of others are shown as text, whatever they are.

'use strict';

const img = '<img src=x onerror="globalThis.owned=1">';
const evil = [
    img,
    'abc\u202Edcb\u2066x\u0007y',
    'W'.repeat(500),
    '__proto__',
    '\u0623\u062D\u0645\u062F \u{1F468}\u200D\u{1F469}\u200D\u{1F467}',
    '</script><script>globalThis.owned=2</script>',
    '{n} ${x} {{y}}',
];

const quote = (text) => `'${text.replace(/'/g, "''")}'`;


// PostgreSQL knows zones that this browser does not: in the page, what comes
// from the server has another name for one

const rename = (from, to) => {
    const ask = globalThis.fetch;

    globalThis.fetch = async (...request) => {
        const answer = await ask(...request);

        if (!answer.body) {
            return answer;
        }

        // a line may come in parts
        let rest = '';
        const text = answer.body.pipeThrough(new TextDecoderStream())
            .pipeThrough(new TransformStream({
                transform(part, out) {
                    const lines = (rest + part).split('\n');

                    rest = lines.pop();
                    for (const line of lines) {
                        out.enqueue(line.replaceAll(from, to) + '\n');
                    }
                },
                flush(out) {
                    out.enqueue(rest.replaceAll(from, to));
                },
            }));

        return new Response(text.pipeThrough(new TextEncoderStream()),
                            { status: answer.status,
                              headers: answer.headers });
    };
};


async function olympus(t) {
    const zone = 'Mars/Olympus';

    await t.sql(`select iclock.register_device('MARS000001', 'Crater', 'Mars',
                                               'Antarctica/Troll')`);
    await t.device('MARS000001', 'handshake');
    await t.device('MARS000001', 'punches', '4711\t2026-11-20 02:03:04\t0\t1');

    for (const view of ['fleet', 'devices/MARS000001', 'live', 'people',
                        'devices/MARS000001?tab=setup', 'commands',
                        'problems'])
    {
        const tab = await t.signIn('#/' + view, { width: 390, height: 844,
            prepare: (page) => page.evaluateOnNewDocument(rename,
                'Antarctica/Troll', zone) });

        await tab.settled();

        if (view === 'devices/MARS000001') {
            await tab.see(`(${zone} (unknown zone, shown as UTC))`,
                          'a zone that the browser does not know: said so');
            await tab.until(() => document.body.innerText.includes(
                new Date().toISOString().slice(11, 16) + ' there'));
            t.ok(true, 'its time is that of UTC');
        }
        if (/live|1$/.test(view)) {
            await tab.see('02:03:04', `${zone}: ${view}: the time of a punch`);
        }

        await tab.fits(`${zone}: ${view}`);
        await tab.size(1280, 800);
        await tab.frames();
        await tab.fits(`${zone}: ${view}, wide`);

        if (view === 'devices/MARS000001') {
            await tab.click('More');
            await tab.click('Zone…');
            await tab.click('Change zone');
            await tab.see('This browser does not know that zone.',
                          `${zone}: nobody is given it by this page`);
        }

        await t.close(tab, `${zone}: ${view}`);
    }

    t.is(await t.sql(`select timezone from iclock.device
                       where serial_number = 'MARS000001'`),
         'Antarctica/Troll', `${zone}: nothing has changed`);
}


// as the page writes what has no shape of its own
const visible = (text) => text.replace('\u202E', '\u27E8202E\u27E9')
    .replace('\u2066', '\u27E82066\u27E9').replace('\u0007', '\u2407');

// a line as the server shows it: nothing that looks like a value
const line = (text) => text.replace(/=/g, ' ');


// All of these texts stand in a part of the page, as texts, and it fits.

async function shows(t, tab, view, texts, part) {
    let missing;

    await t.wait(view, async () => {
        missing = await tab.page.evaluate((part, texts) => {
            const words = (document.querySelector(part)?.innerText || '')
                .replace(/\s+/g, ' ');

            return texts.filter((text) => !words.includes(text));
        }, part, texts.map(visible));
        return missing.length === 0;
    }).catch(() => null);

    t.is(missing, [], `${view}: they are shown`);
    await tab.settled();
    t.is(await tab.page.evaluate(() => [globalThis.owned ?? null,
             document.querySelectorAll('img, iframe').length,
             document.scripts.length]), [null, 0, 1],
         `${view}: nothing runs, it is text`);
    t.ok(!/[\u202A-\u202E\u2066-\u2069\u0007]/.test(await tab.body()),
         `${view}: marks of direction are visible`);

    for (const width of [390, 1280]) {
        await tab.size(width, 844);
        await tab.frames();
        await tab.fits(`${view}, ${width}`);
    }
}


module.exports = async (t) => {
    const gate = (i) => `EVIL000${i}`;

    // a punch of each, of somebody who has the same name
    const punches = (letter) => t.sql(evil.map((text, i) => `
        insert into iclock.person (site, pin, name)
        values (${quote(text)}, '${letter}${i}', ${quote(text)});
        insert into iclock.punch (device_id, local_time, pin, status, verify,
                                  punched_at)
        select id, localtimestamp(0), '${letter}${i}', 0, 1, now()
          from iclock.device where serial_number = '${gate(i)}'`).join(';'));

    for (const [i, text] of evil.entries()) {
        await t.sql(`select iclock.register_device('${gate(i)}');
            update iclock.device set name = ${quote(text)},
            site = ${quote(text)}, last_seen = now() - interval '1 hour'
            where serial_number = '${gate(i)}';
            insert into iclock.rejected_line
            (device_id, table_name, line, reason)
            select id, 'ATTLOG', convert_to(${quote(line(text))}, 'UTF8'),
                   ${quote(text)}
              from iclock.device where serial_number = '${gate(i)}'`);
        t.is((await t.api('POST', `/devices/${gate(i)}/reboot`))[0], 202,
             `${gate(i)} has a command`);
    }

    await punches('P');
    await t.sql(`insert into iclock.person (site, pin, name)
        values ('', '__proto__', '__proto__');
        insert into iclock.punch (device_id, local_time, pin, status, verify,
                                  punched_at)
        select id, localtimestamp(0), '__proto__', 0, 1, now()
          from iclock.device where serial_number = '${gate(3)}'`);

    const tab = await t.signIn('#/fleet', { height: 844 });
    const count = (n) => tab.until((n) => document.querySelector('[role=grid]')
        ?.getAttribute('aria-rowcount') === String(n + 1), n);

    for (const view of ['fleet?q=EVIL', 'people', 'commands', 'live']) {
        await tab.goto('#/' + view);
        await shows(t, tab, view, evil, '.rows');
    }

    // in the live view by the stream, too

    const told = () => tab.page.evaluate(() =>
        [...document.querySelectorAll('.rows > .row')].map((row) =>
            row.querySelector('.c-pin').textContent + ' '
            + row.querySelector('.c-name').textContent)
            .filter((words) => words.startsWith('Q')).sort());
    let got;

    await tab.see(/Live, \d+ a minute/);
    await punches('Q');
    await t.wait('their punches', async () =>
        (got = await told()).length === evil.length).catch(() => null);
    t.is(got, evil.map((text, i) => `Q${i} ${visible(text)}`),
         'live: the names that are told');
    await shows(t, tab, 'live, told', evil, '.rows');

    // lines that were not stored: as they are, and why

    await tab.goto('#/problems');
    await t.wait('all lines are unfolded', () => tab.page.evaluate((n) => {
        const all = [...document.querySelectorAll('[data-fold]')];
        const next = all.find((fold) => fold.ariaExpanded === 'false');

        next?.click();
        return all.length >= n && !next;
    }, evil.length));
    await shows(t, tab, 'problems', [...evil, ...evil.map(line)], '.problems');
    got = await tab.page.evaluate(() =>
        [...document.querySelectorAll('.raws .line')].map((e) =>
            e.textContent));
    t.is(evil.filter((text) => !got.includes(visible(line(text)))), [],
         'problems: each line, and nothing else in it');

    for (const [i, text] of evil.entries()) {
        for (const [view, texts, part] of [
            [`devices/${gate(i)}`, [text], '.dev-head'],
            [`devices/${gate(i)}?tab=rejected`, [line(text)], '#tab-body'],
            [`people/P${i}`, [text], '.panel'],
        ]) {
            await tab.goto('#/' + view);
            await shows(t, tab, view, texts, part);
        }
    }

    // the longest one in what floats, whose buttons have it, too

    const floats = async (view) => {
        for (const width of [390, 1280]) {
            await tab.size(width, 844);
            await tab.frames();
            t.is(await tab.page.evaluate(() =>
                     [...document.querySelectorAll('dialog, .panel .body')]
                         .map((e) => e.scrollWidth <= e.clientWidth)), [true],
                 `${view}, ${width}: as wide as it may be`);
        }
    };

    await tab.goto(`#/devices/${gate(2)}`);
    await tab.click('More');
    await tab.click('Block…', '[role=menuitem]');
    await tab.element('dialog button', `Block ${evil[2]}`);
    await floats('a dialog');
    await tab.press('Escape');
    await tab.until(() => !document.querySelector('dialog'));
    await tab.goto('#/people/P2');
    await tab.click('Change…', '.panel button');
    await tab.element('.panel button', `Save ${evil[2]}`);
    await tab.element('.panel button', `Back to ${evil[2]}`);
    await floats('a panel');

    // names that objects have of their own

    await tab.goto('#/people/__proto__');
    await shows(t, tab, 'people/__proto__', ['__proto__', 'On no terminal.'],
                '.panel');
    await tab.goto('#/people?site=__proto__');
    await count(2);
    await shows(t, tab, 'people?site=__proto__', ['__proto__'], '.rows');
    await tab.goto('#/fleet?site=__proto__');
    await count(1);
    t.is(await tab.text('.rows .c-serial'), gate(3),
         'fleet?site=__proto__: the one that is there');

    await t.close(tab, 'what strangers have written');
    await olympus(t);
};
