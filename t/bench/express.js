// Copyright (C) the ngx_http_iclock_module authors

// What many write at first: punches by Express and a pool of pg, a row each.
// Arguments: port, host, database and user of PostgreSQL.

'use strict';

const { createRequire } = require('module');
const path = require('path');

const needs = createRequire(path.join(__dirname, '../../build/npm/'));
const express = needs('express');
const { Pool } = needs('pg');

const [port, host, database, user] = process.argv.slice(2);
const pool = new Pool({ host, database, user });
const app = express();

const insert = {
    name: 'insert',
    text: `INSERT INTO iclock.punch (device_id, local_time, pin, status, verify,
                                     punched_at, work_code)
           SELECT d.id, v.l, v.pin, v.status, v.verify,
                  v.l AT TIME ZONE coalesce(d.timezone, 'UTC'), v.work_code
           FROM (SELECT $2::timestamp, $3::text, $4::integer, $5::integer,
                        $6::text) AS v (l, pin, status, verify, work_code)
           JOIN iclock.device d ON d.serial_number = $1
           ON CONFLICT DO NOTHING`,
};

app.use(express.text({ type: '*/*', limit: '16mb' }));

app.post('/iclock/cdata', async (request, response) => {
    const lines = request.body.split('\n').filter((line) => line !== '');

    try {
        for (const line of lines) {
            const [pin, time, status, verify, code] = line.split('\t');

            await pool.query({ ...insert, values: [
                request.query.SN, time, pin, status, verify, code] });
        }

        response.type('text/plain').send(`OK: ${lines.length}`);

    } catch (error) {
        response.status(503).send('ERROR');
    }
});

app.listen(Number(port), '127.0.0.1', () => console.log('ready'));
