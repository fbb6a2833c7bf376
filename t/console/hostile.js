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
        t.ok(!/[\u202A-\u202E\u2066-\u2069\u0007]/.test(await tab.body()),
             `${view}: marks of direction are visible`);
        await tab.fits(view);

        await tab.size(1280, 800);
        await tab.fits(`${view}, wide`);
        await tab.context.close();
        t.tabs.splice(t.tabs.indexOf(tab), 1);
        t.is(tab.messages, [], `${view}: no message`);
    }
};
