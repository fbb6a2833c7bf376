// The live stream: one in each tab that is shown.
//
//   topic 'event'    { type, device, punch, ..., cursor }, each one once;
//                    emitted for each, from the frame that paints (<= 4 a s)
//   topic 'events'   the array of them, before the single ones
//   topic 'stream'   stream has changed
//   topic 'reset'    events were lost: read lists again
//   stream.state     'off' (signed out, or the key lacks events:read),
//                    'connecting', 'live', 'polling' (refused: asks every
//                    10 s), 'hidden' (the tab is)
//   stream.heard     when it was last known to be live, by now()
//   stream.fresh()   whether what it told is younger than 30 s
//   stream.per_minute()   punches of the last minute
//   stream.recent    the newest first, at most 2,000
//   stream.earlier   how many there were before these

const stream = {
  state: 'off', heard: 0, cursor: null, opened: false, recent: [], rates: [],
  earlier: 0,
  fresh() {
    return stream.state === 'live' && now() - stream.heard < 30000;
  },
  per_minute() {
    const since = now() - 60000;

    while (stream.rates.length && stream.rates[0] < since) stream.rates.shift();
    return stream.rates.length;
  }
};

const seenEvents = new Map();
let streamQueue = [];
let paintedAt = 0;
let painter = null;
let streamStop = null;
let streamRetry = null;
let streamPause = 500;
let hiding = null;

function streamState(state) {
  if (stream.state === state) return;
  stream.state = state;
  emit('stream', stream);
}

// what is resumed may repeat
function takeEvent(event, cursor) {
  const id = event.event_id;

  if (cursor) stream.cursor = cursor;
  if (id) {
    if (seenEvents.has(id)) return;
    seenEvents.set(id, true);
    if (seenEvents.size > 4000) seenEvents.delete(seenEvents.keys().next().value);
  }
  // a stream that goes on after a night brings those of the night
  if (event.type === 'attendance.punch' && age(event.created_at) < 60) {
    stream.rates.push(now());
  }
  streamQueue.push(event);
  if (streamQueue.length > 20000) {
    stream.earlier += streamQueue.splice(0, 10000).length;
  }
  if (painter === null) {
    painter = setTimeout(paintEvents,
      Math.max(0, paintedAt + 250 - performance.now()));
  }
}

function paintEvents() {
  painter = null;
  paintedAt = performance.now();

  const events = streamQueue;

  streamQueue = [];
  // those of earlier minutes go, whether somebody wants the number or not
  stream.per_minute();
  stream.earlier += Math.max(0, stream.recent.length + events.length - 2000);
  stream.recent = events.slice(-2000).reverse().concat(stream.recent)
    .slice(0, 2000);
  emit('events', events);
  for (const event of events.slice(-500)) emit('event', event);
}

function openStream() {
  clearTimeout(streamRetry);
  if (streamStop || session.key === null || !may('events:read')) {
    if (!streamStop) streamState('off');
    return;
  }
  if (document.hidden && hiding === 'closed') return;
  streamStop = new AbortController();
  if (stream.state !== 'polling') streamState('connecting');
  readStream(streamStop).then(() => openAgain(streamPause), (e) => streamFailed(e));
}

function closeStream(state) {
  clearTimeout(streamRetry);
  if (streamStop) streamStop.abort();
  streamStop = null;
  streamState(state);
}

function openAgain(wait) {
  if (streamStop) streamStop.abort();
  streamStop = null;
  if (session.key === null) return;
  if (stream.state === 'live') streamState('connecting');
  clearTimeout(streamRetry);
  streamRetry = setTimeout(openStream, wait);
}

function streamFailed(e) {
  if (session.key === null || !streamStop) return;
  if (e instanceof Problem && (e.status === 429 || e.status === 503)) {
    streamState('polling');
    pollEvents().finally(() => openAgain(10000));
    return;
  }
  if (e instanceof Problem && e.status === 401) {
    judged(e, session.key);
    return;
  }
  // another 403 may be of the address, which changes
  if (e.code === 'scope') {
    closeStream('off');
    return;
  }
  if (!(e instanceof Problem)) failing('down');
  else lostPlace(e);
  streamState('connecting');
  streamPause = Math.min(30000, streamPause * 2);
  openAgain(streamPause * (0.8 + 0.4 * Math.random()));
}

// what comes behind its last event is not kept any more
function lostPlace(e) {
  if (e.status !== 410) return;
  stream.cursor = null;
  emit('reset');
}

// as long as there is no room for another stream
async function pollEvents() {
  try {
    const answer = await api('GET', '/events', {
      query: { after: stream.cursor, limit: 1000 }, background: true
    });

    for (const event of answer.body.data) takeEvent(event, null);
    if (answer.body.next_cursor) stream.cursor = answer.body.next_cursor;
  } catch (e) {
    // the bar says all else
    lostPlace(e);
  }
}

async function readStream(mine) {
  const headers = {
    Accept: 'text/event-stream', Authorization: 'Bearer ' + session.key
  };

  if (stream.cursor) headers['Last-Event-ID'] = stream.cursor;

  // a link that is gone says nothing
  const within = (ms, promise) => {
    const silence = setTimeout(() => mine.abort(), ms);

    return promise.finally(() => clearTimeout(silence));
  };
  const answer = await within(20000, request('GET', '/events', headers,
    undefined, mine.signal));

  if (!answer.ok) {
    throw new Problem(answer.status, await within(20000, readBody(answer)),
      answer.headers);
  }

  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let rest = '';

  stream.heard = now();
  streamPause = 500;
  streamState('live');
  // without a place to go on from, what came meanwhile stands in the lists
  if (stream.opened && !stream.cursor) emit('reset');
  stream.opened = true;

  for (;;) {
    // three heartbeats
    const part = await within(45000, reader.read());

    if (part.done || mine !== streamStop) return;
    stream.heard = now();
    rest += decoder.decode(part.value, { stream: true });

    for (;;) {
      const end = rest.indexOf('\n\n');

      if (end < 0) break;
      readBlock(rest.slice(0, end));
      rest = rest.slice(end + 2);
    }
    if (rest.length > 1024 * 1024) throw new Error('an event without end');
  }
}

function readBlock(lines) {
  let type = '';
  let cursor = null;
  let said = '';

  for (const line of lines.split('\n')) {
    const colon = line.indexOf(':');
    const value = line.slice(colon + 1).replace(/^ /, '');

    if (colon < 1) continue;
    if (line.startsWith('event:')) type = value;
    else if (line.startsWith('id:')) cursor = value;
    else if (line.startsWith('data:')) said += value;
    else if (line.startsWith('retry:')) streamPause = Number(value) || 500;
  }

  if (type === 'reset') {
    stream.cursor = null;
    emit('reset', 'lost');
  } else if (type === 'bye') {
    streamPause = 500;
  } else if (said) {
    takeEvent(JSON.parse(said), cursor);
  } else if (cursor) {
    stream.cursor = cursor;
  }
}

document.addEventListener('visibilitychange', () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      hiding = 'closed';
      closeStream('hidden');
    }, 60000);
  } else {
    hiding = null;
    if (!streamStop) openStream();
  }
});

on('signed-in', () => openStream());
on('recovered', () => {
  if (!streamStop) openStream();
});
on('signed-out', () => closeStream('off'));
on('forget', () => {
  stream.cursor = null;
  stream.opened = false;
  stream.recent = [];
  stream.earlier = 0;
  stream.rates = [];
  streamQueue = [];
  seenEvents.clear();
});
