// Commands: what terminals were told, and what became of it.
//
//   #/commands?f=open&device=SN&user=PIN&since=24h
//
// commandMark(row) -> { tone, icon, words }, commandText(row), for other views.

words({
  'commands.open': 'Under way', 'commands.failed': 'Failed',
  'commands.done': 'Finished', 'commands.list': 'Commands',
  'commands.verdict': '{n} under way',
  'commands.verdictFailed': '{n} failed in 24 h',
  'commands.asked': 'Asked', 'commands.device': 'Device',
  'commands.what': 'What', 'commands.state': 'State', 'commands.by': 'By',
  'commands.act': 'Act', 'commands.cancel': 'Cancel', 'commands.again': 'Again',
  'commands.person': 'Person', 'commands.since': 'Asked',
  'commands.any': 'all', 'commands.24h': 'last 24 h', 'commands.7d': 'last 7 days',
  'commands.30d': 'last 30 days', 'commands.ever': 'at any time',
  'commands.noAnswer': 'no answer',
  'commands.cancelling': 'Cancel “{what}” for {device}.',
  'commands.gone': '“{what}” for {device} was cancelled.',
  'commands.late': 'Too late: “{what}” was sent already.',
  'commands.lateAt': 'Too late, it was sent at {at}.',
  'commands.repeating': '“{what}” again for {device}.',
  'commands.repeated': '“{what}” waits for {device} again.',
  'commands.noneOpen': 'Nothing is under way.',
  'commands.noneFailed': 'Nothing has failed.',
  'commands.none': 'No command yet.',
  'commands.filtered': 'No command matches.',
  'commands.more': 'Read more'
});

// as one text; 33-lists.js has the nodes
function commandText(row) {
  return row.words || (row.command || '–')
    + (row.user_id ? ' ' + row.user_id : '');
}

function commandDevice(row) {
  return deviceName(row.device_id);
}

const commandMarks = { queued: ['off', 'arrow'], sent: ['off', 'arrow'],
  done: ['ok', 'check'], failed: ['bad', 'warn'], expired: ['warn', 'warn'] };

function commandMark(row) {
  const [tone, shape] = commandMarks[row.status] || ['off', 'close'];

  return row.status === 'queued' && deviceSilent(row.device_id)
    ? { tone: 'warn', icon: 'silent', words: commandState(row) }
    : { tone, icon: shape, words: commandState(row) };
}

const openStates = new Set(['queued', 'sent']);

// the server's answer, whatever it is
async function cancelCommand(row) {
  const args = { what: commandText(row), device: commandDevice(row) };
  const note = strip(tx('commands.cancelling', args));

  try {
    await api('DELETE', at`/commands/${row.id}`);
    note.say(tx('commands.gone', args));
    note.done();
    return true;
  } catch (e) {
    onlyProblem(e);
    note.fail(e.status === 409
      ? [tx('commands.cancelling', args), ' ', await tooLate(row, args)]
      : problemWords(e));
    return false;
  }
}

async function tooLate(row, args) {
  try {
    const is = (await api('GET', at`/commands/${row.id}`)).body;

    return is.sent_at ? t('commands.lateAt', { at: timeOf(is.sent_at, null) })
      : commandState(is);
  } catch (e) {
    return tx('commands.late', args);
  }
}

async function repeatCommand(row) {
  const args = { what: commandText(row), device: commandDevice(row) };

  return doing(tx('commands.repeating', args),
    api('POST', at`/commands/${row.id}/repeat`), {
      done: () => tx('commands.repeated', args),
      undo: (answer, note) => undoCommands(
        answer.body.commands || [answer.body], note)
    });
}

// what still waits is taken back
async function undoCommands(rows, note) {
  let back = 0;
  let sent = null;

  note.undo(null);
  for (const row of rows) {
    try {
      await api('DELETE', at`/commands/${row.id}`);
      back++;
    } catch (e) {
      onlyProblem(e);
      if (e.status !== 409) {
        note.fail(problemWords(e));
        return;
      }
      sent = row;
    }
  }
  emit('commands');
  if (rows.length === 1 && sent) note.say(await tooLate(sent, { what: '–' }));
  else note.say(t('undo.some', { n: back, all: rows.length,
    rest: rows.length - back }));
  note.done();
}

words({
  'undo.some': 'Cancelled: {n} of {all}; sent already: {rest}.'
});

// what can be done about a command: cancel, or ask again
function commandActs(row) {
  const [word, act] = {
    queued: ['commands.cancel', cancelCommand],
    failed: ['commands.again', repeatCommand],
    expired: ['commands.again', repeatCommand]
  }[row.status] || [];

  return act ? button(t(word), (event) => {
    event.stopPropagation();
    act(row).then(() => emit('commands'));
  }, { kind: 'quiet', needs: 'commands:write',
    label: t(word) + ': ' + commandText(row) + ', ' + commandDevice(row) })
    : '';
}

function commandColumns() {
  return [
    { id: 'asked', title: t('commands.asked'), width: '7.5rem',
      by: (row) => Date.parse(row.created_at),
      fill(cell, row) {
        const at = momentOf(row.created_at, null);

        redo(cell, at, () => at);
      } },
    { id: 'device', title: t('commands.device'), width: 'minmax(0, 1fr)',
      area: 'c', by: (row) => commandDevice(row),
      fill(cell, row) {
        const at = momentOf(row.created_at, null);

        redo(cell, row.device_id + commandDevice(row) + at, () => [
          anchor(path('devices', row.device_id, { tab: 'commands' }),
            data(commandDevice(row))), h('span.if-narrow', ', ', at)]);
      } },
    { id: 'name', title: t('commands.what'), width: 'minmax(0, 2fr)',
      area: 'a', by: commandText,
      fill(cell, row) {
        redo(cell, row.id + commandText(row), () => data(commandText(row)));
      } },
    { id: 'state', title: t('commands.state'), width: 'minmax(0, 2fr)',
      area: 'b', by: (row) => row.status,
      fill(cell, row) {
        const state = commandMark(row);
        const mark = markOf(state);

        redo(cell, state.icon + state.tone + mark.textContent, () => mark);
      } },
    { id: 'by', title: t('commands.by'), width: '7rem', mid: false,
      by: (row) => row.created_by || null,
      fill(cell, row) {
        redo(cell, row.id + row.created_by, () => row.created_by
          ? data(row.created_by) : '–');
      } },
    { id: 'act', title: h('span.hidden', t('commands.act')), width: '6rem',
      area: 'd',
      fill(cell, row) {
        // its label has the name of the device, which may come later
        steady(cell, JSON.stringify([row.id, row.status, commandText(row),
          commandDevice(row)]), () => commandActs(row));
      } }
  ];
}

const periods = { '24h': 86400, '7d': 604800, '30d': 2592000, ever: 0 };

view({
  name: 'commands', title: 'nav.commands', nav: 4, scope: 'commands:read',

  open(ctx) {
    const rows = new Map();
    const g = grid({ label: t('commands.list'), columns: commandColumns(),
      key: (row) => row.id,
      open: (row) => go(path('devices', row.device_id, { tab: 'commands' })),
      act: (row) => {
        if (row.status === 'queued') cancelCommand(row).then(again);
        else if (row.status === 'failed' || row.status === 'expired') {
          repeatCommand(row).then(again);
        }
      },
      empty: () => none() });
    const chips = h('div.chips', { role: 'group',
      'aria-label': t('commands.state') });
    const wait = h('div');
    const more = h('div.acts', { hidden: true }, button(t('commands.more'),
      () => read(true)));
    const person = h('input', { type: 'search', autocomplete: 'off',
      spellcheck: 'false', value: ctx.query.get('user') || '',
      on: { change: () => query({ user: person.value.trim() || null }) } });
    const filters = h('span.side');
    const devices = h('span');
    const asks = h('span');
    const top = head(ctx, { title: t('nav.commands') });
    const step = 200;
    let cursor = null;
    let asked = '';
    let answered = null;
    let timer = null;
    let first = true;
    let begun = 0;
    let shown = 0;
    let asOf = 0;

    add(ctx.el, h('div.tools', chips, filters), wait, g.el, more);

    function wanted() {
      const f = ctx.query.get('f');

      return f === 'failed' || f === 'done' || f === 'all' ? f : 'open';
    }

    function none() {
      const f = wanted();

      if (ctx.query.get('device') || ctx.query.get('user')) {
        return noMatch(t('commands.filtered'), ['device', 'user', 'since']);
      }
      return empty(t(f === 'open' ? 'commands.noneOpen'
        : f === 'failed' ? 'commands.noneFailed' : 'commands.none'));
    }

    // newer servers take these filters; others tell what they do not know
    function filtersOf(status, limit, at) {
      const since = ctx.query.get('since');
      const period = periods[since] === undefined
        ? (openStates.has(status) ? 0 : 86400) : periods[since];
      // what failed now may have waited for days
      const named = wanted() === 'failed' && !since ? 'finished_since'
        : 'since';

      return { status, device_id: ctx.query.get('device') || null,
        user_id: ctx.query.get('user') || null, limit,
        [named]: period ? new Date(Math.floor(at / 60000 - period / 60)
          * 60000).toISOString() : null };
    }

    function states() {
      return { open: ['queued', 'sent'], failed: ['failed', 'expired'],
        done: ['done', 'cancelled'], all: [null] }[wanted()];
    }

    async function read(onward) {
      const turn = ++begun;
      const question = asked;
      // a cursor goes with the filters of its list
      const at = onward ? asOf : now();
      // as far as it was read
      const limit = onward ? step
        : Math.min(Math.max(rows.size, step), mostRows());
      const answers = await Promise.all(states().map((status) =>
        api('GET', '/commands', { query: Object.assign(
          filtersOf(status, limit, at),
          onward && cursor && cursor.get(status)
            ? { cursor: cursor.get(status) } : {}),
        signal: ctx.signal, background: !first })));

      // it was slower than a later one, or the answer to another question
      if (turn < shown || question !== asked) return;
      shown = turn;
      asOf = at;

      if (!onward) rows.clear();
      cursor = new Map();
      answers.forEach((answer, i) => {
        for (const row of answer.body.data) rows.set(row.id, row);
        if (answer.body.has_more) {
          cursor.set(states()[i], answer.body.next_cursor);
        }
      });
      first = false;
      answered = question;
      fill(wait);
      top.updated(Date.now());
      draw();
    }

    function draw() {
      const list = Array.from(rows.values()).sort((a, b) =>
        compare(String(b.id), String(a.id)));

      more.hidden = !cursor || !cursor.size;
      drawFilters();
      g.rows(list);
      drawHead();
      schedule();
    }

    function drawHead() {
      const c = fleet.summary && fleet.summary.commands;
      const counts = c ? { open: c.queued + c.sent, failed: c.failed_24h } : {};
      // what is listed is newer than what the server has counted
      const all = cursor && !cursor.size && !ctx.query.get('device')
        && !ctx.query.get('user') && !ctx.query.get('since');
      // the server counts what has failed without what has expired
      const listed = () => Array.from(rows.values())
        .filter((row) => row.status !== 'expired').length;
      const count = (f) => all && f === wanted() && f !== 'done' ? listed()
        : counts[f] === undefined ? null : counts[f];
      const n = count('open');
      const failed = count('failed');

      steady(chips, JSON.stringify([wanted(), n, failed]), () =>
        ['open', 'failed', 'done'].map((f) => chip(t('commands.' + f),
          count(f), wanted() === f,
          () => query({ f: f === 'open' ? null : f }, true))));
      top.verdict(n === null ? '' : t('commands.verdict', { n }),
        failed ? ', ' + t('commands.verdictFailed', { n: failed }) : '');
      ctx.title(n === null ? t('nav.commands')
        : t('commands.verdict', { n }) + ', ' + t('nav.commands'));
    }

    function drawFilters() {
      const device = ctx.query.get('device') || '';

      const known = deviceChoices(Array.from(rows.values(),
        (row) => row.device_id).concat(device || []));

      if (!filters.contains(person)) {
        filters.append(devices, h('label.inline',
          h('span', t('commands.person')), person), asks);
      }
      steady(devices, JSON.stringify([device, known]), () =>
        chooser(t('commands.device'), device,
          [['', t('commands.any')]].concat(known),
          (v) => query({ device: v || null }, true)));
      steady(asks, ctx.query.get('since') || '', () =>
        chooser(t('commands.since'), ctx.query.get('since') || '24h',
          Object.keys(periods).map((p) => [p, t('commands.' + p)]),
          (v) => query({ since: v === '24h' ? null : v }, true)));
    }

    function schedule() {
      clearTimeout(timer);
      timer = setTimeout(again, Array.from(rows.values())
        .some((row) => openStates.has(row.status)) ? 15000 : 60000);
    }

    function again() {
      const question = asked;

      clearTimeout(timer);
      if (session.key === null || document.hidden) {
        schedule();
        return;
      }
      readSummary();
      read(false).catch((e) => {
        onlyProblem(e);
        // what is listed answers another question
        if (e.status && !first && asked === question && asked !== answered) {
          rows.clear();
          cursor = null;
          g.el.hidden = more.hidden = true;
          fill(wait, empty(problemWords(e)));
        }
        schedule();
      });
    }

    ctx.again = () => {
      drawFilters();
      const next = Array.from(ctx.query).join('&');

      if (next === asked) return;
      asked = next;
      person.value = ctx.query.get('user') || '';
      drawHead();
      again();
    };
    ctx.stop = () => clearTimeout(timer);
    asked = Array.from(ctx.query).join('&');

    // many end together: one reading for all of them
    const soon = ctx.spaced(5000, again);

    ctx.on('events', (events) => {
      if (events.some((e) => e.type === 'command.finished')) soon();
    });
    ctx.on('commands', again);
    ctx.on('recovered', again);
    ctx.on('reset', again);
    ctx.on('fleet', () => {
      g.refresh();
      drawHead();
    });

    drawFilters();
    drawHead();
    readSummary();
    loading(wait, read(false), 6, again).catch(onlyProblem);
  },

  update(ctx) {
    if (ctx.again) ctx.again();
  },

  close(ctx) {
    if (ctx.stop) ctx.stop();
  }
});
