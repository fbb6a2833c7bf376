// Problems: all that is open, by what it is, with the act beside it.
//
//   #/problems?f=lines

words({
  'problems.open': '{n} open',
  'problems.all': 'All', 'problems.devices': 'Devices',
  'problems.lines': 'Lines not stored', 'problems.missing': 'Punches missing',
  'problems.commands': 'Commands', 'problems.server': 'Server',
  'problems.clear': { one: 'Nothing needs you. {n} device, 0 lines, 0 missing. Checked {at}.', other: 'Nothing needs you. {n} devices, 0 lines, 0 missing. Checked {at}.' },
  'problems.part': { one: 'Nothing that your key may read needs you. {n} device. Checked {at}.', other: 'Nothing that your key may read needs you. {n} devices. Checked {at}.' },
  'problems.unknown': 'Not known since {at}.', 'problems.reading': 'Not known yet.',
  'problems.lineGroup': { one: '{device}: {n} line since {at}, “{reason}”', other: '{device}: {n} lines since {at}, all “{reason}”' },
  'problems.read': 'Read', 'problems.fold': 'Fold',
  'problems.askAgain': 'Ask again…',
  'problems.askTitle': 'Ask {device} to send “{table}” again?',
  'problems.askText': 'It uploads what it holds once more; none is stored twice. Lines that are wrong in the terminal stay wrong.',
  'problems.askAct': 'Ask {device}', 'problems.asking': '{device} is to send “{table}” again.',
  'problems.asked': '{device} sends “{table}” again at its next call.',
  'problems.tooMany': 'The newest {n} are read; the whole list:',
  'problems.range': '{device}, {range}: terminal holds {there}, stored {here}',
  'problems.fetch': 'Fetch {n}',
  'problems.fetching': '{device} is asked for what is missing.',
  'problems.fetched': '{device} sends what is missing at its next call.',
  'problems.filling': 'On its way', 'problems.show': 'Show',
  'problems.database': 'database answers in {n} ms',
  'problems.noDatabase': 'database does not answer',
  'problems.listening': 'notifications arrive',
  'problems.notListening': 'notifications do not arrive: commands start up to 2 s later',
  'problems.webhooks': 'webhooks {n} of {all}', 'problems.horizon': 'horizon {n} s',
  'problems.noWebhooks': 'no webhooks',
  'problems.webhookFailing': { one: '{n} webhook fails; nothing is lost, it is tried again.', other: '{n} webhooks fail; nothing is lost, they are tried again.' },
  'problems.webhookOff': { one: '{n} webhook was given up. Events wait for it.', other: '{n} webhooks were given up. Events wait for them.' },
  'problems.horizonHeld': 'An open transaction holds back events for {n} s. Its session is in the view iclock.event_status.',
  'problems.slow': 'The database takes {n} ms for the summary.',
  'problems.lacks': 'Not shown: your key lacks {scope}.',
  'problems.none.devices': 'No device needs you.',
  'problems.none.lines': 'All lines of the last 24 h were stored.',
  'problems.none.missing': 'No punches are missing, as far as terminals were asked.',
  'problems.none.commands': 'No command has failed in 24 h.',
  'problems.none.server': 'All is well.',
  'problems.more': 'And {n} more'
});

function groupLines(rows) {
  const groups = new Map();

  for (const row of rows) {
    const key = [row.device_id, row.table, row.reason].join('\n');

    if (!groups.has(key)) {
      groups.set(key, { key, device_id: row.device_id, table: row.table,
        reason: row.words || row.reason, rows: [], since: row.received_at });
    }

    const g = groups.get(key);

    g.rows.push(row);
    if (row.received_at < g.since) g.since = row.received_at;
  }
  return Array.from(groups.values()).sort((a, b) =>
    b.rows.length - a.rows.length);
}

async function askUpload(group) {
  const args = { device: deviceName(group.device_id), table: group.table };

  if (!await ask({ title: t('problems.askTitle', args),
    text: t('problems.askText'), act: t('problems.askAct', args) })) return;

  await doing(tx('problems.asking', args),
    api('POST', at`/devices/${group.device_id}/reupload`,
      { body: { table: group.table } }), {
      done: () => tx('problems.asked', args),
      undo: may('commands:write') && ((answer, note) =>
        undoCommands(answer.body.commands || [], note))
    });
}

async function fetchMissing(row) {
  const args = { device: deviceName(row.device_id) };

  return doing(tx('problems.fetching', args),
    api('POST', at`/devices/${row.device_id}/verify`,
      { body: { starts: row.starts, ends: row.ends } }), {
      done: () => tx('problems.fetched', args),
      undo: (answer, note) => undoCommands(answer.body.commands || [], note)
    });
}

// all that is missing on a device, as far as it was asked
async function fetchAll(d) {
  try {
    const ranges = (await api('GET', '/reconciliation', { query: {
      device_id: d.id, missing: 'true' } })).body.data;

    if (ranges.length === 0) strip(t('problems.none.missing')).done();
    for (const row of ranges) await fetchMissing(row);
    emit('commands');
  } catch (e) {
    sayProblem(e);
  }
}

function serverIssues(s) {
  const w = s.webhooks || {};
  const all = [];

  if (s.database_ms === null) all.push(t('problems.noDatabase'));
  else if (s.database_ms > 1000) all.push(t('problems.slow', { n: s.database_ms }));
  if (s.listening === false) all.push(t('problems.notListening'));
  if (s.horizon_seconds > 10) {
    all.push(t('problems.horizonHeld', { n: Math.round(s.horizon_seconds) }));
  }
  if (w.failing) all.push(t('problems.webhookFailing', { n: w.failing }));
  if (w.disabled) all.push(t('problems.webhookOff', { n: w.disabled }));
  return all;
}

function serverLine(s) {
  const w = s.webhooks || {};
  const all = (w.active || 0) + (w.failing || 0) + (w.disabled || 0);

  return [
    s.database_ms === null ? t('problems.noDatabase')
      : t('problems.database', { n: Math.round(s.database_ms) }),
    s.listening === false ? t('problems.notListening')
      : t('problems.listening'),
    all ? t('problems.webhooks', { n: w.active || 0, all })
      : t('problems.noWebhooks'),
    t('problems.horizon', { n: Math.round(s.horizon_seconds || 0) })
  ].join('; ');
}

const sections = {
  devices: 'devices:read', lines: 'logs:read', missing: 'logs:read',
  commands: 'commands:read', server: 'devices:read'
};

const mostListed = 50;

view({
  name: 'problems', title: 'nav.problems', nav: 5, scope: 'devices:read',

  open(ctx) {
    const known = { at: 0, read: 0, tried: 0, asked: 0, told: null, turns: 0,
      turn: 0, lines: [], moreLines: false, missing: [], commands: [],
      fetching: new Set() };
    const opened = new Set();
    const top = head(ctx, { title: t('nav.problems') });
    const chips = h('div.chips', { role: 'group',
      'aria-label': t('nav.problems') });
    const wait = h('div');
    const body = h('div.problems');
    let first = true;

    add(ctx.el, h('div.tools', chips), wait, body);

    // Nobody need see to a device that is muted, nor to what has failed there
    // and was done since then: the device was read later, and tells of nothing.
    function due(rows, name) {
      return rows.filter((row) => {
        const d = fleet.map.get(row.device_id);

        return !d || !d.muted && (!name
          || d.at < Date.parse(row.finished_at) + 5000
          || d.conditions.some((c) => c.name === name));
      });
    }

    function rowsOf(name) {
      if (name === 'devices') return needyDevices();
      if (name === 'lines') return groupLines(due(known.lines));
      if (name === 'missing') return due(known.missing);
      if (name === 'commands') return due(known.commands, 'failed');
      return fleet.summary ? serverIssues(fleet.summary.server) : [];
    }

    // null: nobody has counted them
    function countOf(name, rows) {
      if (!may(sections[name])) return null;
      if (name === 'lines') {
        return rows.length && known.moreLines
          && fleet.summary && fleet.summary.rejected_24h
          || rows.reduce((n, group) => n + group.rows.length, 0);
      }
      if (name === 'missing') {
        return rows.reduce((n, row) => n + (row.missing || 0), 0);
      }
      return rows.length;
    }

    function fresh() {
      // who may not have a stream goes by the summary
      return fleet.summary && now() - known.at < 30000
        && (!may('events:read') || stream.fresh())
        && link.state === 'up';
    }

    function lists() {
      return Object.fromEntries(Object.keys(sections)
        .map((name) => [name, rowsOf(name)]));
    }

    // an all-clear is a promise: it is withheld from what may be old, and from
    // what the key may not read
    function drawHead(all) {
      const part = !Object.values(sections).every(may);
      const n = Object.values(all).reduce((sum, rows) => sum + rows.length, 0);
      const stale = known.at && !fresh();

      if (!known.at) top.verdict(t('problems.reading'));
      else if (stale) {
        top.verdict(t('problems.unknown', { at: stamp(known.at) }),
          n ? ' ' + t('problems.open', { n }) : '');
      } else if (n) top.verdict(t('problems.open', { n }));
      else {
        top.verdict(t(part ? 'problems.part' : 'problems.clear', { at: stamp(known.at),
          n: fleet.summary.devices.total }));
      }
      top.state(!known.at || stale ? 'unknown' : n ? 'warn'
        : part ? 'unknown' : 'ok');
      ctx.title(known.at && !stale && (n || !part) ? t('problems.open', { n }) + ', '
        + t('nav.problems') : t('nav.problems'));
      return n;
    }

    function draw() {
      const all = lists();
      const n = drawHead(all);
      const f = ctx.query.get('f');

      steady(chips, JSON.stringify([f, Object.keys(all).map((name) =>
        countOf(name, all[name]))]), () => ['all', ...Object.keys(sections)]
        .map((name) => chip(t('problems.' + name),
          name === 'all' ? n : countOf(name, all[name]), (f || 'all') === name,
          () => query({ f: name === 'all' ? null : name }, true))));

      if (!known.at) return;
      steady(body, JSON.stringify([f, all.devices.map((row) => [row.id,
        row.d.name, row.d.site, conditionLabel(row.d, row.c),
        h('p', conditionWords(row.d, row.c)).textContent]),
      // names of devices may come later than these lists
      [all.lines, all.missing, all.commands].map((rows) => rows.map((row) =>
        [deviceName(row.device_id), row])), all.server, Array.from(opened), known.moreLines,
      Array.from(known.fetching),
      fleet.summary && fleet.summary.server]), () =>
        Object.keys(sections).filter((name) => f ? name === f
          : name === 'server' || all[name].length || !may(sections[name]))
          .map((name) => section(name, all[name])));
    }

    function section(name, rows) {
      if (!may(sections[name])) {
        return h('section.problem', h('h2', t('problems.' + name)),
          h('p.meta', t('problems.lacks', { scope: sections[name] })));
      }
      return h('section.problem', h('h2', t('problems.' + name)),
        h('ul.rows-plain', rows.slice(0, mostListed)
          .map((row) => h('li', draws[name](row)))),
        rows.length > mostListed ? h('p.meta',
          t('problems.more', { n: rows.length - mostListed })) : null,
        name === 'server' && fleet.summary
          ? h('p.meta', serverLine(fleet.summary.server))
          : rows.length ? null : empty(t('problems.none.' + name)),
        name === 'lines' && known.moreLines ? h('p.meta',
          t('problems.tooMany', { n: known.lines.length }), ' ',
          copyButton(curlLine('/rejected?limit=' + mostRows()))) : null);
    }

    const draws = {
      devices: (row) => h('div.need', icon(conditionTable[row.c.name]
        ? conditionTable[row.c.name][0] : 'warn'),
      h('span.what', anchor(path('devices', row.id), data(label(row.d))), ' ',
        row.d.site ? [data(row.d.site), ' '] : null,
        h('strong', conditionLabel(row.d, row.c)), ' ',
        h('span.why', conditionWords(row.d, row.c))),
      h('span.acts', conditionActs(row.d, row.c))),

      lines(group) {
        const open = opened.has(group.key);
        const args = { n: group.rows.length, reason: group.reason,
          device: data(deviceName(group.device_id)),
          at: momentOf(group.since, null) };

        return [h('div.need', icon('stack'),
          h('span.what', tx('problems.lineGroup', args)),
          h('span.acts', foldButton(group.key, open),
            group.table ? button(t('problems.askAgain'),
              () => askUpload(group), { kind: 'quiet',
                needs: 'devices:write' }) : null)),
        open ? h('ul.raws', group.rows.slice(0, 200).map((row) => h('li',
          h('span.meta', mono(row.table || '–'), ' ',
            momentOf(row.received_at, null), row.detail
              ? [', ', data(row.detail)] : null), bytesOf(row.line)))) : null];
      },

      missing: (row) => h('div.need', icon('missing'),
        h('span.what', tx('problems.range', {
          device: data(deviceName(row.device_id)),
          range: rangeWords(row.starts, row.ends),
          there: row.device_count, here: row.stored_count })),
        h('span.acts', known.fetching.has(row.id)
          ? h('span.meta', t('problems.filling'))
          : button(t('problems.fetch', { n: row.missing }),
            () => fetchMissing(row).then((sent) => {
              if (sent) known.fetching.add(row.id);
              again();
            }),
            { kind: 'quiet', needs: 'commands:write' }))),

      commands: (row) => h('div.need', icon('arrow'),
        h('span.what', data(deviceName(row.device_id)), ': ',
          data(commandText(row)), '. ', commandState(row)),
        h('span.acts', button(t('problems.show'), () =>
          go(path('commands', null, { f: 'failed', device: row.device_id })),
        { kind: 'quiet', label: t('problems.show') + ': '
            + commandText(row) }), commandActs(row))),

      server: (words) => h('div.need', icon('warn'), h('span.what', words))
    };

    function foldButton(key, open) {
      const b = button(t(open ? 'problems.fold' : 'problems.read'), () => {
        if (open) opened.delete(key);
        else opened.add(key);
        draw();

        const same = Array.from(body.querySelectorAll('[data-fold]'))
          .find((each) => each.foldKey === key);

        if (same) same.focus();
      }, { kind: 'quiet' });

      b.foldKey = key;
      setProps(b, { 'data-fold': '', 'aria-expanded': String(open) });
      return b;
    }

    // each list by itself: what the key may not read does not hide the others
    async function get(scope, where, q) {
      if (!may(scope)) return { data: [], has_more: false };
      return (await api('GET', where, { query: q, signal: ctx.signal,
        background: !first })).body;
    }

    // it may have failed, or somebody has taken it back
    async function underWay(row) {
      try {
        return (await get('logs:read', '/reconciliation',
          { device_id: row.device_id, limit: 20 })).data
          .some((each) => each.starts === row.starts
            && each.ends === row.ends && !each.finished_at);
      } catch (e) {
        if (e.status === 404) return false;
        throw e;
      }
    }

    function numbers() {
      const s = fleet.summary;

      return s && JSON.stringify([s.rejected_24h, s.missing_punches,
        s.commands.failed_24h]);
    }

    async function read() {
      const since = new Date(Math.floor(now() / 60000 - 1440) * 60000)
        .toISOString();
      const turn = ++known.turns;

      known.tried = now();
      if (fleet.summary === null) await readSummary();
      if (fleet.noSummary) throw new Problem(404, { code: 'no_route' });

      // another summary may come before these lists
      const told = numbers();
      const at = known.asked = fleet.summaryAt;
      const fetching = known.missing.filter((row) =>
        known.fetching.has(row.id));
      const [lines, missing, commands, coming] = await Promise.all([
        get('logs:read', '/rejected', { since, limit: 200 }),
        get('logs:read', '/reconciliation', { missing: 'true', limit: 200 }),
        get('commands:read', '/commands', { status: 'failed',
          finished_since: since, limit: 200 }),
        Promise.all(fetching.map(underWay))]);

      // nor does what was asked earlier stand above what came first
      if (turn < known.turn) return;
      first = false;
      fill(wait);
      known.turn = turn;
      known.told = told;
      known.lines = lines.data;
      known.moreLines = lines.has_more;
      known.missing = missing.data.filter((row) => row.missing > 0);
      known.commands = commands.data;
      fetching.forEach((row, i) =>
        known.fetching[coming[i] ? 'add' : 'delete'](row.id));
      known.read = now();
      known.at = at;
      look();
    }

    function again() {
      if (session.key === null) return;
      read().catch((e) => {
        onlyProblem(e);
        drawHead(lists());
      });
    }

    // The summary has how long each list is: they are read again when it tells
    // of a change, once for each summary, and once a minute, as a line may go
    // while another comes.
    function look() {
      const same = numbers() === known.told;

      if (!first && same && now() - known.read < 90000) {
        known.at = fleet.summaryAt;
      }
      if (now() - known.tried > 14000
          ? first || !same || now() - known.read > 55000
          : !first && !same && known.asked !== fleet.summaryAt) {
        again();
      }
      draw();
    }

    ctx.redraw = draw;
    ctx.on('fleet', look);
    ctx.on('tick', look);
    ctx.on('stream', draw);
    ctx.on('link', draw);
    ctx.on('commands', again);

    const soon = ctx.spaced(5000, again);

    ctx.on('event', (event) => {
      if (event.type === 'command.finished' && event.device
          && known.missing.some((row) => known.fetching.has(row.id)
            && row.device_id === event.device.id)) soon();
    });
    ctx.on('recovered', again);
    ctx.on('reset', again);

    draw();
    loading(wait, read(), 8, again).catch(onlyProblem);
  },

  update(ctx) {
    if (ctx.redraw) ctx.redraw();
  }
});
