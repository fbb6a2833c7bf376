// Copyright (C) the ngx_http_iclock_module authors

// How soon an EventSource has a punch: from the beginning of the transaction
// that has stored it, BENCH_TIMES times.  Run by t/bench/limits, which finds
// the milliseconds in BENCH_FIGURES.

'use strict';

const fs = require('fs');

const times = Number(process.env.BENCH_TIMES || 20);
const device = 'EDGE0000000';


module.exports = async (t) => {
    const context = await t.browser.createBrowserContext();
    const page = await context.newPage();
    const took = [];

    await page.goto(`${t.origin}/v1/`);
    await page.evaluate(async (key) => {
        const response = await fetch('/v1/stream-tokens', {
            method: 'POST', headers: { Authorization: `Bearer ${key}` } });
        const { token } = await response.json();
        const source = new EventSource('/v1/events?token=' + token);

        window.seen = {};
        source.onopen = () => window.opened = true;
        source.addEventListener('attendance.punch', (event) => {
            window.seen[JSON.parse(event.data).user.id] = Date.now();
        });
    }, t.key);

    await t.wait('an EventSource', () => page.evaluate(() => window.opened));

    await t.device(device, 'handshake');

    for (let n = 1; n <= times; n++) {
        const second = String(n % 60).padStart(2, '0');
        const minute = String(Math.floor(n / 60) % 60).padStart(2, '0');

        await t.device(device, 'punches',
            `EDGE${n}\t2026-11-02 10:${minute}:${second}\t0\t1`);

        const seen = await t.wait('a punch', () => page.evaluate((pin) =>
            window.seen[pin], `EDGE${n}`));
        const stored = await t.sql(`select
            extract(epoch from received_at) * 1000 from iclock.punch
             where pin = 'EDGE${n}'`);

        took.push(seen - Number(stored));
        fs.writeFileSync(process.env.BENCH_FIGURES, JSON.stringify(took));
    }

    await context.close();
};
