// Fleet: is it all right, what needs somebody, and every device.

words({
  'fleet.all.none': { one: 'The active device is online. Nothing needs you.', other: 'All {n} active devices are online. Nothing needs you.' },
  'fleet.all.some': { one: 'The active device is online.', other: 'All {n} active devices are online.' },
  'fleet.some': { one: '{m} of {n} active device is online.', other: '{m} of {n} active devices are online.' },
  'fleet.single': { one: '{n} device is silent.', other: '{n} devices are silent.' },
  'fleet.needs': { one: '{n} needs you.', other: '{n} need you.' },
  'fleet.needsNone': 'Nothing needs you.',
  'fleet.inactive': 'No device is active yet.',
  'fleet.none': 'No devices yet. In the terminal open Comm. > Cloud Server Setting and enter {url}; it appears here within a minute.',
  'fleet.match': 'No device matches {q}.', 'fleet.matchNone': 'No device is so.',
  'fleet.more': 'and {n} more',
  'fleet.today': 'Punches today', 'fleet.spark': 'Punches of the last 24 hours; at most {n} in half an hour',
  'fleet.waiting': 'Commands waiting', 'fleet.lines': 'Lines not stored',
  'fleet.missing': 'Punches missing',
  'fleet.list': 'Devices', 'fleet.needsYou': 'What needs you',
  'fleet.site': 'Site', 'fleet.sites': 'all', 'fleet.compact': 'Compact',
  'fleet.chips': 'Devices that are', 'fleet.all': 'All',
  'fleet.silentDay': 'Silent for a day',
  'fleet.reading': 'Reading the devices',
  'col.state': 'State', 'col.device': 'Device', 'col.serial': 'Serial',
  'col.site': 'Site', 'col.call': 'Call', 'col.punch': 'Last punch',
  'col.clock': 'Clock', 'col.wait': 'Wait', 'col.memory': 'Memory',
  'fleet.sub': '{serial}, clock {clock}, {n} waiting, memory {memory}',
  'fleet.lastPunch': 'last punch {at}',
  'fleet.picked': '{n} selected',
  'fleet.unpick': 'Clear selection',
  'many.title': '{act}: {n} devices', 'many.typed': 'More than 20 devices at once.',
  'many.going': '{act}: {n} of {of}.',
  'many.done': '{act}: {n} of {of} accepted.',
  'many.failed': 'Not accepted', 'many.reason': 'Reason'
});

function clockText(d) {
  if (d.skew === null) return '–';
  return (d.skew < 0 ? '−' : d.skew > 0 ? '+' : '')
    + duration(Math.abs(d.skew));
}

function callText(d) {
  const s = age(d.last_seen);

  return s === null ? '–' : duration(s);
}

const fleetColumns = () => [
  { id: 'state', title: t('col.state'), width: '7.5rem',
    by: (d) => d.conditions.length
      ? conditionOrder.indexOf(worst(d).name) : 99,
    fill(cell, d) {
      const others = d.conditions.slice(1).map((c) => conditionLabel(d, c));

      redo(cell, JSON.stringify([worst(d).name, others]),
        () => [stateMark(d), ' ', otherMarks(d)]);
    } },
  { id: 'name', title: t('col.device'), width: 'minmax(9rem, 2.2fr)', area: 'a',
    by: (d) => label(d),
    fill(cell, d) {
      redo(cell, 'made', () => [h('span.narrow-only'),
        setProps(anchor('#', data('')), { tabindex: -1 }), h('div.sub')]);

      const [mark, a, sub] = cell.children;

      redo(mark, worst(d).name, () => stateMark(d));
      if (a.of !== d.id) a.setAttribute('href', path('devices', d.id));
      a.of = d.id;
      text(a.firstChild, clean(label(d)));
      text(sub, t('fleet.sub', { serial: d.id, clock: clockText(d),
        n: d.waiting, memory: percent(d.memory) }));
    } },
  { id: 'serial', title: t('col.serial'), width: 'minmax(8rem, 1.3fr)',
    mid: false, exact: true, by: (d) => d.id,
    fill(cell, d) {
      redo(cell, 'made', () => mono(''));
      text(cell.firstChild, clean(d.id));
    } },
  { id: 'site', title: t('col.site'), width: 'minmax(5rem, 1fr)', area: 'c',
    by: (d) => d.site || null,
    fill(cell, d) {
      const moment = momentOf(d.last_punch_at, zoneShown(d.timezone || 'UTC'));

      redo(cell, 'made', () => [data(''), h('span.narrow-only')]);
      text(cell.firstChild, clean(d.site));
      text(cell.lastChild, (d.site ? ', ' : '')
        + t('fleet.lastPunch', { at: moment }));
    } },
  { id: 'call', title: t('col.call'), width: '5rem', num: true, area: 'b',
    by: (d) => d.last_seen ? -Date.parse(d.last_seen) : null,
    fill(cell, d) {
      text(cell, callText(d));
    } },
  { id: 'punch', title: t('col.punch'), width: '8.5rem', num: true,
    by: (d) => d.last_punch_at ? -Date.parse(d.last_punch_at) : null,
    fill(cell, d) {
      text(cell, momentOf(d.last_punch_at, zoneShown(d.timezone || 'UTC')));
    } },
  { id: 'clock', title: t('col.clock'), width: '4.5rem', num: true, mid: false,
    by: (d) => d.skew === null ? null : Math.abs(d.skew),
    fill(cell, d) {
      text(cell, clockText(d));
      cell.dataset.tone = Math.abs(d.skew) > 60 ? 'warn' : '';
    } },
  { id: 'wait', title: t('col.wait'), width: '3.5rem', num: true, mid: false,
    by: (d) => d.waiting,
    fill(cell, d) {
      text(cell, number(d.waiting));
    } },
  { id: 'memory', title: t('col.memory'), width: '4.5rem', num: true,
    mid: false, by: (d) => d.memory,
    fill(cell, d) {
      text(cell, percent(d.memory));
      cell.dataset.tone = d.memory >= 0.9 ? 'bad' : '';
    } }
];

function verdictWords(c) {
  if (c.active === 0) {
    return c.needs ? [t('fleet.inactive'), ' ', t('fleet.needs', { n: c.needs })]
      : [t('fleet.inactive')];
  }
  if (c.online === c.active) {
    return c.needs === 0 ? [t('fleet.all.none', { n: c.active })]
      : [t('fleet.all.some', { n: c.active }), ' ',
        t('fleet.needs', { n: c.needs })];
  }
  if (c.active === 1) return [t('fleet.single', { n: 1 })];
  return [t('fleet.some', { n: c.active, m: c.online }), ' ',
    c.needs ? t('fleet.needs', { n: c.needs }) : t('fleet.needsNone')];
}

// 288 times five minutes, as 48 bars
function spark(slots) {
  const bars48 = [];

  for (let i = 0; i + 6 <= slots.length; i += 6) {
    bars48.push(slots.slice(i, i + 6).reduce((a, b) => a + (b || 0), 0));
  }

  const top = Math.max(1, ...bars48);
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');

  svg.setAttribute('class', 'spark');
  svg.setAttribute('viewBox', '0 0 ' + bars48.length * 3 + ' 24');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', t('fleet.spark', { n: top }));
  bars48.forEach((n, i) => {
    const rect = document.createElementNS(space, 'rect');
    const tall = n === 0 ? 1 : Math.max(2, 24 * n / top);

    rect.setAttribute('x', String(i * 3));
    rect.setAttribute('y', String(24 - tall));
    rect.setAttribute('width', '2');
    rect.setAttribute('height', String(tall));
    svg.append(rect);
  });
  return svg;
}

// the worst of those that need somebody, and how many there are
function firstNeedy(most) {
  const found = [];
  const place = (d) => conditionOrder.indexOf(worst(d).name);
  let n = 0;

  for (const d of fleet.list) {
    if (!d.needs || d.muted) continue;
    n++;

    let i = found.length;

    while (i > 0 && (place(d) < place(found[i - 1])
           || place(d) === place(found[i - 1])
           && compare(label(d), label(found[i - 1])) < 0)) i--;
    if (i < most) {
      found.splice(i, 0, d);
      if (found.length > most) found.pop();
    }
  }
  return [found, n];
}

function needRow(d) {
  const c = worst(d);
  const first = c.name === 'new' ? actButton('approve', d)
    : c.name === 'clock' ? button(t('a.fix'), () => zonePanel(d),
      { needs: 'devices:write', label: t('a.fix') + ' ' + label(d) })
      : ['lines', 'missing', 'commands', 'failed', 'quiet', 'full', 'key',
        'network'].includes(c.name)
        ? actButton(conditionTable[c.name][2], d) : actButton('open', d);
  const row = conditionTable[c.name] || conditionTable.quiet;

  return h('li', h('span.state', { 'data-tone': row[1] }, icon(row[0])),
    h('strong', anchor(path('devices', d.id), data(label(d)))),
    h('span.site', data(d.site)),
    h('span.label', { 'data-tone': row[1] }, conditionLabel(d, c)),
    h('span.advice'), first);
}

function fleetView(ctx) {
  const top = head(ctx, {});
  const needs = h('ul.needs', { 'aria-label': t('fleet.needsYou') });
  const day = h('div.day-line');
  const chips = h('div.chips', { role: 'group',
    'aria-label': t('fleet.chips') });
  const site = h('select', { id: 'site', on: { change: () =>
    query({ site: site.value || null }, true) } });
  const compact = h('input', { type: 'checkbox', id: 'compact',
    on: { change: () => change('rows', compact.checked
      ? 'compact' : 'comfortable') } });
  const picked = h('div.picked', { hidden: true });
  let all = false;
  let last = null;
  let filter = [null, null, []];

  const g = grid({
    label: t('fleet.list'), columns: fleetColumns(), key: (d) => d.id,
    name: label, open: (d) => go(path('devices', d.id)),
    act(d) {
      const c = worst(d);

      if (c.name === 'new') approvePanel(d);
      else if (c.name === 'clock') zonePanel(d);
      else go(path('devices', d.id));
    },
    select: may('commands:write') || may('devices:write') ? drawPicked : null,
    sort: ctx.query.get('s') || 'name',
    sorted: (sort) => query({ s: sort }),
    empty: () => fleet.list.length === 0
      ? empty(tx('fleet.none', { url: mono(terminalsAt) }))
      : noMatch(ctx.query.get('q')
        ? tx('fleet.match', { q: ctx.query.get('q') })
        : t('fleet.matchNone'), ['q', 'c', 'site'])
  });

  const rest = h('div', needs, day, h('div.tools', chips, h('div.side',
    h('label.inline', { for: 'site' }, t('fleet.site'), site),
    h('label.inline.wide', { for: 'compact' }, compact,
      t('fleet.compact')))), picked, g.el);

  rest.hidden = fleet.at === 0;
  ctx.el.append(rest);

  function wanted(d) {
    const [c, where, parts] = filter;

    if (where && d.site !== where) return false;
    // nor are they counted
    if (c && c !== 'muted' && d.muted) return false;
    if (c === 'online' && d.status !== 'online') return false;
    if (c === 'needs' && !d.needs) return false;
    if (c === 'muted' ? !d.muted : c && c !== 'online' && c !== 'needs'
        && !d.conditions.some((each) => each.name === c
          || c === 'silent' && each.name === 'silent_day')) return false;
    return parts.every((w) => d.text.includes(w));
  }

  function drawChips(c) {
    const chosen = ctx.query.get('c') || '';
    const list = [['', t('fleet.all'), c.total],
      ['online', t('c.online'), c.online]];

    for (const name of conditionOrder.concat('muted')) {
      // those of a day are among the silent ones, unless an alert leads to them
      if (name === chosen || name !== 'silent_day' && c.by.get(name)) {
        list.push([name, t(name === 'silent_day' ? 'fleet.silentDay'
          : 'c.' + name), c.by.get(name) || 0]);
      }
    }
    if (chosen === 'needs') list.push(['needs', t('fleet.needsYou'), c.needs]);

    steady(chips, JSON.stringify([list, chosen]), () =>
      list.map(([name, title, n]) => chip(title, n, name === chosen,
        () => query({ c: name || null }, true))));
  }

  function drawNeeds() {
    const [rows, n] = firstNeedy(all ? 100 : 5);
    const state = JSON.stringify([all, rows.map((d) =>
      [d.id, d.name, d.site, worst(d).name, conditionLabel(d, worst(d))]), n]);

    const focused = needs.contains(document.activeElement);

    steady(needs, state, () => [rows.map(needRow),
      n > rows.length && !all ? h('li.rest', button(
        t('fleet.more', { n: n - rows.length }), () => {
          all = true;
          drawNeeds();
        }, { kind: 'quiet' })) : null]);
    // this changes all the time, and must not take the buttons away
    rows.forEach((d, i) => {
      const words = h('span', conditionShort(d, worst(d)));

      redo(needs.children[i].querySelector('.advice'), words.textContent,
        () => words);
    });
    needs.hidden = n === 0;
    if (focused && needs.hidden) top.h1.focus({ preventScroll: true });
  }

  function drawDay() {
    const s = fleet.summary;

    day.hidden = fleet.noSummary;
    if (!s) return;
    steady(day, JSON.stringify([s.punches, s.commands, s.rejected_24h,
      s.missing_punches]), () => [
      h('span', t('fleet.today'), ' ', h('b', number(s.punches.today)), ' ',
        s.punches.per_5min ? spark(s.punches.per_5min) : null, ' ',
        h('span.meta', '24 h')),
      anchor(path('commands'), t('fleet.waiting'), ' ',
        h('b', number(s.commands.queued + s.commands.sent))),
      anchor(path('problems'), t('fleet.lines'), ' ',
        h('b', number(s.rejected_24h))),
      s.missing_punches ? anchor(path('problems'), t('fleet.missing'), ' ',
        h('b', number(s.missing_punches))) : null]);
  }

  function drawSites() {
    const value = ctx.query.get('site') || '';
    const names = sitesOf(value);

    if (site === document.activeElement) return;
    redo(site, JSON.stringify([names, value]), () =>
      [''].concat(names).map((name) => h('option', { value: name,
        selected: name === value }, name ? clean(name) : t('fleet.sites'))));
  }

  function drawVerdict(c) {
    const since = unknownSince();

    // of a part of them nothing can be said
    if (!fleet.complete) {
      top.state('unknown');
      top.verdict(h('span.meta', t('fleet.reading')));
      ctx.title(t('nav.fleet'));
      return;
    }
    if (since !== null) {
      top.state('unknown');
      top.verdict(t('unknown', { at: stamp(since) }));
      ctx.title(t('nav.fleet'));
      return;
    }
    top.state(c.needs ? 'warn' : 'ok');
    top.verdict(verdictWords(c));
    ctx.title((c.needs ? t('fleet.needs', { n: c.needs }) + ' ' : '')
      + t('nav.fleet'));
  }

  function drawPicked(set) {
    picked.hidden = set.size === 0;
    if (set.size === 0) return;

    const chosen = () => fleet.list.filter((d) => set.has(d.id)).slice(0, 1000);
    const many = (key, scope, where, body) => button(t(key), () =>
      forMany(t(key), chosen(), (d) => api('POST',
        at`/devices/${d.id}/` + where, { body })), { needs: scope });

    fill(picked, h('span', t('fleet.picked', { n: set.size })),
      many('a.clock', 'devices:write', 'sync-time'),
      many('act.restart', 'devices:write', 'reboot'),
      many('act.again', 'devices:write', 'reupload', { table: 'ATTLOG' }),
      button(t('fleet.unpick'), () => g.clear(), { kind: 'quiet' }));
  }

  function draw(again) {
    if (fleet.at === 0) return;
    if (rest.hidden) {
      while (rest.previousSibling !== top.el) rest.previousSibling.remove();
      rest.hidden = false;
    }

    const c = counts();
    const rows = fleet.list.filter(wanted);

    drawVerdict(c);
    top.updated(fleet.noSummary ? fleet.at : fleet.summaryAt);
    drawNeeds();
    drawDay();
    drawChips(c);
    drawSites();
    compact.checked = setting('rows') === 'compact';

    const same = !again && last !== null && rows.length === last.length
      && rows.every((d, i) => d === last[i]);

    if (same) g.refresh();
    else g.rows(rows);
    last = rows;
  }

  ctx.draw = (again) => {
    filter = [ctx.query.get('c'), ctx.query.get('site'),
      plain(ctx.query.get('q') || '').split(/\s+/).filter(Boolean)];
    g.sort(ctx.query.get('s') || 'name');
    draw(again);
  };

  const redraw = () => draw(false);

  ctx.on('fleet', redraw);
  ctx.on('stream', redraw);
  ctx.on('link', redraw);
  ctx.on('tick', redraw);

  if (fleet.at === 0) {
    top.verdict(h('span.meta', t('fleet.reading')));
    const bones = h('div');

    ctx.el.insertBefore(bones, rest);
    loading(bones, fleet.load(), 8, () => {
      fill(ctx.el);
      fleetView(ctx);
    }).catch(() => {});
  }
  ctx.draw(true);
}

// four at a time; what was not accepted is a table
async function forMany(title, devices, f) {
  const n = devices.length;

  if (!await ask({ title: t('many.title', { act: title, n }),
    text: n > 20 ? t('many.typed') : null, typed: n > 20 ? n : null,
    act: title })) return;

  const note = strip(t('many.going', { act: title, n: 0, of: n }));
  const wrong = [];
  const key = session.key;
  let done = 0;
  let next = 0;

  async function some() {
    // whoever signs in next has not asked for it
    while (next < n && session.key !== null && session.key === key) {
      const d = devices[next++];

      try {
        await f(d);
      } catch (e) {
        onlyProblem(e);
        if (e.status === 429) {
          next--;
          devices.splice(next, 0);
          devices[next] = d;
          await sleep(1000 * (e.retry || 1));
          continue;
        }
        wrong.push([d, e]);
      }
      done++;
      if (done % 10 === 0) note.say(t('many.going', { act: title, n: done, of: n }));
    }
  }
  await Promise.all([some(), some(), some(), some()]);
  note.say(t('many.done', { act: title, n: done - wrong.length, of: n }));
  note.done();
  if (wrong.length) {
    const list = simpleTable({ label: t('many.failed'), columns: [
      { title: t('col.device'), cell: ([d]) => data(label(d)) },
      { title: t('many.reason'), cell: (row) => problemWords(row[1]) }] });

    list.rows(wrong);
    panel({ title: t('many.failed'), fill: (body) => body.append(list.el) });
  }
}

view({
  name: 'fleet', title: 'nav.fleet', nav: 1, scope: 'devices:read',
  open: fleetView,
  update(ctx) {
    ctx.draw(true);
  }
});
