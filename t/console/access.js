// Copyright (C) the ngx_http_iclock_module authors

// Who cannot use a mouse, sees little, or reads with other tools: keys, small
// and large, focus, contrast.

'use strict';

const fs = require('fs');
const path = require('path');

const sheet = path.join(__dirname, '../../src/console/page/page.css');


// the formula of WCAG

function contrast(one, other) {
    const [a, b] = [one, other].map((colour) => {
        const [r, g, b] = colour.match(/\w\w/g).map((hex) => {
            const c = parseInt(hex, 16) / 255;
            return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    });

    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}


function contrasts(t) {
    const css = fs.readFileSync(sheet, 'utf8');
    const tokens = [...css.matchAll(
        /--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)]
        .map(([, name, light, dark]) => [name, [light.slice(1),
                                                dark.slice(1)]]);
    const of = Object.fromEntries(tokens);
    const pairs = [];

    for (const ground of ['bg', 'surface', 'raised', 'selection']) {
        for (const ink of ['text', 'muted', 'accent']) {
            pairs.push([ink, ground, 4.5]);
        }
    }
    for (const ground of ['bg', 'surface', 'raised']) {
        pairs.push(['edge', ground, 3]);
        for (const state of ['ok', 'warn', 'bad', 'new']) {
            pairs.push([state, ground, 4.5]);
        }
    }
    for (const state of ['ok', 'warn', 'bad', 'new']) {
        pairs.push([state, 'soft-' + state, 4.5], [state, 'selection', 4.5],
                   ['text', 'soft-' + state, 4.5],
                   ['accent', 'soft-' + state, 4.5]);
    }
    pairs.push(['on-accent', 'accent', 4.5]);

    const bad = [];

    for (const [ink, ground, least] of pairs) {
        for (const i of [0, 1]) {
            const got = contrast(of[ink][i], of[ground][i]);

            if (got < least) {
                bad.push(`${ink} on ${ground}: ${got.toFixed(2)}`);
            }
        }
    }

    t.is(bad, [], `contrast of ${pairs.length * 2} pairs`);
}


// the distances of WCAG 1.4.12: nothing is cut off

async function spaced(t, tab, view) {
    for (const width of [320, 1280]) {
        await tab.size(width, 800);
        await tab.page.evaluate(() => {
            const sheet = new CSSStyleSheet();

            sheet.replaceSync(`* { line-height: 1.5 !important;
                letter-spacing: .12em !important;
                word-spacing: .16em !important }
                p { margin-block-end: 2em !important }`);
            document.adoptedStyleSheets = [sheet];
        });
        await tab.frames();
        await tab.frames();
        await tab.fits(`${view}, ${width} px, text apart`);
        t.is(await tab.page.evaluate(() =>
            [...document.querySelectorAll('main *, header *')].filter((e) => {
                const its = getComputedStyle(e);

                return e.checkVisibility({ checkVisibilityCSS: true })
                    && e.clientHeight > 1 && e.innerText
                    && !/visible|auto|scroll/.test(its.overflowY)
                    && e.scrollHeight > e.clientHeight + 1;
            }).map((e) => `${e.tagName}.${e.className} ${e.scrollHeight} > ${
                e.clientHeight}`).slice(0, 5)), [],
            `${view}, ${width} px, text apart: nothing is cut off`);
        await tab.page.evaluate(() => {
            document.adoptedStyleSheets = [];
        });
    }
}


// Keys of a row, of a device and of Live; and where the focus goes.

async function keys(t, tab) {
    const at = (selector) => tab.until((s) =>
        document.activeElement.matches(s), selector);

    // "a" is the act of the row, which has the focus again behind it

    await t.device('NEW0000010', 'handshake');
    await tab.goto('#/fleet?q=NEW0000010');
    await tab.until(() => document.querySelector('.rows > .row')?.innerText
                          .includes('NEW0000010'));
    await tab.page.focus('.rows > .row');
    await tab.press('a');
    await at('.panel input');
    t.like(await tab.text('.panel h2'), /Approve NEW0000010/,
           'a: the act of the row');
    await tab.press('Escape');
    await tab.until(() => !document.querySelector('.panel'));
    await at('.rows > .row');
    t.ok(true, 'Escape: and back to the row');

    // the next device and the one before, at the same tab

    await tab.goto('#/devices/KEYS0017?tab=people');
    for (const [key, sn] of [[']', 'KEYS0018'], [']', 'KEYS0019'],
                             ['[', 'KEYS0018']])
    {
        await at('h1');
        await tab.press(key);
        t.ok(await t.wait(sn, () => tab.page.evaluate((hash) =>
                 location.hash === hash, `#/devices/${sn}?tab=people`))
                 .catch(() => false), `${key}: ${sn}`);
    }

    // Space: Live stands, and goes on

    await tab.goto('#/live');
    await at('h1');
    await tab.press(' ');
    await tab.see('Go on', 'Space: Live stands still');
    await tab.press(' ');
    await tab.until(() => /Pause/.test(
        document.querySelector('.head .side').innerText));
    t.ok(true, 'Space: and goes on');

    // it is also the key of the button that does the same

    await tab.page.focus('.head .side button');
    await tab.press(' ');
    await tab.frames();
    t.like(await tab.text('.head .side'), /^Go on/,
           'Space on the button: once');
    await tab.press(' ');
    await t.sql("select iclock.delete_device('NEW0000010')");
}


// colours of the system's choice: shapes, borders and words are left

async function forced(t, tab) {
    const session = await tab.page.createCDPSession();

    await session.send('Emulation.setEmulatedMedia', { features: [
        { name: 'forced-colors', value: 'active' },
        { name: 'prefers-reduced-motion', value: 'reduce' }] });
    await tab.goto('#/fleet');
    await tab.see('Door 1');
    t.is(await tab.page.evaluate(() => {
        const line = (s, side) => {
            const its = getComputedStyle(document.querySelector(s));

            return parseFloat(its[`border${side}Width`]) > 0
                   && its[`border${side}Style`] !== 'none';
        };

        return { forced: matchMedia('(forced-colors: active)').matches,
                 view: line('.nav a[aria-current]', 'Bottom'),
                 filter: line('.chip[aria-pressed=true]', 'Top'),
                 states: [...document.querySelectorAll('.state')].every((e) =>
                     e.querySelector('svg') && (e.textContent || e.title)) };
    }), { forced: true, view: true, filter: true, states: true },
         'forced colours: what is chosen has a border, a state a shape');
    await tab.page.screenshot({ path: t.picture('forced-fleet') });
    await tab.fits('forced colours');
    await tab.goto('#/devices/KEYS0017');
    await tab.until(() => document.querySelector('[role=tab]'));
    t.ok(await tab.page.evaluate(() => parseFloat(getComputedStyle(
        document.querySelector('[role=tab][aria-selected=true]'))
        .borderBottomWidth) > 0), 'forced colours: the tab that is chosen');
    await tab.axe('forced colours');
    await session.send('Emulation.setEmulatedMedia', { features: [
        { name: 'prefers-reduced-motion', value: 'reduce' }] });
}


// far down in a long list, of which few rows are in the document

async function far(t) {
    const many = 9050;

    await t.sql(`insert into iclock.device (serial_number, name, site, timezone,
                                            status, last_seen)
        select 'ROWS' || to_char(n, 'FM00000'), 'Row ' || n, 'Pune',
               'Asia/Kolkata', 'active', now()
          from generate_series(1, ${many}) as n`);

    const tab = await t.signIn('#/fleet?q=rows');

    // what no event tells of is found in half a minute
    const count = (n) => t.wait(`${n} rows`, () => tab.page.evaluate((n) =>
        document.querySelector('[role=grid]')?.getAttribute('aria-rowcount')
        === String(n + 1), n), 4);

    // the row that has the focus: its number, its device, is it in sight
    const here = () => tab.page.evaluate(() => {
        const row = document.activeElement;
        const box = row.getBoundingClientRect();

        return [Number(row.getAttribute('aria-rowindex')),
                row.querySelector('.c-name a')?.innerText,
                box.top >= 0 && box.bottom <= innerHeight];
    });

    const at = async (about, ...expected) => {
        let got;

        await t.wait(about, async () => {
            got = (await here()).slice(0, expected.length);
            return JSON.stringify(got) === JSON.stringify(expected);
        }).catch(() => null);
        t.is(got, expected, about);
    };

    await count(many);
    await tab.until(() => document.querySelector('.rows > .row[tabindex="0"]'));
    await tab.page.focus('.rows > .row[tabindex="0"]');
    await tab.press('End');
    await at('End: the last of many rows', many + 1, `Row ${many}`, true);
    await tab.press(...Array(50).fill('ArrowUp'));
    await at('arrows: row 9,000', 9001, 'Row 9000', true);
    await tab.frames();

    // the title is row 1; a row has one place, by its number
    t.is(await tab.page.evaluate(() => {
        const row = (n) => document.querySelector(
            `.rows > .row[aria-rowindex="${n}"]`);
        const all = [...document.querySelectorAll('.rows > .row')];
        const first = document.querySelector('.rows').getBoundingClientRect();
        const tall = row(9001).getBoundingClientRect().height;

        return {
            wrong: all.filter((e) => {
                const n = Number(e.getAttribute('aria-rowindex'));

                return row(n) !== e
                    || e.querySelector('.c-name a').innerText !== `Row ${n - 1}`
                    || Math.abs(e.getBoundingClientRect().top - first.top
                                - (n - 2) * tall) > 1;
            }).map((e) => e.innerText),
            stops: all.filter((e) => e.tabIndex === 0).length,
            few: document.querySelectorAll('*').length <= 2500,
        };
    }), { wrong: [], stops: 1, few: true },
         'each row is where its number says, and few are in the document');

    // the focus stays: when its user scrolls away, and when rows come and go

    await tab.page.evaluate(() => window.scrollTo(0, 0));
    await tab.see('Row 1', 'scrolled to the top');
    await at('the focus is where it was', 9001, 'Row 9000', false);
    await tab.press('ArrowDown');
    await at('and goes on from there', 9002, 'Row 9001', true);

    await t.api('POST', '/devices', { serial_number: 'ROWS00000',
        name: 'Row 0', site: 'Pune', timezone: 'Asia/Kolkata' });
    await count(many + 1);
    await at('a row that comes before it', 9003, 'Row 9001');

    // the page may ask for them when it hears of them, and they are gone
    tab.allow(/status of 404 .*\/v1\/devices\/ROWS0000[01]$/);
    await t.api('DELETE', '/devices/ROWS00000');
    await t.api('DELETE', '/devices/ROWS00001');
    await count(many - 1);
    await at('and rows that go', 9001, 'Row 9001');
    await tab.press('PageUp', 'PageDown', 'Home');
    await at('Home', 2, 'Row 2', true);

    await t.close(tab);
}


// What can be pressed and is smaller than so many pixels; a box and its label
// are one.  Links within words are not meant, nor boxes of rows, which keys and
// the rows themselves stand in for.  What sticks out of a row of titles is
// under others.

const small = (tab, least) => tab.page.evaluate((least) => {
    const found = [];
    const all = document.querySelector('.signin') ?? document;

    for (const e of all.querySelectorAll('button, select, summary, input,'
        + ' nav a, .who, .back, .day-line a'))
    {
        const labels = e.type === 'checkbox' ? [...e.labels] : [];
        const boxes = [e, ...labels].map((each) =>
            each.getBoundingClientRect());
        const size = (from, to) => Math.max(...boxes.map((box) => box[to]))
                                   - Math.min(...boxes.map((box) => box[from]));
        const width = size('left', 'right');
        const height = Math.min(size('top', 'bottom'),
                                e.closest('.heads')?.offsetHeight ?? Infinity);

        if (e.checkVisibility({ checkVisibilityCSS: true })
            && width > 1 && height > 1
            && (e.type !== 'checkbox' || labels.length)
            && (width < least - 0.5 || height < least - 0.5))
        {
            found.push(`${e.tagName} ${e.innerText} ${Math.round(width)}x${
                Math.round(height)}`);
        }
    }
    return found;
}, least);


// Each title stands above its column: by name, from where to where.

const columns = (tab, row) => tab.page.evaluate((row) =>
    [...document.querySelector(row).children].filter((cell) =>
        cell.checkVisibility()).map((cell) => {
            const box = cell.getBoundingClientRect();

            return `${cell.className.match(/\bc-\w+/)} ${
                Math.round(box.left)} ${Math.round(box.right)}`;
        }), row);


// targets, by mouse and by finger

async function targets(t) {
    await t.sql(`insert into iclock.person (site, pin, name)
        values ('Pune', '4711', 'Asha Rao');
        insert into iclock.punch (device_id, local_time, pin, status, verify,
                                  punched_at)
        select id, localtimestamp(0), '4711', 0, 1, now()
          from iclock.device where serial_number = 'KEYS0017'`);

    for (const [width, height, touch, least] of [[1280, 800, false, 24],
                                                 [390, 844, true, 44]]) {
        const tab = await t.open('#/fleet', { width, height, touch });
        const all = async (view) => {
            t.is(await small(tab, least), [],
                 `${view}: no target below ${least} px`);
            await tab.apart(view);
        };

        await tab.see('API key');
        await all('sign in');
        await tab.enter(t.key);

        for (const view of ['fleet', 'live', 'people', 'commands', 'problems',
                            'settings', 'devices/KEYS0017?tab=check',
                            'devices/KEYS0017?tab=setup', 'devices/KEYS0017'])
        {
            await tab.goto('#/' + view);
            await tab.settled();
            await all(view);
        }

        await tab.until(() => document.querySelector('#tab-body .moment'));
        await all('a punch');

        // what floats

        await tab.click('More');
        await all('a menu');
        await tab.click('Block…', '[role=menuitem]');
        await tab.element('dialog button', 'Block Door 17');
        await all('a dialog');
        await tab.click('Block Door 17', 'dialog button');
        await tab.element('.strip button', 'Approve again');
        await all('a strip');
        await tab.click('Approve again', '.strip button');
        await tab.see('Door 17 is approved again.');
        await tab.goto('#/people/4711');
        await tab.click('Copy to…', '.panel button');
        await tab.element('.panel input', 'Select all shown');
        await all('a panel');

        // a table that has no room for all columns, with a finger and without

        for (const [view, wide] of [['fleet', 1280], ['fleet', 1024],
                                    ['people/4711', 800], ['live', 800]])
        {
            const row = '.rows > .row:not([data-mark~=other])';
            const name = `${view}, ${wide}`;

            await tab.goto('#/' + view);
            await tab.size(wide, 768, touch);
            await tab.settled();
            await tab.until((row) => document.querySelector(row), row);
            t.is(await columns(tab, '.heads'), await columns(tab, row),
                 `${name}: each title above its column`);
            await all(name);
        }

        await t.close(tab);
    }

    await t.sql(`delete from iclock.punch where pin = '4711';
                 delete from iclock.person where pin = '4711'`);
}


module.exports = async (t) => {
    contrasts(t);

    await t.sql(`select iclock.register_device('KEYS' || to_char(n, 'FM0000'),
        'Door ' || n, 'Pune', 'Asia/Kolkata')
        from generate_series(1, 40) as n;
        update iclock.device set last_seen = now()`);
    await t.device('NEW0000009', 'handshake');

    // by keys alone: sign in, find, look, sign out

    let tab = await t.open('#/fleet');

    await tab.see('API key');
    await tab.page.keyboard.type(t.key);
    await tab.press('Enter');
    await tab.see('Door 1');
    await tab.press('/');
    await tab.page.keyboard.type('door 17');
    await t.wait('one row', () => tab.page.evaluate(() =>
        document.querySelector('[role=grid]')
            .getAttribute('aria-rowcount') === '2'));

    const to = async (selector) => {
        for (let i = 0; i < 60; i++) {
            await tab.press('Tab');
            if (await tab.page.evaluate((s) =>
                document.activeElement.matches(s), selector)) {
                return true;
            }
        }
        return false;
    };

    t.ok(await to('.rows > .row'), 'Tab comes to the list');
    await tab.press('Enter');
    await tab.until(() => location.hash.startsWith('#/devices/KEYS0017'));
    t.ok(true, 'Enter opens the device');
    await tab.until(() => document.activeElement.tagName === 'H1');
    t.ok(true, 'its heading has the focus');

    // approve, undo, sign out, by keys alone

    const named = async (name) => {
        for (let i = 0; i < 120; i++) {
            await tab.press('Tab');
            if (await tab.page.evaluate((name) => {
                const its = document.activeElement;

                return (its.getAttribute('aria-label') || its.innerText || '')
                    .replace(/\s+/g, ' ').trim().startsWith(name);
            }, name)) {
                return;
            }
        }
        throw new Error(`Tab does not come to "${name}"`);
    };

    await t.wait('g f', async () => {
        await tab.press('g', 'f');
        return tab.page.evaluate(() => location.hash.startsWith('#/fleet'));
    });
    await tab.see('Waiting for approval');
    await named('Approve…');
    await tab.press('Enter');
    await tab.until(() => document.activeElement.closest('.panel')
                          && document.activeElement.tagName === 'INPUT');
    await tab.page.keyboard.type('Gate 9');
    await tab.press('Enter');
    await t.wait('it is approved', async () => await t.sql(`select status
        || name from iclock.device where serial_number = 'NEW0000009'`)
        === 'activeGate 9');
    await tab.see('Gate 9 is approved.', 'keys: approved');
    await named('Block again');
    await tab.press('Enter');
    await t.wait('it is blocked', async () => await t.sql(`select status
        from iclock.device where serial_number = 'NEW0000009'`) === 'blocked');
    await tab.see('is blocked again', 'keys: and taken back');
    await t.wait('g s', async () => {
        await tab.page.evaluate(() => document.activeElement.blur());
        await tab.press('g', 's');
        return tab.page.evaluate(() => location.hash.startsWith('#/settings'));
    });
    await named('Sign out');
    await tab.press('Enter');
    await tab.see('API key', 'keys: signed out');
    await tab.until(() => document.activeElement.id === 'key');
    await tab.page.keyboard.type(t.key);
    await tab.press('Enter');
    await tab.inside();

    // letters that go somewhere, unless somebody types, or does not want them

    // who is slower than 1.5 s has to begin again
    await t.wait('g c', async () => {
        await tab.press('g', 'c');
        return tab.page.evaluate(() => location.hash.startsWith('#/commands'));
    });
    t.ok(true, 'g c goes to the commands');
    await tab.goto('#/people');
    await tab.see('Add person…');
    await tab.press('/');
    await tab.page.keyboard.type('gc?');
    t.like(await tab.page.evaluate(() => location.hash), /^#\/people/,
           'not while typing');
    await tab.page.evaluate(() => document.activeElement.blur());
    for (const key of ['Control', 'Alt', 'Meta']) {
        await tab.page.keyboard.down(key);
        await tab.press('g', 'c');
        await tab.page.keyboard.up(key);
    }
    await tab.press('?');
    await tab.see('Previous and next row', '? lists the keys');
    t.like(await tab.page.evaluate(() => location.hash), /^#\/people/,
           'nor with keys that are of the browser');
    await tab.looks('keys');
    await tab.press('Escape');

    await tab.goto('#/settings');
    await tab.looks('settings');
    await tab.click('One-key shortcuts', 'input[type=checkbox]');
    await tab.page.evaluate(() => document.activeElement.blur());
    await tab.press('g', 'c');
    await t.sleep(200);
    t.like(await tab.page.evaluate(() => location.hash), /^#\/settings/,
           'nor when they are switched off');
    await tab.click('One-key shortcuts', 'input[type=checkbox]');

    t.ok(await to('button'), 'Tab comes to the buttons');
    await keys(t, tab);

    // small windows, and large text

    tab = await t.signIn('#/fleet');
    for (const view of ['fleet', 'live', 'people', 'commands', 'problems',
                        'settings', 'devices/KEYS0017']) {
        await tab.goto('#/' + view);
        await tab.size(320, 640);
        await tab.settled();
        await tab.fits(`${view}, 320 px`);
        // 1280 by 1024 at 400 %
        await tab.size(320, 256);
        await tab.frames();
        await tab.fits(`${view}, 400 %`);
        await spaced(t, tab, view);
        await tab.size(1280, 800);
    }

    await forced(t, tab);

    const moving = await tab.page.evaluate(() =>
        [...document.querySelectorAll('*')].filter((e) => {
            const its = getComputedStyle(e);
            return parseFloat(its.transitionDuration) > 0
                   || its.animationName !== 'none';
        }).length);

    t.is(moving, 0, 'nothing moves for who does not want it');

    await targets(t);
    await far(t);
};
