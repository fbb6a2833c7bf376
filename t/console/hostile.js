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

// where the first of them stands
const shown = /^(?:fleet|people|problems|devices\/EVIL0000)$/;

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


module.exports = async (t) => {
    for (const [i, text] of evil.entries()) {
        const sn = `EVIL000${i}`;

        await t.sql(`select iclock.register_device('${sn}');
            update iclock.device set name = ${quote(text)},
            site = ${quote(text)}, last_seen = now() - interval '1 hour'
            where serial_number = '${sn}';
            insert into iclock.person (site, pin, name)
            values (${quote(text)}, 'P${i}', ${quote(text)});
            insert into iclock.rejected_line
            (device_id, table_name, line, reason)
            select id, 'ATTLOG', convert_to(${quote(text)}, 'UTF8'),
                   'no such date'
              from iclock.device where serial_number = '${sn}'`);
        await t.sql(`select iclock.set_clock('${sn}')`).catch(() => null);
    }

    await t.sql(`insert into iclock.person (site, pin, name)
        values ('', '__proto__', '__proto__')`).catch(() => null);

    for (const view of ['fleet', 'devices/EVIL0000', 'devices/EVIL0002',
                        'people', 'commands', 'problems', 'live']) {
        const tab = await t.signIn('#/' + view, { width: 390, height: 844 });

        await tab.settled();
        t.is(await tab.page.evaluate(() => globalThis.owned ?? null), null,
             `${view}: nothing runs`);
        t.is(await tab.page.evaluate(() =>
                 document.querySelectorAll('main img, main script').length),
             0, `${view}: it is text`);
        if (shown.test(view)) {
            await tab.see(img, `${view}: it is shown`);
        }
        t.ok(!/[\u202A-\u202E\u2066-\u2069\u0007]/.test(await tab.body()),
             `${view}: marks of direction are visible`);
        await tab.fits(view);

        await tab.size(1280, 800);
        await tab.fits(`${view}, wide`);
        await t.close(tab, view);
    }

    await olympus(t);
};
