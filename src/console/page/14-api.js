// The client of the API.
//
//   at`/devices/${sn}/approve`    a path; values are escaped
//   await api('GET', path, { query, signal, background })
//   await api('POST', path, { body, once })
//       -> { status, body, headers }, or throws a Problem.  POST and PATCH
//       bear an Idempotency-Key (once, or a random one), and are sent again
//       with it when the answer got lost.  background: not while the link is
//       down, and words of the bar do for its failures.
//   await pages(path, query, onPage, { signal, most })
//       each page of a list: onPage(rows, last)
//   Problem: status, code, detail, errors [{pointer, detail}], request, retry
//       code 'no_route': this server does not have the route;
//       'offline': no answer; 'left': signed out meanwhile
//   mostRows()          of one answer; api() asks for no more
//   onlyProblem(e)      for what is caught: others are faults of this page
//   problemWords(problem)   -> nodes that say it, with what helps
//   now()                   ms, by the clock of the server
//   link                    { state: 'up' | 'down' | 'database' | 'rate',
//                             since, again }; topic 'link' when it changes

const meta = (name) => {
  const el = document.querySelector('meta[name="' + name + '"]');

  return el ? el.content : '';
};

const base = (meta('iclock-api') || '/v1').replace(/\/$/, '');
const version = meta('iclock-version');
const largest = 16 * 1024 * 1024;

words({
  'fault.offline': 'No connection to the server. You see what was known at {at}. Trying again in {n} s.',
  'fault.trying': 'No connection to the server. You see what was known at {at}. Trying now.',
  'fault.now': 'Now',
  'fault.database': 'The database does not answer. Terminals keep their punches; nothing is lost. Trying every 5 s.',
  'fault.rate': 'Too many requests for this key; going on in {n} s.',
  'fault.scope': 'Your key may not do this; it needs {scope}.',
  'fault.scope.some': 'Your key may not do this.',
  'fault.address': 'This key may not be used from {address}.',
  'fault.sandbox': 'A test key sees simulated devices only.',
  'fault.gone': 'Not found for this key. It may belong to another site.',
  'fault.bySql': 'No key may send this command: who looks after the database can.',
  'fault.conflict': 'Changed meanwhile: {detail}',
  'fault.server': 'The server failed on this; request {id} stands in its error log.',
  'fault.unread': 'The server answered something else than the API. Is "api=" of iclock_console right?',
  'fault.large': 'The answer is larger than 16 MB and was not read.',
  'fault.route': 'This server does not offer that yet: it is older than this page, or older than the page expects.',
  'fault.lost': 'No answer. Whether it was done is not known.',
  'fault.left': 'You have signed out.',
  'fault.ask': 'Copy what to ask for',
  'fault.askText': 'Please make me a key that also has the scope {scope}: SELECT iclock.create_api_key(...)',
  'scope.needs': 'Needs {scope}'
});

class Problem extends Error {
  constructor(status, body, headers) {
    const b = body || {};

    super(b.detail || b.title || '');
    this.status = status;
    this.code = b.code || '';
    this.detail = b.detail || b.title || '';
    this.errors = Array.isArray(b.errors) ? b.errors : [];
    this.request = headers && headers.get('X-Request-Id') || '';
    this.retry = headers && Number(headers.get('Retry-After')) || 0;
    this.scope = b.scope || (/\b[a-z]+:[a-z]+\b/.exec(this.detail) || [''])[0];
  }
}

function onlyProblem(e) {
  if (!(e instanceof Problem)) throw e;
}

function at(parts, ...values) {
  return parts.reduce((all, part, i) =>
    all + encodeURIComponent(values[i - 1]) + part);
}

// the newest of the server's clock; its header has seconds
const clock = { ahead: 0, known: false };

function now() {
  return Date.now() + clock.ahead;
}

function setClock(headers, began) {
  const told = Date.parse(headers.get('Date'));
  const ahead = told + 500 - (began + Date.now()) / 2;

  if (!(told > 0)) return;
  if (clock.known && Math.abs(ahead - clock.ahead) < 1500) return;
  clock.ahead = ahead;
  clock.known = true;
}

const link = { state: 'up', since: 0, again: 0, tries: 0, wait: 0,
  timer: null };

function setLink(state, wait) {
  clearTimeout(link.timer);
  link.timer = null;
  link.again = wait ? Date.now() + wait : 0;
  if (link.state !== state) {
    link.state = state;
    link.since = Date.now();
  }
  if (wait) link.timer = setTimeout(probe, wait);
  emit('link', link);
}

function failing(state, after) {
  if (link.state === 'down' && link.timer !== null) return;
  if (state === 'down') {
    const wait = Math.min(30000, 1000 * 2 ** Math.min(link.tries, 5));

    link.tries++;
    setLink('down', wait * (0.8 + 0.4 * Math.random()));
  } else {
    // a view asks for several things, and again for all of them: what comes
    // back has to add up
    if (state === 'rate' && link.state !== state) {
      link.wait = Math.max(after, Date.now() - link.since < 60000
        ? Math.min(30000, 2 * link.wait) : 0);
    }
    setLink(state, state === 'rate' ? Math.max(after, link.wait) : after);
  }
}

function working() {
  const before = link.state;

  link.tries = 0;
  lastAnswer = now();
  // views wait for their time, that changes may go on
  if (before === 'up' || before === 'rate' && link.timer !== null) return;
  setLink('up', 0);
  emit('recovered', before);
}

let lastAnswer = 0;
let turns = 0;   // changes that wait for theirs

// no key, no SQL: it tells whether there is a server, and a database
async function probe() {
  setLink(link.state, 0);
  if (link.state === 'rate') {
    if (turns) setLink('rate', 1000);
    else working();
    return;
  }
  try {
    const began = Date.now();
    // of a link that is gone nobody may ever tell
    const answer = await request('GET', '/health', {}, null,
      AbortSignal.timeout(10000));

    setClock(answer.headers, began);
    if (answer.status === 503) failing('database', 5000);
    else if (answer.status > 500) failing('down');
    else working();
  } catch (e) {
    failing('down');
  }
}

const running = new Set();

on('signed-out', () => {
  for (const each of running) each.abort();
  running.clear();
});

function request(method, path, headers, body, signal) {
  return fetch(base + path, {
    method, headers, body, signal,
    credentials: 'omit', redirect: 'error', cache: 'no-store',
    referrerPolicy: 'no-referrer', mode: 'same-origin'
  });
}

async function readBody(answer) {
  const type = (answer.headers.get('Content-Type') || '').split(';')[0].trim();

  if (answer.status === 204) return null;
  if (type !== 'application/json' && type !== 'application/problem+json') {
    throw new Problem(answer.status,
      // a proxy says that its server does not answer
      { code: answer.status === 404 ? 'no_route'
        : answer.status > 501 ? 'offline' : 'unread' },
      answer.headers);
  }

  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  const texts = [];
  let size = 0;

  for (;;) {
    const { done, value } = await reader.read();

    if (done) break;
    size += value.length;
    if (size > largest) {
      reader.cancel();
      throw new Problem(answer.status, { code: 'large' }, answer.headers);
    }
    texts.push(decoder.decode(value, { stream: true }));
  }
  texts.push(decoder.decode());
  return JSON.parse(texts.join(''));
}

function queryText(query) {
  const all = new URLSearchParams();

  for (const name of Object.keys(query || {})) {
    const value = query[name];

    if (!absent(value) && value !== '') {
      all.append(name, value);
    }
  }
  return all.size === 0 || all.toString() === '' ? '' : '?' + all;
}

function random() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)),
    (b) => b.toString(16).padStart(2, '0')).join('');
}

function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

// Rows that an answer may have: the server may be told of fewer.
function mostRows() {
  const who = session.who;

  return who && who.page ? Math.min(who.page.max, 1000) : 1000;
}

function rowsAllowed(query) {
  return query && query.limit > mostRows()
    ? Object.assign({}, query, { limit: mostRows() }) : query;
}

async function api(method, path, options) {
  const o = options || {};
  const changes = method === 'POST' || method === 'PATCH';
  const headers = { Accept: 'application/json' };
  const key = o.key || session.key;

  if (key === null) throw new Problem(0, { code: 'left' });
  if (o.background && link.state !== 'up') {
    throw new Problem(0, { code: 'offline' });
  }

  headers.Authorization = 'Bearer ' + key;
  if (o.body !== undefined) headers['Content-Type'] = 'application/json';
  if (changes) headers['Idempotency-Key'] = o.once || random();

  for (let tries = 1, waits = 1; ;) {
    try {
      return await send(method, path + queryText(rowsAllowed(o.query)),
        headers, o, key);
    } catch (problem) {
      const lost = problem.code === 'offline' || problem.code === 'busy_key'
        || (changes && problem.code === 'unavailable');

      // nothing was done; it may be one of many requests of an act
      const later = problem.status === 429 && method !== 'GET';

      if (later ? waits++ > 99 : !changes || !lost || tries > 3) throw problem;
      turns += later;
      await sleep(later ? 1000 * (problem.retry || 1) : 500 * 2 ** tries++);
      turns -= later;
      // nobody does anything more by a key that has signed out
      if (!o.key && session.key !== key) throw new Problem(0, { code: 'left' });
    }
  }
}

async function send(method, path, headers, o, key) {
  const stop = new AbortController();
  const abort = () => stop.abort();
  const timer = setTimeout(abort, o.patience || 40000);
  const began = Date.now();
  let answer, body;

  if (o.signal) {
    if (o.signal.aborted) abort();
    o.signal.addEventListener('abort', abort);
  }
  running.add(stop);

  try {
    answer = await request(method, path, headers,
      o.body === undefined ? undefined : JSON.stringify(o.body), stop.signal);
    setClock(answer.headers, began);
    body = await readBody(answer);
  } catch (e) {
    if (e instanceof Problem && e.code !== 'offline') throw e;
    if (o.signal && o.signal.aborted || session.key === null && !o.key) {
      throw new Problem(0, { code: 'left' });
    }
    failing('down');
    throw new Problem(0, { code: 'offline' });
  } finally {
    clearTimeout(timer);
    running.delete(stop);
    if (o.signal) o.signal.removeEventListener('abort', abort);
  }

  if (answer.ok) {
    working();
    return { status: answer.status, body, headers: answer.headers };
  }
  throw judged(new Problem(answer.status, body, answer.headers), key);
}

// ids that stand in the error log of the server, for the report
const lastRequests = [];

function judged(problem, key) {
  if (problem.request && problem.status >= 500) {
    lastRequests.push(problem.request + ' ' + problem.status);
    if (lastRequests.length > 10) lastRequests.shift();
  }

  if (problem.status === 401 && key === session.key) {
    signOut('signin.revoked');
  } else if (problem.status === 429) {
    failing('rate', 1000 * (problem.retry || 1));
  } else if (problem.status === 503) {
    failing('database', 5000);
  } else {
    working();
  }
  return problem;
}

async function pages(path, query, onPage, options) {
  const o = options || {};
  let cursor = null;
  let count = 0;

  do {
    const answer = await api('GET', path, {
      query: Object.assign({}, query, { cursor }),
      signal: o.signal, background: o.background
    });
    const rows = answer.body.data || [];

    cursor = answer.body.has_more ? answer.body.next_cursor : null;
    count += rows.length;
    if (o.most && count >= o.most) cursor = null;
    onPage(rows, cursor === null, answer);
  } while (cursor !== null);
  return count;
}

function problemWords(problem) {
  const p = problem instanceof Problem ? problem : new Problem(0, {});

  switch (p.code) {
    case 'offline':
      return [t('fault.lost')];
    case 'left':
      return [t('fault.left')];
    case 'no_route':
      return [t('fault.route')];
    case 'unread':
      return [t('fault.unread')];
    case 'large':
      return [t('fault.large')];
    case 'address':
      return [t('fault.address', { address: p.detail.split(' ').pop() })];
    case 'sandbox':
      return [t('fault.sandbox')];
    case 'scope':
      return p.scope
        ? [t('fault.scope', { scope: p.scope }), ' ', askFor(p.scope)]
        : [clean(p.detail) || t('fault.scope.some')];
    case 'by_sql':
      return [t('fault.bySql')];
    case 'not_found':
      return [t('fault.gone')];
    default:
      break;
  }
  if (p.status === 409) return tx('fault.conflict', { detail: p.detail });
  if (p.status === 429) {
    return [t('fault.rate', { n: Math.max(p.retry || 1,
      Math.ceil((link.again - Date.now()) / 1000)) })];
  }
  if (p.status === 503) {
    return [t(/nobody knows/.test(p.detail) ? 'fault.lost' : 'fault.database')];
  }
  if (p.status >= 500 || p.status === 0) {
    return [tx('fault.server', { id: mono(p.request || '–') }), ' ',
      p.request ? copyButton(p.request) : null];
  }
  return [clean(p.detail)];
}

function askFor(scope) {
  return copyButton(t('fault.askText', { scope }), t('fault.ask'));
}
