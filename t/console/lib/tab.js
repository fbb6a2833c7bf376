// Copyright (C) the ngx_http_iclock_module authors

// A tab with the console page: what a person sees there, and does.

'use strict';

const fs = require('fs');

const axe = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

// In the page: those that can be seen and have this name.

const find = (selector, name, exact) => {
    const words = (text) => (text || '').replace(/\s+/g, ' ').trim();

    // what a label says, but for the choices in it
    const without = (label) => {
        const copy = label.cloneNode(true);

        copy.querySelectorAll('select').forEach((list) => list.remove());
        return copy.textContent;
    };

    const nameOf = (element) => {
        const by = element.getAttribute('aria-labelledby');

        return words(
            element.getAttribute('aria-label')
            || (by && by.split(' ').map((id) =>
                    document.getElementById(id)?.textContent).join(' '))
            || [...(element.labels || [])].map(without).join(' ')
            || element.innerText || element.getAttribute('placeholder'));
    };

    // what floats is meant first
    const places = [...document.querySelectorAll('dialog[open], .signin'),
                    ...document.querySelectorAll('.panel'), document];

    return places.flatMap((place) =>
        [...place.querySelectorAll(selector)]).filter((element) => {
        if (!element.checkVisibility({ checkVisibilityCSS: true })) {
            return false;
        }

        const its = nameOf(element);

        return exact ? its === name : its.includes(name);
    })[0] || null;
};

// In the page: clicked() says whether this one was, or one that stands in its
// place.

const listen = (element) => {
    const says = (e) => e.getAttribute('aria-label') || e.textContent;
    const words = says(element);
    let arrived = false;

    const hear = (event) => {
        arrived ||= event.composedPath().some((e) => e === element
            || e.tagName === element.tagName && says(e) === words);
    };

    document.addEventListener('click', hear, true);
    globalThis.clicked = () => {
        document.removeEventListener('click', hear, true);
        return arrived;
    };
};

const acts = 'button, a, summary, [role=button], [role=tab], [role=menuitem],'
             + ' [role=switch], input[type=checkbox], input[type=radio]';

const fields = 'input, select, textarea';


module.exports = class Tab {

    static async make(t, context, option) {
        const tab = new Tab();
        const page = await context.newPage();

        Object.assign(tab, { t, context, page, shared: !!option.context,
                             messages: [], foreign: [], requests: [],
                             answers: [], allowed: [], running: new Set() });

        page.on('console', (message) => {
            const text = `${message.type()}: ${message.text()}`
                         + ` ${message.location()?.url || ''}`;

            if (!tab.allowed.some((pattern) => pattern.test(text))) {
                tab.messages.push(text);
            }
        });

        page.on('pageerror', (error) => {
            tab.messages.push(error.stack || String(error));
        });

        page.on('request', (request) => {
            const url = request.url();

            tab.requests.push(`${request.method()} ${url}`);

            if (!/event-stream/.test(request.headers().accept)) {
                tab.running.add(request);
            }

            if (!url.startsWith(t.origin + '/') && !url.startsWith('data:')) {
                tab.foreign.push(url);
            }
        });

        // puppeteer may keep silent of one that is given up as it is answered
        const session = await page.createCDPSession();
        const ended = ({ requestId }) => tab.running.forEach((request) =>
            request.id === requestId && tab.running.delete(request));

        await session.send('Network.enable');
        session.on('Network.loadingFinished', ended);
        session.on('Network.loadingFailed', ended);
        for (const end of ['requestfinished', 'requestfailed']) {
            page.on(end, (request) => tab.running.delete(request));
        }

        page.on('response', (response) => {
            tab.answers.push(`${response.status()} ${response.url()}`);
            t.heard(response);
        });

        page.setDefaultTimeout(t.patience);
        page.setDefaultNavigationTimeout(t.patience);

        await tab.size(option.width || 1280, option.height || 800,
                       option.touch);
        await tab.theme(option.dark ? 'dark' : 'light');

        if (option.timezone) {
            await page.emulateTimezone(option.timezone);
        }

        if (option.language) {
            await page.evaluateOnNewDocument((language) => {
                Object.defineProperty(navigator, 'language',
                                      { get: () => language });
                Object.defineProperty(navigator, 'languages',
                                      { get: () => [language] });
            }, option.language);
        }

        await option.prepare?.(page);

        return tab;
    }

    async goto(where) {
        this.response = await this.page.goto(
            /^https?:/.test(where) ? where
                                   : `${this.t.origin}/console${where}`);
    }

    // a failed request is a message of Chromium that nobody can prevent
    allow(...patterns) {
        this.allowed.push(...patterns);
        return this;
    }

    size(width, height, touch) {
        return this.page.setViewport({ width, height, hasTouch: !!touch,
                                       isMobile: !!touch });
    }

    theme(scheme) {
        return this.page.emulateMediaFeatures([
            { name: 'prefers-color-scheme', value: scheme },
            { name: 'prefers-reduced-motion', value: 'reduce' },
        ]);
    }

    body() {
        return this.page.evaluate(() => document.body.innerText);
    }

    // what is drawn in the next frame is there
    frames() {
        return this.page.evaluate(() => new Promise((resolve) =>
            requestAnimationFrame(() => requestAnimationFrame(resolve))));
    }

    // the URLs of requests without an end
    waiting() {
        return [...this.running].map((request) => request.url());
    }

    // the view has been drawn, and waits for no answer
    async settled() {
        let times = 0;

        await this.until(() => document.querySelector('h1'));

        try {
            await this.t.wait('no request', async () => {
                await this.frames();
                times = this.waiting().length === 0 ? times + 1 : 0;
                return times === 3;
            });
        } catch (error) {
            throw new Error(`${error.message}: ${this.waiting().join(' ')}`);
        }
    }

    // Requests whose URL matches wait at the network until they are let go by
    // the function that this returns; .all are those that wait.
    async hold(pattern) {
        const all = [];
        const on = (request) => pattern.test(request.url())
            ? all.push(request) : request.continue().catch(() => null);

        await this.page.setRequestInterception(true);
        this.page.on('request', on);

        return Object.assign(async () => {
            this.page.off('request', on);
            all.forEach((request) => request.continue().catch(() => null));
            await this.page.setRequestInterception(false);
        }, { all });
    }

    // the page has read an answer whose URL matches, and drawn what it tells
    async read(pattern) {
        await this.until((source) => performance.getEntriesByType('resource')
            .some((entry) => new RegExp(source).test(entry.name)),
                         pattern.source);
        await this.frames();
    }

    // until the function says something true in the page
    async until(code, ...args) {
        const what = String(code).slice(0, 200);

        return this.t.wait(`${what} ${JSON.stringify(args)}`,
            () => this.page.evaluate(code, ...args).catch((error) => {
                if (/context|detached|navigat/i.test(error.message)) {
                    return null;
                }
                throw error;
            }));
    }

    // waits for words; true, or a failed test
    async see(what, about) {
        const source = what instanceof RegExp ? what.source : null;
        let seen = true;

        try {
            await this.until((text, pattern) => {
                const body = document.body.innerText.replace(/\s+/g, ' ');

                return pattern ? new RegExp(pattern).test(body)
                               : body.includes(text);
            }, source ? '' : what, source);

        } catch (error) {
            seen = false;
        }

        return this.t.ok(seen, about || `shows ${what}`,
                         seen ? '' : await this.body());
    }

    async element(selector, name, exact = true) {
        return this.t.wait(`${selector} "${name}"`, async () => {
            const handle = await this.page.evaluateHandle(find, selector, name,
                                                          exact);
            return handle.asElement();
        });
    }

    async has(name, selector = acts) {
        const handle = await this.page.evaluateHandle(find, selector, name,
                                                      true);
        return handle.asElement() !== null;
    }

    // What moves or is drawn anew between look and click is missed: only a
    // click that has arrived is one.
    async click(name, selector = acts) {
        return this.t.wait(`a click on "${name}"`, async () => {
            const element = await this.element(selector, name);

            try {
                await element.evaluate(listen);
                await element.click();

            } catch (error) {
                if (/detached|not clickable/.test(error.message)) {
                    return false;
                }
                throw error;
            }

            // a page that has gone was clicked, too
            return this.page.evaluate(() => globalThis.clicked())
                .catch(() => true);
        });
    }

    // writes in a field, in place of what is there
    async fill(label, text) {
        const element = await this.element(fields, label);

        await element.focus();
        await element.evaluate((field) => field.select?.());
        await this.page.keyboard.press('Backspace');
        await this.page.keyboard.type(text);
    }

    async choose(label, text) {
        // the choices may come later, or be drawn anew meanwhile
        await this.t.wait(`${text} of ${label}`, async () => {
            const element = await this.element(fields, label);

            return element.evaluate((list, wanted) => {
                const value = [...list.options].find((o) =>
                    o.text === wanted || o.value === wanted)?.value;

                if (value === undefined || !list.isConnected) {
                    return false;
                }

                list.value = value;
                list.dispatchEvent(new Event('input', { bubbles: true }));
                list.dispatchEvent(new Event('change', { bubbles: true }));
                return true;
            }, text);
        });
    }

    press(...keys) {
        return keys.reduce((done, key) =>
            done.then(() => this.page.keyboard.press(key)), Promise.resolve());
    }

    async enter(key) {
        await this.fill('API key', key);
        await this.click('Open the console');
        await this.inside();
    }

    // signed in, with a view
    inside() {
        return this.until(() => !document.querySelector('.signin')
                                && document.querySelector('main h1'));
    }

    text(selector) {
        return this.page.evaluate((s) =>
            [...document.querySelectorAll(s)].map((e) =>
                e.innerText.replace(/\s+/g, ' ').trim()).join('\n'), selector);
    }

    // whether the page's memory has a text, when all that is not used is gone
    async remembers(text) {
        const session = await this.page.createCDPSession();
        let rest = '', found = false;

        session.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => {
            found ||= (rest + chunk).includes(text);
            rest = chunk.slice(-text.length);
        });
        await session.send('HeapProfiler.enable');
        await session.send('HeapProfiler.collectGarbage');
        await session.send('HeapProfiler.takeHeapSnapshot');
        await session.detach();

        return found;
    }

    // the requests of some method, to some place of the interface
    asked(method, pattern) {
        return this.requests.filter((request) =>
            request.startsWith(method + ' ') && pattern.test(request));
    }

    // nobody is kept out
    async axe(about, rules) {
        if (!await this.page.evaluate(() => typeof axe === 'object')) {
            await this.page.evaluate(axe);
        }

        const found = await this.page.evaluate(async (rules) => {
            const result = await globalThis.axe.run(document, rules
                ? { runOnly: { type: 'rule', values: rules } }
                : { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa',
                              'best-practice'],
                    rules: { 'target-size': { enabled: true } } });

            return result.violations.map((v) => `${v.id}: ` + v.nodes.map(
                (n) => `${n.html.slice(0, 160)} (${n.any.concat(n.all)
                    .map((c) => c.message).join('; ').slice(0, 160)})`)
                .slice(0, 4).join('\n   '));
        }, rules);

        return this.t.ok(found.length === 0, `axe: ${about}`,
                         found.join('\n'));
    }

    // nothing is wider than the window
    async fits(about) {
        const over = await this.page.evaluate(() => {
            const root = document.documentElement;

            return root.scrollWidth > root.clientWidth
                ? [...document.querySelectorAll('body *')].filter((e) =>
                      e.getBoundingClientRect().right
                      > root.clientWidth + 1).slice(0, 5).map((e) =>
                      `${e.tagName}.${e.className} ${Math.round(
                          e.getBoundingClientRect().right)}`)
                      .concat(`${root.scrollWidth} > ${root.clientWidth}`)
                : [];
        });

        return this.t.ok(over.length === 0, `no sideways scroll: ${about}`,
                         over.join('\n'));
    }

    // no words stand on others
    async apart(about) {
        const over = await this.page.evaluate(() => {
            const layers = 'dialog, .panel, .menu, header, nav, .strips, main';
            const parts = [];
            const all = document.createTreeWalker(document.body,
                                                  NodeFilter.SHOW_TEXT);

            // what is cut off is not there
            const seen = (box, element) => {
                let [left, top, right, bottom] = [box.left, box.top,
                                                  box.right, box.bottom];

                for (let e = element; e; e = e.parentElement) {
                    const its = getComputedStyle(e);
                    const edge = e.getBoundingClientRect();

                    if (its.overflowX !== 'visible') {
                        left = Math.max(left, edge.left);
                        right = Math.min(right, edge.right);
                    }
                    if (its.overflowY !== 'visible') {
                        top = Math.max(top, edge.top);
                        bottom = Math.min(bottom, edge.bottom);
                    }
                }
                return right - left > 1 && bottom - top > 1
                       ? [{ left, top, right, bottom }] : [];
            };

            while (all.nextNode()) {
                const node = all.currentNode, its = node.parentElement;
                const range = document.createRange();

                if (!node.data.trim()
                    || !its.checkVisibility({ checkVisibilityCSS: true }))
                {
                    continue;
                }

                range.selectNodeContents(node);
                for (const box of range.getClientRects()) {
                    parts.push(...seen(box, its).map((part) => ({ ...part,
                        node, layer: its.closest(layers) })));
                }
            }

            return parts.flatMap((a, i) => parts.slice(i + 1).filter((b) =>
                a.layer === b.layer && a.node !== b.node
                && Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2
                && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
                .map((b) => `${a.node.data} / ${b.node.data}`)).slice(0, 5);
        });

        return this.t.is(over, [], `no words on others: ${about}`);
    }

    // four pictures, each looked at by axe, too
    async looks(name) {
        for (const scheme of ['light', 'dark']) {
            await this.theme(scheme);

            for (const [width, height] of [[1280, 800], [390, 844]]) {
                await this.size(width, height);
                await this.frames();
                await this.page.screenshot({
                    path: this.t.picture(`${name}-${width}-${scheme}`) });
                await this.fits(`${name} ${width}`);
                // the other theme has other colours, and nothing else
                await this.axe(`${name} ${width} ${scheme}`,
                               scheme === 'dark' ? ['color-contrast'] : null);
            }
        }

        await this.theme('light');
        await this.size(1280, 800);
    }
};
