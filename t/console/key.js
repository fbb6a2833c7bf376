// Copyright (C) the ngx_http_iclock_module authors

// The key: checked before it is sent, kept for this tab, and in no place where
// others find it.

'use strict';

const scopes = ['devices:read', 'devices:write', 'users:read', 'users:write',
                'logs:read', 'events:read', 'commands:read', 'commands:write'];


module.exports = async (t) => {

    // a wrong one is not sent

    let tab = await t.open('#/commands?f=open');

    await tab.fill('API key', 'ik_live_short');
    await tab.click('Open the console');
    await tab.until(() => document.getElementById('key')
                           .getAttribute('aria-invalid') === 'true');
    t.is(tab.requests.filter((r) => r.includes('/v1/')), [],
         'a wrong form is not sent');
    t.is(await tab.page.evaluate(() => {
        const field = document.getElementById('key');

        return [field.getAttribute('aria-invalid'),
                field.getAttribute('aria-describedby').split(' ').some((id) =>
                    /form of a key/.test(
                        document.getElementById(id).textContent))];
    }), ['true', true], 'and its field says so');
    await tab.looks('sign-in');

    tab.allow(/401/);
    await tab.fill('API key', 'ik_live_' + 'a'.repeat(12) + '_'
                              + 'A'.repeat(43));
    await tab.click('Open the console');
    await tab.see(/does not work|not (?:known|valid)|unknown/i,
                  'one that nobody knows');

    // the one that there is, and the view that was asked for

    await tab.enter(t.key);
    await tab.until(() => location.hash.startsWith('#/commands'));
    t.ok(true, 'the view of the address opens');

    // where it is not

    const secret = t.key.split('_').slice(3).join('_');

    await tab.page.reload();
    await tab.inside();
    t.ok(true, 'a reload keeps it');

    const places = await tab.page.evaluate(() => ({
        url: location.href, title: document.title,
        dom: document.documentElement.outerHTML,
        local: JSON.stringify(localStorage),
        state: JSON.stringify(history.state), cookie: document.cookie,
    }));

    for (const [name, text] of Object.entries(places)) {
        t.ok(!String(text).includes(secret), `the key is not in: ${name}`);
    }

    t.ok(!tab.requests.some((r) => r.includes(secret)), 'nor in an address');

    const devtools = await tab.page.createCDPSession();
    const { entries } = await devtools.send('Page.getNavigationHistory');

    t.ok(entries.length > 0 && !JSON.stringify(entries).includes(secret),
         'nor in what Back leads to', JSON.stringify(entries));
    await devtools.detach();

    await tab.page.evaluate(() => {
        navigator.clipboard.writeText = async (text) => {
            globalThis.copied = text;
        };
        location.hash = '#/settings';
    });
    await tab.click('Copy report');

    const report = await tab.until(() => globalThis.copied);

    t.like(report, /"browser"/, 'a report to copy');
    t.ok(!report.includes(secret) && !report.includes(t.key.split('_')[2]),
         'has no key', report);
    t.ok(!(await t.accessLog()).includes(secret), 'nor in the access log');
    t.ok(!(await t.errorLog()).includes(secret), 'nor in the error log');

    // a browser that forbids it

    await tab.page.evaluate(() => {
        navigator.clipboard.writeText = () =>
            Promise.reject(new DOMException('No', 'NotAllowedError'));
    });
    await tab.click('Copied');
    await tab.until(() => document.activeElement.matches('input.copy'));
    t.like(await tab.page.evaluate(() => {
        const field = document.activeElement;

        return field.value.slice(field.selectionStart, field.selectionEnd);
    }), /"browser"/, 'the clipboard is forbidden: it is selected');

    // settings that somebody else has written

    const kept = (value) => tab.page.evaluate((text) => {
        localStorage.setItem('iclock', text);
    }, JSON.stringify(value));

    for (const lock of ['soon', null, -5, 1e9]) {
        await kept({ lock, theme: 7, pages: 'no' });
        await tab.page.reload();
        await tab.inside();
        t.ok(true, `locked after "${lock}": the key stays for now`);
        await tab.page.evaluate(() => { location.hash = '#/settings'; });
        await tab.until(() => document.body.innerText.includes('Lock after'));
        t.is(await tab.page.evaluate(() => [...document.querySelectorAll(
                 'select, input[type=checkbox]')].filter((field) =>
                 /Lock after|Pages instead|Theme/.test(
                     field.labels[0]?.textContent))
                 .map((field) => field.type === 'checkbox'
                      ? field.checked : field.value)),
             ['system', false, '30'], 'and for as long as by default');
    }
    await kept({});

    // not used for long

    await tab.page.evaluate(() => {
        const kept = JSON.parse(sessionStorage.getItem('iclock.key'));
        kept.used -= 31 * 60000;
        sessionStorage.setItem('iclock.key', JSON.stringify(kept));
    });
    await tab.page.reload();
    await tab.see('API key', 'after 31 min it is asked for again');
    t.is(await tab.page.evaluate(() => sessionStorage.length), 0,
         'and forgotten');

    // nor while the page is open

    await tab.enter(t.key);
    await tab.page.evaluate(() => {
        const now = Date.now.bind(Date);

        Date.now = () => now() + 31 * 60000;
    });
    await tab.see('The key was not used for a while', '31 min later: said so');
    t.is(await tab.page.evaluate(() => sessionStorage.length), 0,
         'and forgotten, too');

    // revoked while the page is open

    const revoke = (key) => t.sql(
        `select iclock.revoke_api_key('${key.split('_')[2]}')`);
    const key = await t.makeKey({ name: 'brief', scopes });

    tab = await t.open('#/people?q=lata&state=waiting',
                       { context: tab.context });
    tab.allow(/401/);
    await tab.enter(key);
    await tab.see('No person matches');
    await tab.click('Add person…');
    await tab.fill('PIN', '4711');
    await tab.fill('Department', 'Stores');
    await revoke(key);
    await tab.see('This key does not work any more.', 'revoked: said in words');
    await tab.enter(t.key);
    t.is(await tab.page.evaluate(() => location.hash),
         '#/people?q=lata&state=waiting', 'the view and its filters go on');
    t.is(await tab.page.evaluate(() => ['PIN', 'Department'].map((label) =>
             [...document.querySelectorAll('.panel input')].find((field) =>
                 field.labels[0]?.textContent.startsWith(label))?.value)),
         ['4711', 'Stores'], 'and what was half written');

    // the stream tells of it at once: nothing is asked from time to time here

    const quick = await t.makeKey({ name: 'quick', scopes });
    const watched = await t.open('#/settings', { prepare: (page) =>
        page.evaluateOnNewDocument(() => {
            globalThis.setInterval = () => 0;
        }) });

    watched.allow(/401/);
    await watched.enter(quick);
    await watched.until(() =>
        document.querySelector('.stream').dataset.state === 'live');
    await watched.settled();

    const asked = watched.requests.length;
    const began = Date.now();

    await revoke(quick);
    await watched.see('This key does not work any more.',
                      'revoked: a page that does nothing says so');
    t.note(`${Date.now() - began} ms after it was revoked`);
    // another worker may not have heard of it yet
    t.is(watched.requests.slice(asked).filter((r) => r.includes('/v1/')
             && !/\/v1\/(?:events|key)$/.test(r)), [],
         'by its stream, and by no other request');

    // without a stream by what is asked next

    const deaf = await t.makeKey({ name: 'deaf', scopes: ['users:read'] });

    await watched.enter(deaf);
    await revoke(deaf);
    await t.wait('it is asked for', async () => {
        await watched.goto('#/people');
        await watched.settled();
        await watched.goto('#/settings');
        return /This key does not work any more\./.test(await watched.body());
    });
    t.ok(true, 'revoked, without events:read: at its next request');
    await t.close(watched);

    // a key that may see less than the one before

    const next = await t.makeKey({ name: 'next', scopes });
    const less = await t.makeKey({ name: 'less', scopes: ['users:read'] });

    await tab.goto('#/settings');
    await tab.click('Sign out');
    await tab.goto('#/people?q=lata');
    await tab.enter(next);
    await tab.click('Add person…');
    await tab.fill('PIN', '4712');
    await revoke(next);
    await tab.see('This key does not work any more.');
    await tab.enter(less);
    t.ok(!await tab.has('PIN', '.panel input'),
         'nothing is left to a key that may see less');
    await tab.goto('#/settings');
    await tab.click('Sign out');
    await tab.enter(t.key);

    // the address has changed while nobody was signed in

    const back = await t.makeKey({ name: 'back', scopes });

    await tab.goto('#/settings');
    await tab.click('Sign out');
    await tab.enter(back);
    await tab.goto('#/commands');
    await tab.goto('#/fleet');
    await tab.until(() => document.querySelector('.v-fleet'));
    await revoke(back);
    await tab.see('This key does not work any more.');
    await tab.page.evaluate(() => history.back());
    await tab.until(() => location.hash === '#/commands');
    await tab.enter(t.key);
    await tab.see('Nothing is under way.', 'the view of the address opens');
    t.ok(await tab.page.$('.v-commands') && !await tab.page.$('.v-fleet'),
         'and the other one is closed');

    // a key that is not for this address any more

    const far = await t.makeKey({ name: 'far', scopes });

    await tab.goto('#/settings');
    await tab.click('Sign out');
    await tab.enter(far);
    tab.allow(/403/);
    await t.sql(`update iclock.api_key
                    set allowed_networks = '{10.9.0.0/16}' where name = 'far'`);
    await t.wait('it is refused', async () => {
        await tab.page.reload();
        await tab.until(() => document.querySelector('main h1, .signin'));
        return /may not be used from 127\.0\.0\.1\./.test(await tab.body());
    });
    t.ok(await tab.has('API key', 'input'),
         'a key that is not for this address: another one is asked for');
    await tab.goto('#/settings');
    await tab.enter(t.key);

    // sign out, here and in the other tab

    const second = await t.open('#/fleet', { context: tab.context });

    await second.enter(t.key);
    await second.goto('#/settings');
    t.ok(await second.remembers(secret), 'a tab that is in knows its key');
    await second.click('Sign out');
    await second.see('API key', 'signed out');
    await tab.see('API key', 'in the other tab, too');
    t.is(await tab.page.evaluate(() => sessionStorage.length), 0,
         'nothing is kept');
    t.ok(!await second.remembers(secret), 'nor in the memory of the page');
    t.ok(!await tab.remembers(secret), 'nor in that of the other tab');

    // a key for tests, and keys that may not do everything

    const test = await t.makeKey({ name: 'try', scopes, mode: 'test' });

    tab = await t.signIn('#/fleet', { key: test });
    await tab.see(/test key\. It sees simulated devices only/,
                  'a key for tests says so');
    await tab.looks('test-key');

    // acts that the key may not do are named, and not asked for; by each scope
    // that is missing, and by that alone

    await t.sql(`select iclock.register_device('KEY0000001', 'Gate 1', 'Pune',
                                               'Asia/Kolkata'),
                        iclock.register_device('KEY0000002', 'Gate 2', 'Pune',
                                               'Asia/Kolkata');
        select iclock.block_device('KEY0000002');
        insert into iclock.rejected_line (device_id, table_name, line, reason)
        select id, 'ATTLOG', 'x', 'no such date'
          from iclock.device where serial_number = 'KEY0000001';
        insert into iclock.attendance_check (device_id, starts, ends, status,
               device_count, stored_count, attempts, max_attempts, finished_at)
        select id, '2026-11-20', '2026-11-20 23:59:59', 'differs', 31, 0, 3, 3,
               now()
          from iclock.device where serial_number = 'KEY0000001';
        insert into iclock.command (device_id, body, status, return_code,
                                    sent_at, finished_at)
        select id, 'REBOOT', 'failed', -1001, now(), now()
          from iclock.device where serial_number = 'KEY0000001'`);
    await t.device('KEY0000003', 'handshake');
    await t.api('POST', '/users', { user_id: '1001', name: 'Asha Rao',
                                    device_ids: ['KEY0000001'] });
    await t.sql('update iclock.device set last_seen = now()');

    const device = ['Set clock', 'Restart…', 'Send again…', 'Zone…', 'Mute…',
                    'Block…', 'Remove…'];
    const told = ['Again Gate 1', 'Check now', 'Fetch Gate 1'];
    const views = {
        fleet: { 'devices:write': ['Approve… KEY0000003'] },
        'devices/KEY0000001': { 'devices:write': device,
            'commands:write': told },
        'devices/KEY0000002': { 'devices:write': [
            'Approve again… Gate 2', 'Approve again… Gate 2', 'Remove…'] },
        'devices/KEY0000003': { 'devices:write': ['Approve… KEY0000003',
            'Approve… KEY0000003', 'Block KEY0000003', 'Block…', 'Remove…'] },
        'devices/KEY0000001?tab=setup': { 'devices:write': [...device, 'Save'],
            'commands:write': told },
        'devices/KEY0000001?tab=check': {
            'devices:write': device,
            'commands:write': [...told, 'Check now',
                               'Fetch what is missing'] },
        'devices/KEY0000001?tab=commands': { 'devices:write': device,
            'commands:write': [...told, 'Again: Restart, Gate 1',
                               'Cancel: Put person 1001, Gate 1'] },
        commands: { 'commands:write': ['Cancel: Put person 1001, Gate 1'] },
        problems: { 'devices:write': ['Approve… KEY0000003',
            'Block KEY0000003', 'Ask again…'],
            'commands:write': ['Again: Restart, Gate 1', 'Fetch 31'] },
        people: { 'users:write': ['Add person…'] },
        'people/1001': { 'users:write': ['Add person…', 'Send again',
            'Copy to…', 'Enrol at a device…', 'Change…', 'Remove from…'] },
    };

    // all that is dimmed, in a menu or not: what it needs, and what it is
    const dimmed = (act) => tab.page.evaluate((act) =>
        [...document.querySelectorAll('main button, .panel button')]
            .filter((b) => b.getAttribute('aria-disabled'))
            .map((b) => {
                const words = b.getAttribute('aria-label') || b.innerText
                              || b.textContent;

                if (act) {
                    b.click();
                }
                return [b.title, words.replace(/\s+/g, ' ').trim()
                                      .replace(` ${b.title}`, '')].join(': ');
            }).sort(), act);

    for (const scope of scopes.filter((name) => name.endsWith(':write'))) {
        const key = await t.makeKey({ name: `no ${scope}`,
            scopes: scopes.filter((name) => name !== scope) });

        tab = await t.signIn('#/fleet', { key });

        for (const [where, all] of Object.entries(views)) {
            const expected = (all[scope] || []).map((act) =>
                `Needs ${scope}: ${act}`).sort();
            let got;

            await tab.goto('#/' + where);
            await tab.settled();
            await t.wait(where, async () => (got = await dimmed()).join()
                                            === expected.join())
                .catch(() => null);
            t.is(got, expected, `${where}: what needs ${scope}`);

            if (expected.length) {
                await dimmed(true);
                await tab.see(`Your key may not do this; it needs ${scope}.`);
                await tab.page.evaluate(() => document.querySelectorAll(
                    '.strip button[aria-label=Dismiss]')
                    .forEach((b) => b.click()));
            }
        }

        await tab.settled();
        t.is(tab.requests.filter((r) => !r.startsWith('GET ')), [],
             `${scope}: nothing was sent`);
        await tab.axe(`acts that need ${scope}`);
        await t.close(tab);
    }

    // views and lists, by each scope that is missing, and by that alone

    const routes = {
        'devices:read': '/(?:devices|summary)', 'users:read': '/.*users',
        'logs:read': '/(?:logs|rejected|reconciliation)',
        'events:read': '/events', 'commands:read': '/commands',
    };
    const needed = {
        fleet: 'devices:read', live: 'events:read', people: 'users:read',
        commands: 'commands:read', problems: 'devices:read',
    };
    const lists = {
        problems: ['logs:read', 'commands:read'],
        'devices/KEY0000001': ['devices:read', 'logs:read'],
        'devices/KEY0000001?tab=people': ['devices:read', 'users:read'],
        'devices/KEY0000001?tab=commands': ['devices:read', 'commands:read'],
        'devices/KEY0000001?tab=rejected': ['devices:read', 'logs:read'],
        'devices/KEY0000001?tab=check': ['devices:read', 'logs:read'],
    };

    for (const scope of Object.keys(routes)) {
        const key = await t.makeKey({ name: `no ${scope}`,
            scopes: scopes.filter((name) => name !== scope) });

        tab = await t.signIn('#/settings', { key });
        t.is(await tab.page.evaluate(() => Object.fromEntries(
                 [...document.querySelectorAll('.nav a')].map((a) =>
                     [a.hash.slice(2), a.classList.contains('dim')
                                       ? a.title : '']))),
             Object.fromEntries(Object.entries(needed).map(([view, its]) =>
                 [view, its === scope ? `Needs ${scope}` : ''])),
             `the views that need ${scope} are dimmed and say so`);

        for (const view of Object.keys(needed).concat(Object.keys(lists))) {
            const lacks = [needed[view], ...lists[view] || []].includes(scope);

            await tab.goto('#/' + view);
            await tab.settled();
            if (lacks) {
                await tab.see(scope, `${view} says that it needs ${scope}`);
            } else {
                t.unlike(await tab.text('main'), /needs |lacks /,
                         `${view}: nothing lacks ${scope}`);
            }
        }

        t.is(tab.asked('GET', new RegExp('/v1' + routes[scope])), [],
             `${scope}: nothing was asked for`);
        await t.close(tab);
    }
};
