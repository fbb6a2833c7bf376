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
        local: JSON.stringify(localStorage), history: history.length,
        state: JSON.stringify(history.state), cookie: document.cookie,
    }));

    for (const [name, text] of Object.entries(places)) {
        t.ok(!String(text).includes(secret), `the key is not in: ${name}`);
    }

    t.ok(!tab.requests.some((r) => r.includes(secret)), 'nor in an address');
    t.ok(!(await t.accessLog()).includes(secret), 'nor in the access log');
    t.ok(!(await t.errorLog()).includes(secret), 'nor in the error log');

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

    // revoked while the page is open

    const key = await t.makeKey({ name: 'brief', scopes });

    tab = await t.open('#/commands', { context: tab.context });
    // the stream ends in the middle
    tab.allow(/401|ERR_INCOMPLETE/);
    await tab.enter(key);
    await t.sql(`select iclock.revoke_api_key('${key.split('_')[2]}')`);
    await tab.see('This key does not work any more.', 'revoked: said in words');
    await tab.enter(t.key);
    t.like(await tab.page.evaluate(() => location.hash), /^#\/commands/,
           'and the view goes on');

    // sign out, here and in the other tab

    const second = await t.open('#/fleet', { context: tab.context });

    await second.enter(t.key);
    await second.goto('#/settings');
    await second.click('Sign out');
    await second.see('API key', 'signed out');
    await tab.see('API key', 'in the other tab, too');
    t.is(await tab.page.evaluate(() => sessionStorage.length), 0,
         'nothing is kept');

    // a key for tests, and keys that may not do everything

    const test = await t.makeKey({ name: 'try', scopes, mode: 'test' });

    tab = await t.signIn('#/fleet', { key: test });
    await tab.see(/test key\. It sees simulated devices only/,
                  'a key for tests says so');
    await tab.looks('test-key');

    const few = await t.makeKey({ name: 'few', scopes: ['devices:read'] });

    tab = await t.signIn('#/settings', { key: few });
    tab.allow(/403/);

    for (const [view, scope] of [['people', 'users:read'],
                                 ['commands', 'commands:read'],
                                 ['live', 'events:read']]) {
        await tab.goto('#/' + view);
        await tab.see(scope, `${view} says that it needs ${scope}`);

        const route = { people: '/users', commands: '/commands',
                        live: '/events' }[view];

        await tab.settled();
        t.is(tab.requests.filter((r) => r.includes('/v1' + route)), [],
             `and ${view} asks for nothing`);
    }
};
