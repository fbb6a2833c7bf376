// What this tab knows: topics, the key, settings.
//
//   on(topic, f)  -> a function that ends it;   emit(topic, value)
//       topics: 'event' (one of the stream, see 15-stream.js), 'events' (all
//       of a frame), 'fleet' (30-fleet.js), 'signed-in', 'signed-out',
//       'link' (14-api.js), 'stream', 'reset' (read lists again),
//       'settings', 'tick' (every 5 s), 'recovered', 'forget' (what was read
//       is not to be shown any more)
//   session.key         the key, or null;   session.who   answer of GET /key
//   may(scope)          whether the key has it
//   setting(name)       theme rows times dates shortcuts pages lock announce
//   change(name, value)
//   signIn(key, who), signOut(why)     why: of the words table, or a sentence
//
// The key is in one variable and in sessionStorage, with the time of its last
// use, and nowhere else.

const topics = new Map();

function on(topic, f) {
  if (!topics.has(topic)) topics.set(topic, new Set());
  topics.get(topic).add(f);
  return () => topics.get(topic).delete(f);
}

function emit(topic, value) {
  const all = topics.get(topic);

  if (all) for (const f of Array.from(all)) f(value);
}

const defaults = {
  theme: 'system', rows: 'comfortable', times: 'device', dates: 'browser',
  shortcuts: true, pages: false, lock: 30, announce: false
};

// the only use of it: settings of the display, which tell nothing
const kept = {
  read() {
    try {
      return JSON.parse(localStorage.getItem('iclock')) || {};
    } catch (e) {
      return {};
    }
  },
  write(values) {
    try {
      localStorage.setItem('iclock', JSON.stringify(values));
    } catch (e) {
      // a browser that keeps nothing: they last as long as the tab
    }
  }
};

// what somebody else has put there, or an older page, may be anything
function readSettings() {
  const found = kept.read();
  const fits = (name) => typeof found[name] === typeof defaults[name]
    && (name !== 'lock' || found.lock >= 5 && found.lock <= 480);

  return Object.fromEntries(Object.keys(defaults).map((name) =>
    [name, fits(name) ? found[name] : defaults[name]]));
}

const settings = readSettings();

function setting(name) {
  return settings[name];
}

function change(name, value) {
  settings[name] = value;
  kept.write(settings);
  tell('settings');
  emit('settings', name);
}

const session = { key: null, who: null, used: 0, ended: null };
const place = 'iclock.key';
const keyForm = /^ik_(live|test)_[a-z2-7]{12}_[A-Za-z0-9_-]{43}$/;

function keep() {
  try {
    sessionStorage.setItem(place,
      JSON.stringify({ key: session.key, used: session.used }));
  } catch (e) {
    // it lasts as long as the page
  }
}

// after a reload; a key that was not used for long is dropped
function recall() {
  let saved = null;

  try {
    saved = JSON.parse(sessionStorage.getItem(place));
  } catch (e) {
    saved = null;
  }
  if (!saved || !keyForm.test(saved.key)) return;

  if (!(Date.now() - saved.used < setting('lock') * 60000)) {
    drop();
    session.ended = 'signin.idle';
    return;
  }
  session.key = saved.key;
  session.used = saved.used;
}

function drop() {
  session.key = null;
  session.who = null;
  try {
    sessionStorage.removeItem(place);
  } catch (e) {
    // nothing was kept
  }
}

// by its user: what the page asks of itself does not count
function used() {
  const now = Date.now();

  if (session.key === null) return;
  if (now - session.used > setting('lock') * 60000) {
    signOut('signin.idle');
    return;
  }
  if (now - session.used < 2000) return;
  session.used = now;
  keep();
}

function idle() {
  if (session.key !== null
      && Date.now() - session.used > setting('lock') * 60000) {
    signOut('signin.idle');
  }
}

// whether a key may see all that another one has seen
function covers(who, last) {
  const within = (all, some) => all === null || some !== null
    && some.every((each) => all.includes(each));

  return who.id === last.id || Boolean(who.scopes && last.scopes)
    && who.mode === last.mode && within(who.scopes, last.scopes)
    && within(who.sites || null, last.sites || null)
    && within(who.devices || null, last.devices || null);
}

function signIn(key, who) {
  if (session.last && !covers(who, session.last)) emit('forget');
  session.last = who;
  session.key = key;
  session.who = who;
  session.used = Date.now();
  session.ended = null;
  keep();
  emit('signed-in', who);
}

function signOut(why, quietly) {
  if (session.key === null) return;
  drop();
  session.ended = why || null;
  emit('signed-out', why || null);
  if (!why) emit('forget');
  if (!why && !quietly) tell('sign-out');
}

function may(scope) {
  const who = session.who;

  return Boolean(who && (!who.scopes || who.scopes.includes(scope)));
}

// other tabs learn that it happened, never the key
const others = typeof BroadcastChannel === 'function'
  ? new BroadcastChannel('iclock') : null;

function tell(what) {
  if (others) others.postMessage(what);
}

if (others) {
  others.addEventListener('message', (message) => {
    if (message.data === 'sign-out') signOut(null, true);
    if (message.data === 'settings') {
      Object.assign(settings, readSettings());
      emit('settings', null);
    }
  });
}
