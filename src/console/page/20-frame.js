// What stands around every view.
//
//   frame.main            the view is in it
//   frame.busy(words)     says that something is read for the first time; the
//                         answer ends it
//   announce(text)        role=status: one message in 10 s, the newest wins
//   alarm(text)           role=alert: at once
//   head(ctx, { title, verdict, state, side })
//       the top of a view: h1 and its sentence.  -> { el, verdict(...kids),
//       state(name), side, updated(ms) }; state: 'ok', 'warn', 'bad', 'new',
//       'unknown'
//   loading(el, promise, bars)
//       nothing for 200 ms, then still grey bars, after 8 s words; a fault in
//       words with "Try again" if it fails -> the promise
//   empty(...kids)        words of a list without rows
//   refused(scope)        an act that the key may not do was asked for
//   copyButton(text, words)   copies; without a clipboard it selects the text;
//                       the text may be a function that makes it

words({
  'app': 'iclock',
  'nav.label': 'Views', 'nav.fleet': 'Fleet', 'nav.live': 'Live',
  'nav.people': 'People', 'nav.commands': 'Commands',
  'nav.problems': 'Problems', 'nav.settings': 'Settings',
  'nav.skip': 'Skip to the content',
  'nav.needs': { one: '{n} needs you', other: '{n} need you' },
  'search': 'Search', 'search.label': 'Search devices',
  'stream.live': 'Live', 'stream.connecting': 'Connecting',
  'stream.polling': 'Every 10 s', 'stream.off': 'Not live',
  'stream.hidden': 'Not live',
  'stream.used': 'Live updates are used up by other windows; refreshing every 10 s.',
  'stream.reset': 'Some events are older than the server keeps; lists were read again.',
  'bar.label': 'Notices',
  'bar.slow': 'Still waiting for the server.',
  'bar.upgraded': 'The server was upgraded.', 'bar.reload': 'Reload',
  'bar.http': 'This connection is not encrypted: the key can be read on the way.',
  'bar.test': 'This is a test key. It sees simulated devices only.',
  'updated': 'Updated {at}', 'unknown': 'Not known since {at}.',
  'again': 'Try again',
  'copy': 'Copy', 'copied': 'Copied', 'copy.keys': 'Press Ctrl+C'
});

const frame = { main: null, first: true, built: false, parts: {} };

function buildFrame() {
  const p = frame.parts;

  p.nav = h('nav.nav', { 'aria-label': t('nav.label') });
  p.search = h('input', {
    type: 'search', id: 'search', placeholder: t('search'),
    'aria-label': t('search.label'), autocomplete: 'off', spellcheck: 'false',
    on: { input: searching, keydown: searchKey }
  });
  p.stream = h('button.stream.quiet', {
    type: 'button', on: { click: () => go(path('live')) }
  }, h('span.lamp', { 'aria-hidden': 'true' }), h('span.word'));
  p.who = h('a.who', { href: path('settings') });
  p.bars = h('section.bars', { 'aria-label': t('bar.label') });
  p.strips = h('section.strips', { 'aria-label': t('strip.label') });
  p.status = h('div.hidden', { role: 'status' });
  p.alert = h('div.hidden', { role: 'alert' });
  frame.main = h('main', { id: 'main', tabindex: -1 });
  p.shell = h('div.shell',
    h('a.skip', { href: '#main', on: { click: skip } }, t('nav.skip')),
    h('header.top',
      h('div.inner',
        h('a.brand', { href: path('fleet') }, t('app')),
        p.nav,
        h('div.finder', icon('search'), p.search, h('kbd', '/')),
        p.stream, p.who)),
    p.bars,
    h('div.content', frame.main, p.strips));
  document.body.append(p.shell, p.status, p.alert);

  const rows = Array.from(views.values()).filter((v) => v.nav)
    .sort((a, b) => a.nav - b.nav);

  p.links = new Map();
  for (const v of rows) {
    const a = h('a', { href: path(v.name) }, h('span', t(v.title)));

    p.links.set(v.name, a);
    p.nav.append(a);
  }
  p.count = h('span.count', { hidden: true });
  if (p.links.has('problems')) p.links.get('problems').append(' ', p.count);
  frame.built = true;
}

function skip(event) {
  event.preventDefault();
  frame.main.focus();
}

function drawFrame() {
  const p = frame.parts;
  const current = shown.view && shown.view.under || route.view;

  for (const [name, a] of p.links) {
    const v = views.get(name);

    if (name === current) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
    flag(a, 'dim', v.scope && !may(v.scope));
    a.title = v.scope && !may(v.scope)
      ? t('scope.needs', { scope: v.scope }) : '';
  }
  if (p.search !== document.activeElement) {
    p.search.value = route.view === 'fleet' && route.query.get('q') || '';
  }
  fill(p.who, data(session.who && session.who.name || t('nav.settings')));
  p.who.setAttribute('aria-label', t('nav.settings'));
  if (current === 'settings') p.who.setAttribute('aria-current', 'page');
  else p.who.removeAttribute('aria-current');
}

function drawStream() {
  const p = frame.parts;

  text(p.stream.querySelector('.word'), t('stream.' + stream.state));
  p.stream.dataset.state = stream.state;
}

function drawCount(n) {
  const p = frame.parts;

  p.count.hidden = !n;
  fill(p.count, number(n), h('span.hidden', ' ', t('nav.needs', { n })));
}

function searching() {
  const q = frame.parts.search.value;

  if (route.view === 'fleet') query({ q: q || null });
}

function searchKey(event) {
  const p = frame.parts;

  if (event.key === 'Enter' && route.view !== 'fleet') {
    go(path('fleet', null, { q: p.search.value }));
  }
  if (event.key === 'Escape') {
    p.search.value = '';
    searching();
    p.search.blur();
  }
}


// bars: what is true of the whole page, until it is not

const bars = new Map();

function bar(name, kind, kids) {
  const had = bars.get(name);

  if (!kids) {
    if (had) had.remove();
    bars.delete(name);
    return;
  }
  if (had) {
    fill(had, kids);
    return;
  }

  const el = h('div.bar.' + kind, kids);

  bars.set(name, el);
  frame.parts.bars.append(el);
}

let barTimer = null;

function drawLink() {
  const at = stamp(lastAnswer || Date.now());
  const n = Math.max(0, Math.ceil((link.again - Date.now()) / 1000));

  clearTimeout(barTimer);
  flag(document.documentElement, 'stale', link.state === 'down'
    || link.state === 'database');

  if (link.state === 'down') {
    bar('link', 'warn', [icon('warn'), h('span', n
      ? t('fault.offline', { at, n }) : t('fault.trying', { at })),
    button(t('fault.now'), () => probe(), { kind: 'quiet' })]);
  } else if (link.state === 'database') {
    bar('link', 'warn', [icon('warn'), h('span', t('fault.database'))]);
  } else if (link.state === 'rate') {
    bar('link', 'plain', [icon('clock'), h('span', t('fault.rate', { n }))]);
  } else {
    bar('link', '', null);
  }
  if (link.again) barTimer = setTimeout(drawLink, 1000);
}

let linkBefore = 'up';

on('link', () => {
  if (!frame.built) return;
  drawLink();
  if (link.state !== linkBefore && link.state !== 'up') {
    announce(frame.parts.bars.textContent);
  }
  linkBefore = link.state;
});

on('stream', () => {
  if (!frame.built) return;
  drawStream();
  bar('stream', 'plain', stream.state === 'polling'
    ? [h('span', t('stream.used'))] : null);
});

on('reset', (why) => {
  if (why !== 'lost' || !frame.built) return;
  const note = strip([t('stream.reset')]);

  note.done();
});


// live regions

let announced = 0;
let announcer = null;

function announce(what) {
  clearTimeout(announcer);
  announcer = setTimeout(() => {
    announced = Date.now();
    fill(frame.parts.status, what);
  }, Math.max(50, announced + 10000 - Date.now()));
}

function alarm(what) {
  fill(frame.parts.alert, what);
}

function refused(scope) {
  const note = strip([t('fault.scope', { scope }), ' ', askFor(scope)]);

  note.done();
}


// parts of views

function head(ctx, o) {
  const sentence = h('span.sentence');
  const mark = h('span.mark');
  const updated = h('span.updated');
  const side = h('div.side', o.side || null);
  const title = o.title
    ? heading(o.title) : heading(mark, sentence);
  const el = h('div.head', o.title
    ? h('div.verdict', title, mark, sentence) : h('div.verdict', title),
  updated, side);

  const all = {
    el, side, title, h1: title,
    verdict(...kids) {
      fill(sentence, ...kids);
    },
    state(name) {
      el.dataset.state = name;
      fill(mark, icon({ ok: 'check', unknown: 'silent', new: 'new' }[name]
        || 'warn'));
    },
    updated(ms) {
      text(updated, ms ? t('updated', { at: stamp(ms) }) : '');
    }
  };

  if (o.verdict) all.verdict(o.verdict);
  if (o.state) all.state(o.state);
  ctx.el.append(el);
  return all;
}

function greyBars(n) {
  return h('div.grey', { 'aria-hidden': 'true' },
    Array.from({ length: n || 5 }, () => h('div.bone')));
}

async function loading(el, promise, n, retryIt) {
  const early = setTimeout(() => fill(el, greyBars(n)), 200);
  const words = h('p.empty', t('bar.slow'));
  const late = setTimeout(() => {
    el.append(words);
    announce(t('bar.slow'));
  }, 8000);

  try {
    return await promise;
  } catch (e) {
    onlyProblem(e);
    if (e.code !== 'left') {
      fill(el, h('p.empty', problemWords(e), ' ',
        retryIt ? button(t('again'), retryIt) : null));
    }
    throw e;
  } finally {
    clearTimeout(early);
    clearTimeout(late);
    words.remove();
    for (const bone of el.querySelectorAll(':scope > .grey')) bone.remove();
  }
}

function empty(...kids) {
  return h('p.empty', ...kids);
}

function copyButton(source, label) {
  let box = null;

  const el = button(label || t('copy'), async () => {
    const what = typeof source === 'function' ? source() : source;

    try {
      await navigator.clipboard.writeText(what);
      text(el, t('copied'));
      announce(t('copied'));
      return;
    } catch (e) {
      // there is none without TLS, and it may be forbidden
    }

    if (box === null || !box.isConnected) {
      box = h('input.copy', { readonly: true,
        'aria-label': t('copy.keys') });
      el.after(box, h('span.meta', t('copy.keys')));
    }
    box.value = what;
    box.focus();
    box.select();
  }, { kind: 'quiet' });

  return el;
}
