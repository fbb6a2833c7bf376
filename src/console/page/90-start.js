// The page begins, and its keys.

words({
  'keys.title': 'Keys', 'keys.search': 'Search', 'keys.go': 'Go to a view',
  'keys.rows': 'Previous and next row', 'keys.open': 'Open',
  'keys.select': 'Select; in Live: pause', 'keys.act': 'Act of the row',
  'keys.devices': 'Previous and next device', 'keys.close': 'Close',
  'keys.list': 'This list'
});

const letters = { f: 'fleet', l: 'live', p: 'people', c: 'commands',
  r: 'problems', s: 'settings' };

let going = 0;

function typing(el) {
  return el.closest && el.closest('input:not([type=checkbox]), textarea, '
    + 'select, [contenteditable], dialog, .signin, .menu');
}

function pressed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) {
    return;
  }
  if (event.key === 'Escape' && floating.panel && !typing(event.target)) {
    closePanel();
    return;
  }
  if (event.key === 'Escape' && floating.panel
      && event.target.closest('.panel')) {
    closePanel();
    return;
  }
  if (!setting('shortcuts') || typing(event.target) || signing) return;

  const own = shown.view && shown.view.keys && shown.view.keys[event.key];

  if (Date.now() - going < 1500 && letters[event.key]) {
    going = 0;
    go(path(letters[event.key]));
  } else if (event.key === 'g') {
    going = Date.now();
    return;
  } else if (event.key === '/') {
    (frame.main.querySelector('[data-search]') || frame.parts.search).focus();
  } else if (event.key === '?') {
    showKeys();
  } else if (own && !(event.key === ' ' && event.target.closest('button, a'))) {
    own(event, shown.ctx);
  } else if (event.key === 'j' || event.key === 'k') {
    const row = frame.main.querySelector('.rows > .row[tabindex="0"]');

    if (row) row.focus();
  } else {
    return;
  }
  event.preventDefault();
}

function showKeys() {
  const rows = [['/', 'search'], ['g f l p c r s', 'go'], ['j k ↑ ↓', 'rows'],
    ['Enter', 'open'], ['Space', 'select'], ['a', 'act'], ['[ ]', 'devices'],
    ['Esc', 'close'], ['?', 'list']];
  const box = h('dialog', { 'aria-labelledby': 'keys-title' },
    h('h2', { id: 'keys-title' }, t('keys.title')),
    h('dl.facts.text', rows.map(([key, what]) =>
      [h('dt', h('kbd', key)), h('dd', t('keys.' + what))])),
    button(t('close'), () => box.close()));

  box.addEventListener('close', () => box.remove());
  document.body.append(box);
  box.showModal();
}

function applySettings() {
  const theme = setting('theme');

  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function standing() {
  const who = session.who;
  const server = who && who.server || {};

  bar('test', 'test', who && who.mode === 'test'
    ? [icon('new'), h('span', t('bar.test'))] : null);
  bar('http', 'warn', location.protocol === 'http:'
    && !/^(localhost|127\..*|\[::1\])$/.test(location.hostname)
    ? [icon('key'), h('span', t('bar.http'))] : null);
  bar('old', 'plain', server.version && version && server.version !== version
    ? [h('span', t('bar.upgraded')), button(t('bar.reload'),
      () => location.reload(), { kind: 'quiet' })] : null);
}

async function resume() {
  try {
    signIn(session.key, await loading(frame.main, whose(session.key), 8,
      resume));
  } catch (e) {
    onlyProblem(e);
    // another key may help, as for one that is not known
    if (e.status === 403) {
      signOut(problemWords(e)[0]);
    } else if (session.key !== null) {
      frame.main.prepend(heading(t('app')));

      const off = on('recovered', () => {
        off();
        if (session.key !== null && session.who === null) resume();
      });
    }
  }
}

// who answers again may be a newer server than this page
async function askServer() {
  const key = session.key;

  try {
    const who = await whose(key);

    if (session.key !== key || session.who === null) return;
    session.who.server = who.server;
    standing();
  } catch (e) {
    onlyProblem(e);
  }
}

on('stream', () => {
  // not when it opens for the first time
  if (stream.state === 'live' && stream.opened) askServer();
});
on('recovered', (what) => {
  // who has a stream asks when that opens
  if (what === 'down' && session.who !== null && !may('events:read')) {
    askServer();
  }
});

on('signed-in', () => {
  const before = shown.ctx;

  standing();
  drawFrame();
  // the address may have changed meanwhile
  navigate();
  if (before !== null && shown.ctx === before) emit('recovered', 'signed-in');
  drawFrame();
});

on('route', drawFrame);
on('settings', () => {
  applySettings();
  if (shown.view && shown.view.update) shown.view.update(shown.ctx);
});

function start() {
  applySettings();
  buildFrame();
  Object.assign(route, parse(location.hash));
  drawStream();
  document.addEventListener('keydown', pressed);
  for (const type of ['pointerdown', 'keydown']) {
    document.addEventListener(type, used, { capture: true, passive: true });
  }
  setInterval(() => {
    idle();
    if (!document.hidden && session.key !== null) emit('tick');
  }, 5000);
  recall();
  if (session.key === null) askKey();
  else resume();
}

start();
