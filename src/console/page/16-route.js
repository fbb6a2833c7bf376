// Views and their addresses.  All of an address stands behind "#".
//
//   view({ name: 'live',            // '#/live', '#/live/ID'
//          title: 'nav.live',       // a text of words()
//          nav: 2,                  // its place in the navigation, or absent
//          scope: 'events:read',    // without it the view says so
//          open(ctx),               // fills ctx.el
//          update(ctx),             // the query has changed, and ctx.query
//          ids: true,               // so it is for another ctx.id, too
//          close(ctx),
//          keys: { a(event) {} } }) // one-key shortcuts of the view
//   ctx: { el, id, query,           // a Map
//          on(topic, f), every(ms, f), spaced(ms, f), signal,
//                                  // end with the view
//          title(text) }            // "6 problems" of the window's title
//   path('devices', sn, { tab: 'people' })    '#/devices/SN?tab=people'
//   go(hash)                  opening: pushes
//   query({ q: 'gate', f: null }, push)   changes the query; typing replaces
//   route                     { view, id, query } of now
//   shown                     the view that is open, with its ctx
//
// A view without a row of its own in the navigation names one: under: 'fleet'.

const views = new Map();
const route = { view: '', id: null, query: new Map() };
const shown = { view: null, ctx: null, end: null };

words({
  'view.lacks': 'Your key may not open this view; it needs {scope}.',
  'view.none': 'There is no such page.',
  'view.window': '{title}, iclock'
});

function view(definition) {
  views.set(definition.name, definition);
}

function path(name, id, query) {
  const all = queryText(query || {});

  return '#/' + name + (absent(id) ? '' : '/' + encodeURIComponent(id))
    + all;
}

function parse(hash) {
  const [where, rest] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const parts = where.split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch (e) {
      return part;
    }
  });

  return { view: parts[0] || 'fleet', id: parts[1] === undefined || parts[1] === '' ? null : parts[1],
    query: new Map(new URLSearchParams(rest || '')) };
}

function go(hash) {
  if (hash === location.hash) return;
  history.pushState(null, '', hash);
  navigate();
}

function query(changes, push) {
  const next = Object.fromEntries(route.query);

  Object.assign(next, changes);

  const hash = path(route.view, route.id, next);

  if (hash === location.hash) return;
  if (push) history.pushState(null, '', hash);
  else history.replaceState(null, '', hash);
  navigate();
}

function navigate() {
  const next = parse(location.hash);
  const same = shown.view && next.view === route.view
    && (next.id === route.id || shown.view.ids);

  // the route is that of the view until it is known who has signed in
  if (session.who === null) return;
  Object.assign(route, next);
  if (same) {
    shown.ctx.query = route.query;
    shown.ctx.id = route.id;
    if (shown.view.update) shown.view.update(shown.ctx);
    emit('route', route);
    return;
  }
  openView();
}

function closeView() {
  if (shown.end) shown.end();
  shown.view = null;
  shown.ctx = null;
  shown.end = null;
}

function openView() {
  const found = views.get(route.view);
  const ends = [];
  const stop = new AbortController();

  closeView();
  closePanel();

  const ctx = {
    el: h('div.view'), id: route.id, query: route.query, signal: stop.signal,
    on(topic, f) {
      ends.push(on(topic, f));
    },
    every(ms, f) {
      const timer = setInterval(() => {
        if (!document.hidden && session.key !== null) f();
      }, ms);

      ends.push(() => clearInterval(timer));
    },
    spaced(ms, f) {
      const soon = spaced(ms, f);

      ends.push(soon.end);
      return soon;
    },
    title(what) {
      document.title = t('view.window', { title: what });
    }
  };

  shown.view = found || { name: '' };
  shown.ctx = ctx;
  shown.end = () => {
    stop.abort();
    for (const end of ends) end();
    if (found && found.close) found.close(ctx);
  };

  flag(ctx.el, 'v-' + (found ? found.name : 'none'), true);
  fill(frame.main, ctx.el);
  ctx.title(found ? t(found.title) : '');

  if (!found) {
    add(ctx.el, heading(t('view.none')));
  } else if (found.scope && !may(found.scope)) {
    add(ctx.el, heading(t(found.title)),
      h('p.empty', t('view.lacks', { scope: found.scope }), ' ',
        askFor(found.scope)));
  } else {
    found.open(ctx);
  }
  emit('route', route);
  window.scrollTo(0, 0);

  const title = ctx.el.querySelector('h1');

  if (title && !frame.first) title.focus({ preventScroll: true });
  frame.first = false;
}

// the first heading of a view; it takes the focus when the view opens
function heading(...kids) {
  return h('h1', { tabindex: -1 }, ...kids);
}

// more than one node for an element
function add(el, ...kids) {
  return addKids(el, kids);
}

window.addEventListener('popstate', navigate);
window.addEventListener('hashchange', () => {
  if (parse(location.hash).view !== route.view) navigate();
});
