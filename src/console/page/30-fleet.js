// All devices of the key, as the server told last, and as events changed it.
//
//   fleet.list           all devices;   fleet.map  by serial number
//   fleet.complete       every page has come
//   fleet.at             when the list was read (now()), 0: not yet
//   fleet.summary        answer of GET /summary, or null (older server)
//   fleet.summaryAt
//   a device: { id, at (it was read), name, site, timezone, status, conditions,
//               last_seen, last_punch_at, skew, waiting, memory, address,
//               muted, raw }
//       status: 'online', 'offline', 'pending', 'blocked'; conditions:
//       [{ name, since, value, needs }], worst first
//   fleet.load()         reads it again;   fleet.refresh(sn)   one device
//   counts()             { total, active, online, needs, by: Map }
//   unknownSince()       null, or since when it is not known how things are:
//                        the stream or the summary is older than 30 s
//   label(d)             its name, else its serial number
//   topic 'fleet'        it has changed, at most 4 times a second

const fleet = {
  list: [], map: new Map(), at: 0, complete: false, summary: null,
  summaryAt: 0, loading: null, busy: null, noSummary: false, fault: null,
  gone: new Set()
};

const conditionOrder = ['blocked', 'key', 'network', 'new', 'silent_day', 'silent',
  'never', 'lines', 'missing', 'clock', 'quiet', 'full', 'commands', 'failed',
  'surplus'];

// used only if the server does not say it: seconds
const patience = { silent: 900, commands: 600, missing: 3600, blocked: null };

function label(d) {
  return d.name || d.id;
}

function patienceOf(name) {
  const who = session.who;
  const told = who && who.conditions
    && who.conditions.find((c) => c.name === name);

  if (told && told.warn_after !== undefined) {
    return told.warn_after === null ? null : seconds(told.warn_after);
  }
  return name in patience ? patience[name] : 0;
}

// a number, "00:15:00", or "15 minutes"
function seconds(said) {
  if (typeof said === 'number') return said;

  const parts = /^(?:(\d+) days? ?)?(?:(\d+):(\d\d):(\d\d))?/.exec(said);

  if (parts && (parts[1] || parts[2])) {
    return (+parts[1] || 0) * 86400 + (+parts[2] || 0) * 3600
      + (+parts[3] || 0) * 60 + (+parts[4] || 0);
  }
  return (parseFloat(said) || 0) * (/min/.test(said) ? 60 : 1);
}

function needsYou(d, c) {
  if (!absent(c.needs)) return c.needs;

  const wait = patienceOf(c.name);

  if (wait === null || d.muted) return false;
  return absent(c.since) || age(c.since) >= wait;
}

function deviceOf(row, had) {
  const d = had || { id: row.id };
  const muted = row.muted_until && Date.parse(row.muted_until) > now();

  // the short form of a list has less than what was read before
  d.raw = had ? Object.assign({}, had.raw, row) : row;
  d.at = now();
  d.name = row.name || '';
  d.site = row.site || '';
  d.timezone = row.timezone || null;
  d.status = row.status;
  row = d.raw;
  d.last_seen = row.last_seen || null;
  d.last_punch_at = row.last_punch_at || d.last_punch_at || null;
  d.skew = row.clock_skew_seconds === undefined ? null
    : row.clock_skew_seconds;
  d.waiting = row.waiting_commands || 0;
  d.memory = row.storage_ratio !== undefined ? row.storage_ratio
    : row.storage ? parseFloat(row.storage) / 100 : null;
  d.address = row.address || row.ip_address || d.address || null;
  d.muted = muted ? row.muted_until : null;
  d.conditions = row.conditions.slice();
  if (d.heard && !d.last_seen) calledNow(d);
  d.text = plain(d.id + '\n' + d.name + '\n' + d.site);
  settleDevice(d);
  return d;
}

// its first call is known from what it sent, a second before it is written
function calledNow(d) {
  d.last_seen = d.heard;
  if (d.status === 'offline') d.status = 'online';
  d.conditions = d.conditions.filter((c) => c.name !== 'never');
}

function settleDevice(d) {
  // who has been silent for a day is so in one way only
  if (d.conditions.some((c) => c.name === 'silent_day')) {
    d.conditions = d.conditions.filter((c) => c.name !== 'silent');
  }
  d.conditions.sort((a, b) => conditionOrder.indexOf(a.name) - conditionOrder.indexOf(b.name));
  d.needs = d.conditions.some((c) => needsYou(d, c));
}

function withCondition(d, name, since) {
  d.conditions = d.conditions.filter((c) => c.name !== name);
  if (since !== undefined) d.conditions.push({ name, since, value: null });
  settleDevice(d);
}

function fleetChanged() {
  counted = null;
  if (fleet.busy !== null) return;
  fleet.busy = setTimeout(() => {
    fleet.busy = null;
    drawCount(fleet.complete ? counts().needs : 0);
    emit('fleet', fleet);
  }, 250);
}

// once for each state of the fleet
function counts() {
  if (counted === null) counted = countFleet();
  return counted;
}

let counted = null;

function countFleet() {
  const all = { total: fleet.list.length, active: 0, online: 0, needs: 0,
    by: new Map() };
  const count = (name) => all.by.set(name, (all.by.get(name) || 0) + 1);

  for (const d of fleet.list) {
    if (d.muted) {
      count('muted');
      continue;
    }
    if (d.status === 'online' || d.status === 'offline') all.active++;
    if (d.status === 'online') all.online++;
    if (d.needs) all.needs++;
    for (const c of d.conditions) {
      count(c.name);
      // one of those that are silent
      if (c.name === 'silent_day') count('silent');
    }
  }
  return all;
}

function unknownSince() {
  const told = fleet.noSummary ? fleet.at : fleet.summaryAt;
  const limit = fleet.noSummary ? 60000 : 30000;

  if (link.state === 'up' && now() - told < limit
      && (stream.state === 'off' || now() - stream.heard < 30000)) {
    return null;
  }
  return Math.min(told || now(), stream.heard || told || now());
}

fleet.load = function load() {
  if (fleet.loading) return fleet.loading;

  const fresh = new Map();
  const first = fleet.at === 0;

  fleet.gone.clear();

  const page = (rows) => {
    for (const row of rows) {
      fresh.set(row.id, deviceOf(row, fleet.map.get(row.id)));
    }
    if (first) {
      fleet.map = fresh;
      fleet.list = Array.from(fresh.values());
      fleet.at = fleet.at || now();
      fleetChanged();
    }
  };
  const readAll = (asking) => pages('/devices', asking, page,
    { background: !first });

  fleet.loading = readAll({ fields: 'compact', limit: 1000 })
    .catch((e) => {
      // a server that does not know the short form
      if (e.status !== 400) throw e;
      return readAll({ limit: 1000 });
    })
    .then(() => {
      for (const sn of fleet.gone) fresh.delete(sn);
      fleet.map = fresh;
      fleet.list = Array.from(fresh.values());
      fleet.complete = true;
      fleet.at = now();
      fleet.fault = null;
      fleetChanged();
    })
    .catch((e) => {
      fleet.fault = e;
      throw e;
    })
    .finally(() => {
      fleet.loading = null;
    });
  return fleet.loading;
};

fleet.refresh = async function refresh(sn) {
  try {
    const answer = await api('GET', at`/devices/${sn}`, { background: true });

    putDevice(answer.body);
    return answer.body;
  } catch (e) {
    if (e.status === 404) dropDevice(sn);
    return null;
  }
};

function putDevice(row) {
  const had = fleet.map.get(row.id);
  const d = deviceOf(row, had);

  if (!had) {
    fleet.map.set(d.id, d);
    fleet.list = fleet.list.concat(d);
  }
  fleetChanged();
  return d;
}

function dropDevice(sn) {
  // a list that is being read may still have it
  fleet.gone.add(sn);
  if (!fleet.map.delete(sn)) return;
  fleet.list = fleet.list.filter((d) => d.id !== sn);
  fleetChanged();
}

let disagreed = 0;
let summing = null;

// once, for all that want to know
function readSummary() {
  if (summing === null) {
    summing = askSummary().finally(() => {
      summing = null;
    });
  }
  return summing;
}

async function askSummary() {
  if (session.key === null || !may('devices:read') || fleet.noSummary) return;
  try {
    fleet.summary = (await api('GET', '/summary', { background: true })).body;
    fleet.summaryAt = now();
  } catch (e) {
    if (e.code === 'no_route') fleet.noSummary = true;
    return;
  }

  const here = counts();
  const there = fleet.summary.devices;
  const muted = here.by.get('muted') || 0;

  if (fleet.complete && Math.abs(there.total - here.total) > 0
      || fleet.complete && Math.abs(there.online - here.online) > muted) {
    disagreed++;
    askUncalled();
    if (disagreed >= 2) {
      disagreed = 0;
      fleet.load().catch(() => {});
    }
  } else {
    disagreed = 0;
  }
  fleetChanged();
}

// how often: a page of the list each half minute, at most
function keepFleet() {
  if (session.key === null || document.hidden || !may('devices:read')) return;
  if (fleet.at === 0) return;

  const wait = Math.max(30000, Math.min(300000,
    30000 * Math.ceil(fleet.list.length / 1000)));

  if (now() - fleet.at > wait) fleet.load().catch(() => {});
}

const askedDevices = new Set();

// the list of a small fleet is one request
const askThem = spaced(5000, async () => {
  // what is being read may be older than what is asked for
  if (fleet.loading) await fleet.loading.catch(() => {});

  const all = Array.from(askedDevices);

  askedDevices.clear();
  if (all.length > Math.min(10, 3 * Math.ceil(fleet.list.length / 1000))) {
    fleet.load().catch(() => {});
  } else for (const each of all) fleet.refresh(each);
});

function askSoon(sn) {
  askedDevices.add(sn);
  askThem();
}

// no event tells of a first call
function askUncalled() {
  const found = fleet.list.filter((d) => d.status === 'offline'
    && !d.last_seen);

  if (found.length <= 10) for (const d of found) askSoon(d.id);
}

on('event', (event) => {
  const sn = event.device && event.device.id;
  const d = sn && fleet.map.get(sn);

  if (!sn || fleet.at === 0) return;
  if (event.type === 'device.removed') {
    dropDevice(sn);
  } else if (event.type === 'attendance.punch' && d && event.punch) {
    const moment = event.punch.timestamp;

    if (!d.last_punch_at || moment > d.last_punch_at) d.last_punch_at = moment;
    d.heard = event.created_at;
    if (!d.last_seen) {
      calledNow(d);
      settleDevice(d);
    } else if (d.status === 'offline') askSoon(sn);
    else if (event.created_at > (d.last_seen || '')) {
      d.last_seen = event.created_at;
    }
    fleetChanged();
  } else if (event.type === 'device.offline' && d) {
    d.status = 'offline';
    withCondition(d, 'silent', d.last_seen);
    fleetChanged();
    askSoon(sn);
  } else if (event.type.startsWith('device.')
             || event.type === 'command.finished') {
    askSoon(sn);
  }
});

on('reset', () => {
  fleet.load().catch(() => {});
});
on('recovered', () => {
  if (!may('devices:read')) return;
  fleet.load().catch(() => {});
  readSummary();
});
on('tick', () => {
  for (const d of fleet.list) if (d.conditions.length) settleDevice(d);
  counted = null;
  if (now() - fleet.summaryAt > 13000) readSummary();
  keepFleet();
});
on('signed-in', () => {
  fleet.noSummary = false;
  if (may('devices:read')) {
    fleet.load().catch(() => fleetChanged());
    readSummary();
  }
});
on('forget', () => {
  counted = null;
  fleet.list = [];
  fleet.map = new Map();
  fleet.at = 0;
  fleet.complete = false;
  fleet.summary = null;
  fleet.summaryAt = 0;
  fleet.loading = null;
});
