// Live: what happens, the newest first.
//
//   #/live?site=Pune&device=SN&show=punches
//
// The rows are those of the stream, and before these the last punches that
// were stored, from GET /logs.

words({
  'live.rate': 'Live, {n} a minute',
  'live.polling': 'Refreshed every 10 s', 'live.wait': 'Connecting',
  'live.off': 'Not known since {at}.', 'live.paused': 'Paused',
  'live.pause': 'Pause', 'live.goOn': 'Go on', 'live.space': 'space',
  'live.new': '{n} new while paused',
  'live.show': 'Show them',
  'live.earlier': { one: '{n} earlier event is not shown', other: '{n} earlier events are not shown' },
  'live.site': 'Site', 'live.device': 'Device', 'live.kinds': 'Show',
  'live.all': 'all', 'live.everything': 'everything',
  'live.punches': 'punches', 'live.devices': 'devices',
  'live.people': 'people', 'live.commands': 'commands',
  'live.list': 'What happened',
  'live.time': 'Time', 'live.who': 'What', 'live.pin': 'PIN',
  'live.kind': 'Punch', 'live.method': 'By', 'live.note': 'Note',
  'live.announce': 'Announce punches',
  'live.said': { one: '{n} punch in 10 s, last {who} at {device}', other: '{n} punches in 10 s, last {who} at {device}' },
  'live.quiet': { one: 'No punches since {at}. {n} device is online, so it is quiet, not broken.', other: 'No punches since {at}. {n} devices are online, so it is quiet, not broken.' },
  'live.none': 'Nothing yet. What happens appears here at once.',
  'live.noMatch': 'Nothing of that kind yet.',
  'live.device.pending': 'Waits for approval',
  'live.device.approved': 'Was approved', 'live.device.blocked': 'Was blocked',
  'live.device.online': 'Came back', 'live.device.offline': 'Fell silent',
  'live.device.removed': 'Was removed',
  'live.attendance.photo': 'Photo of {who}',
  'live.user.enrolled': '{who} is new on this terminal',
  'live.user.updated': '{who} was changed on this terminal',
  'live.user.deleted': '{who} was deleted on this terminal',
  'live.template.enrolled': 'New {kind} of {who}',
  'live.command.done': '{what}: done', 'live.command.failed': '{what}: failed ({code})',
  'live.command.expired': '{what}: expired', 'live.command.cancelled': '{what}: cancelled',
  'live.webhook.disabled': 'A receiver of webhooks was given up',
  'live.webhook.test': 'A webhook was tried'
});

const liveKinds = {
  punches: /^attendance\./, devices: /^(?:device|door)\./,
  people: /^(?:user|template)\./, commands: /^(?:command|webhook)\./
};

const mostShown = 2000;

// what a key of this table is for, or the name itself: there may be new ones
function wordOr(key, name) {
  return table.has(key) ? t(key) : clean(name || '–');
}

function whoOf(event) {
  const u = event.user;

  return u ? data(u.name || u.id || '–') : '–';
}

function liveWords(event) {
  const key = 'live.' + event.type;

  if (event.type === 'attendance.punch') return [whoOf(event)];
  if (event.type === 'command.finished') {
    const c = event.command || {};

    return tx('live.command.' + (c.status || 'done'),
      { what: c.words || c.summary || '–', code: String(c.return_code) });
  }
  if (!table.has(key)) return [clean(event.type)];
  return tx(key, { who: whoOf(event),
    kind: event.template ? event.template.type : '' });
}

// a punch of GET /logs, as the event of it looks
function punchEvent(log) {
  return {
    type: 'attendance.punch', event_id: 'log ' + log.id,
    timestamp: log.timestamp, created_at: log.received_at,
    late: Date.parse(log.received_at) - Date.parse(log.timestamp) > 900000,
    device: { id: log.device_id, name: log.device_name, site: log.site,
      timezone: log.timezone },
    user: { id: log.user_id, name: log.user_name },
    punch: { type: log.punch_type, method: log.method,
      timestamp: log.timestamp, local_time: log.local_time,
      status: log.status, verify: log.verify }
  };
}

// the same punch by both ways
function punchKey(event) {
  const p = event.punch;

  return p ? [event.device && event.device.id, p.local_time, event.user
    && event.user.id, p.status, p.verify].join('\n') : event.event_id;
}

function eventZone(event) {
  return event.device && event.device.timezone || 'UTC';
}

// a time of another zone than the viewer's says so
function withZone(words, moment, zone) {
  const its = offsetOf(moment, zone);

  return setting('times') !== 'device' || its === offsetOf(moment, null)
    || words.includes(its) ? words
    : words + ' ' + its.replace(/^GMT(?=.)/, '').replace('-', '\u2212');
}

function eventTime(event) {
  if (event.punch) {
    const p = { timestamp: event.punch.timestamp,
      local_time: event.punch.local_time, timezone: eventZone(event) };
    const day = punchDay(p);
    const today = punchDay({ timestamp: new Date(now()).toISOString(),
      timezone: p.timezone });

    return (day === today ? '' : format('near', day + 'T12:00:00Z', 'UTC')
      + ', ') + withZone(punchTime(p), p.timestamp, p.timezone);
  }

  const at = event.created_at || event.timestamp;
  const zone = zoneShown(eventZone(event));

  return (format('iso', at, zone) === format('iso', now(), zone) ? ''
    : format('near', at, zone) + ', ') + withZone(timeOf(at, zone), at, zone);
}

function liveLate(event) {
  return event.late && event.punch
    ? t('p.late', { at: momentOf(event.created_at,
      zoneShown(eventZone(event))) }) : '';
}

function liveColumns() {
  return [
    { id: 'time', title: t('live.time'), width: '12.5rem', area: 'c',
      fill(cell, e) {
        const time = eventTime(e);

        redo(cell, JSON.stringify([time, liveLate(e)]), () => [time, liveLate(e)
          && h('span.if-narrow', ', ', liveLate(e))]);
      } },
    { id: 'site', title: t('live.site'), width: 'minmax(0, 6rem)',
      fill(cell, e) {
        const site = e.device && e.device.site || '–';

        redo(cell, site, () => data(site));
      } },
    { id: 'device', title: t('live.device'), width: 'minmax(0, 1fr)', area: 'd',
      fill(cell, e) {
        const its = e.device && [e.device.id, e.device.name];

        redo(cell, JSON.stringify(its), () => e.device
          ? anchor(path('devices', e.device.id),
            data(e.device.name || e.device.id)) : '–');
      } },
    { id: 'name', title: t('live.who'), width: 'minmax(0, 2fr)', area: 'a',
      fill(cell, e) {
        redo(cell, JSON.stringify([e.event_id, e.user && e.user.name,
          liveLate(e)]), () => [liveWords(e), liveLate(e)
          && h('span.sub', liveLate(e))]);
      } },
    { id: 'pin', title: t('live.pin'), width: '7rem', mid: false,
      fill(cell, e) {
        redo(cell, e.event_id, () => e.user ? mono(e.user.id) : '');
      } },
    { id: 'kind', title: t('live.kind'), width: '7.5rem', area: 'b',
      fill(cell, e) {
        redo(cell, e.event_id, () => e.punch
          ? nameOfType(e.punch.type) : '');
      } },
    { id: 'method', title: t('live.method'), width: '7rem', mid: false,
      fill(cell, e) {
        redo(cell, e.event_id, () => e.punch
          ? nameOfType(e.punch.method) : '');
      } },
    { id: 'note', title: t('live.note'), width: '11rem', mid: false,
      fill(cell, e) {
        text(cell, liveLate(e));
      } }
  ];
}

view({
  name: 'live', title: 'nav.live', nav: 2, scope: 'events:read',

  open(ctx) {
    const state = { past: [], paused: null, missed: 0,
      fresh: new Set(), said: { n: 0, last: null } };
    const g = grid({ label: t('live.list'), columns: liveColumns(),
      key: (e) => e.event_id,
      mark: (e) => (e.punch ? 'punch' : 'other')
        + (state.fresh.has(e.event_id) ? ' new' : ''),
      open: (e) => e.device && go(path('devices', e.device.id)),
      empty: () => none() });
    const pause = button(t('live.pause'), () => turn(),
      { label: t('live.pause') });
    const filters = h('div.inline-tools');
    const waiting = h('div.newer', { hidden: true });
    const earlier = h('p.meta', { hidden: true });
    const wait = h('div');
    const announcing = h('input', { type: 'checkbox', id: 'announce-punches',
      checked: Boolean(setting('announce')),
      on: { change: () => change('announce', announcing.checked) } });
    const top = head(ctx, { title: t('nav.live'), side: pause });

    pause.append(h('kbd', t('live.space')));
    add(ctx.el, h('div.tools', filters, h('span.side', h('label.inline',
      { for: 'announce-punches' }, announcing, t('live.announce')))),
    waiting, wait, g.el, earlier);

    function fits(e) {
      const site = ctx.query.get('site');
      const device = ctx.query.get('device');
      const kind = liveKinds[ctx.query.get('show')];

      return (!site || e.device && e.device.site === site)
        && (!device || e.device && e.device.id === device)
        && (!kind || kind.test(e.type));
    }

    function all() {
      const now = state.paused || stream.recent;
      const had = new Set(now.map(punchKey));

      return now.concat(state.past.filter((e) => !had.has(punchKey(e))))
        .slice(0, mostShown);
    }

    function quiet() {
      const s = fleet.summary;

      state.quiet = s && s.punches.last_at && s.devices.online
        ? { at: momentOf(s.punches.last_at, null), n: s.devices.online }
        : null;
    }

    function none() {
      if (ctx.query.size) {
        return noMatch(t('live.noMatch'), ['site', 'device', 'show']);
      }
      quiet();
      if (state.quiet) return empty(t('live.quiet', state.quiet));
      return empty(t('live.none'));
    }

    function draw() {
      g.rows(all().filter(fits));
      waiting.hidden = !state.missed;
      if (state.missed) {
        redo(waiting, state.missed, () => [h('span',
          t('live.new', { n: state.missed })), button(t('live.show'),
          () => turn(false), { kind: 'quiet' })]);
      }
      earlier.hidden = !stream.earlier;
      text(earlier, t('live.earlier', { n: stream.earlier }));
      drawHead();
    }

    function drawHead() {
      const words = state.paused ? t('live.paused')
        : stream.state === 'polling' ? t('live.polling')
          : stream.state === 'connecting' && !stream.heard ? t('live.wait')
            : stream.state === 'live' || stream.fresh()
              ? t('live.rate', { n: stream.per_minute() })
              : t('live.off', { at: stamp(stream.heard || Date.now()) });

      top.verdict(words);
      top.state(stream.state === 'live' && !state.paused ? 'ok' : 'unknown');
    }

    function drawFilters() {
      const sites = new Set();
      const devices = new Map();

      for (const e of all()) {
        if (!e.device) continue;
        if (e.device.site) sites.add(e.device.site);
        devices.set(e.device.id, e.device.name || e.device.id);
      }
      for (const name of ['site', 'device']) {
        const v = ctx.query.get(name);

        if (v && name === 'site') sites.add(v);
        if (v && name === 'device' && !devices.has(v)) devices.set(v, v);
      }

      const key = JSON.stringify([Array.from(sites), Array.from(devices),
        Array.from(ctx.query)]);

      steady(filters, key, () => [
        chooser(t('live.site'), ctx.query.get('site'),
          [['', t('live.all')]].concat(Array.from(sites).sort(compare)
            .map((s) => [s, s])), (v) => query({ site: v || null }, true)),
        chooser(t('live.device'), ctx.query.get('device'),
          [['', t('live.all')]].concat(Array.from(devices)
            .sort((a, b) => compare(a[1], b[1]))),
          (v) => query({ device: v || null }, true)),
        chooser(t('live.kinds'), ctx.query.get('show'),
          [['', t('live.everything')]].concat(Object.keys(liveKinds)
            .map((k) => [k, t('live.' + k)])),
          (v) => query({ show: v || null }, true))]);
    }

    function turn(on) {
      const paused = on === undefined ? !state.paused : on;

      state.paused = paused ? stream.recent : null;
      state.missed = 0;
      text(pause.firstChild, t(paused ? 'live.goOn' : 'live.pause'));
      pause.setAttribute('aria-label', t(paused ? 'live.goOn' : 'live.pause'));
      draw();
    }

    function took(events) {
      if (state.paused) {
        state.missed += events.filter(fits).length;
      } else if (events.length < 50) {
        for (const e of events) state.fresh.add(e.event_id);
        setTimeout(() => {
          for (const e of events) state.fresh.delete(e.event_id);
          g.refresh();
        }, 1300);
      }

      for (const e of events) {
        if (!e.punch) continue;
        state.said.n++;
        state.said.last = e;
      }
      draw();
    }

    function say() {
      const { n, last } = state.said;

      state.said = { n: 0, last: null };
      if (!n || !setting('announce')) return;
      announce(t('live.said', { n, who: last.user.name || last.user.id,
        device: last.device.name || last.device.id }));
    }

    async function read() {
      if (may('logs:read')) {
        const answer = await api('GET', '/logs',
          { query: { order: 'desc', limit: 100 }, signal: ctx.signal,
            background: true });

        state.past = answer.body.data.map(punchEvent);
        fill(wait);
      }
    }

    function readAgain() {
      read().catch(onlyProblem).then(() => {
        drawFilters();
        draw();
      });
    }

    ctx.turn = turn;
    ctx.draw = () => {
      drawFilters();
      draw();
    };
    ctx.on('events', took);
    ctx.on('stream', drawHead);
    ctx.on('reset', readAgain);
    ctx.on('recovered', readAgain);
    ctx.on('tick', () => {
      drawFilters();
      drawHead();
    });
    ctx.every(10000, say);

    drawFilters();
    drawHead();
    if (stream.recent.length) draw();
    loading(wait, read(), 8).catch(onlyProblem).then(() => ctx.draw());
  },

  update(ctx) {
    if (ctx.draw) ctx.draw();
  },

  keys: {
    ' '(event, ctx) {
      if (ctx.turn) ctx.turn();
    }
  }
});
