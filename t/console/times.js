// Copyright (C) the ngx_http_iclock_module authors

// Times of terminals, wherever who looks is, and in whatever language.

'use strict';

module.exports = async (t) => {
    await t.sql(`select iclock.register_device('TIME000001', 'Gate 1', 'Pune',
                                               'Asia/Kolkata'),
                        iclock.register_device('TIME000002', 'Dock 2',
                                               'Leipzig', 'Europe/Berlin'),
                        iclock.register_device('TIME000003', 'Moon', 'Mars',
                                               'UTC')`);
    for (const n of [1, 2, 3]) {
        await t.device(`TIME00000${n}`, 'handshake');
    }
    await t.device('TIME000001', 'punches', '1001\t2026-11-20 15:11:02\t0\t1');
    // the hour that comes twice, when summer ends
    await t.device('TIME000002', 'punches', '1090\t2026-10-25 02:30:00\t0\t1');
    await t.sql(`update iclock.device set timezone = 'Mars/Olympus'
                  where serial_number = 'TIME000003'`).catch(() => null);

    for (const [timezone, language] of [['Pacific/Auckland', 'en-GB'],
                                        ['Asia/Kolkata', 'de-DE'],
                                        ['America/New_York', 'ar-EG'],
                                        ['UTC', 'hi-IN']]) {
        const tab = await t.signIn('#/live', { timezone, language });
        const zones = `${timezone}, ${language}`;

        await tab.see('1001', `${zones}: a PIN is left alone`);

        const digits = (await tab.body()).replace(/[\u0660-\u0669]/g,
            (d) => d.charCodeAt(0) - 0x660).replace(/[\u0966-\u096F]/g,
            (d) => d.charCodeAt(0) - 0x966);

        t.like(digits, /15:11:02/, `${zones}: the time of the terminal`);
        t.like(digits, /02:30:00\s*(?:GMT|UTC|\S*)[+]?\d/,
               `${zones}: an hour that comes twice has its offset`);
        await t.close(tab);
    }

    // as who looks wants it

    const tab = await t.signIn('#/settings', { timezone: 'Pacific/Auckland' });

    await tab.choose('Times', 'utc');
    await tab.goto('#/live');
    await tab.see(/09:41:02/, 'UTC');
    await tab.goto('#/settings');
    await tab.choose('Times', 'mine');
    await tab.goto('#/live');
    await tab.see(/22:41:02/, 'mine');

    // from right to left

    await tab.page.evaluate(() => {
        document.documentElement.dir = 'rtl';
    });
    for (const view of ['fleet', 'live', 'people', 'commands', 'problems']) {
        await tab.goto('#/' + view);
        await tab.settled();
        for (const width of [1280, 390]) {
            await tab.size(width, 800);
            await tab.frames();
            await tab.fits(`${view}, rtl, ${width}`);
            await tab.page.screenshot({
                path: t.picture(`rtl-${view}-${width}`) });
        }
    }
};
