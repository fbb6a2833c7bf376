// What is wrong with a device, in words: label, sentence, act.
//
//   conditionLabel(d, c)      "Silent 42 min"
//   conditionWords(d, c)      nodes: what it means, and what helps
//   conditionShort(d, c)      a few words for a list
//   conditionActs(d, c)       buttons
//   stateOf(d)                { icon, tone, word, label } of the one state
//   stateMark(d, long)        <span class="state"> of it
//   address of terminals:     terminalsAt

words({
  'c.online': 'Online', 'c.silent': 'Silent',
  'c.silent_day': 'Silent', 'c.never': 'Never called', 'c.new': 'New',
  'c.blocked': 'Blocked', 'c.key': 'Wrong key', 'c.network': 'Wrong network',
  'c.clock': 'Clock', 'c.quiet': 'No punches', 'c.lines': 'Lines not stored',
  'c.missing': 'Punches missing', 'c.surplus': 'Surplus', 'c.full': 'Memory',
  'c.commands': 'Unanswered', 'c.failed': 'Failed', 'c.muted': 'Muted',

  'l.online': 'Online', 'l.silent': 'Silent {d}', 'l.never': 'Never called',
  'l.new': 'Waiting for approval', 'l.blocked': 'Blocked',
  'l.key': 'Wrong key', 'l.network': 'Wrong network',
  'l.clock.fast': 'Clock {d} fast', 'l.clock.slow': 'Clock {d} slow',
  'l.quiet': 'No punches today',
  'l.lines': { one: '{n} line not stored', other: '{n} lines not stored' },
  'l.missing': { one: '{n} punch missing', other: '{n} punches missing' },
  'l.full': 'Memory {p} full',
  'l.commands': { one: '{n} command unanswered', other: '{n} commands unanswered' },
  'l.failed': { one: '{n} command failed', other: '{n} commands failed' },
  'l.muted': 'Muted until {date}',

  's.online': 'Called {ago}.',
  's.silent': 'Last call {at}. Its punches are safe in the terminal and come when it calls again. Check power and network cable, then Comm. > Cloud Server Setting.',
  's.silent_day.fits': 'About {n} punches fit before its memory is full.',
  's.never': 'Registered on {date}, no call yet. Enter {url} in its Cloud Server Setting.',
  's.never.nodate': 'Registered, no call yet. Enter {url} in its Cloud Server Setting.',
  's.new': 'First call {ago}{from}. It keeps its punches until you approve it. Set its time zone now: punches are placed by it.',
  's.from': ' from {address}',
  's.blocked': 'Refused{since}{by}. It keeps its punches and goes on calling.',
  's.since': ' since {date}', 's.by': ', by {name}',
  's.key': 'Calls{from}, but its communication key differs from the one set here.',
  's.network': 'Calls{from}, but another network is allowed for it.',
  's.clock': 'Punches are stored as the terminal says. Is it in {zone}? If not, change the zone; else set its clock.',
  's.quiet': 'It calls, but sends no punches; usually {n} by now. Is it in access-control mode, or was its upload switched off?',
  's.quiet.nocount': 'It calls, but sends no punches. Is it in access-control mode, or was its upload switched off?',
  's.lines': 'They can never be stored as they are; they are kept, byte for byte.',
  's.missing': 'The terminal holds more punches than are stored here.',
  's.surplus': 'The terminal has deleted some; they are safe here.',
  's.full': 'What is stored here stays. Check that nothing is missing before you clear it at the terminal.',
  's.commands': 'It calls but does not answer. It may be busy, or not know the command.',
  's.failed': 'It answered that it cannot do that.',
  's.failed.one': '{what}: {result}.',
  's.muted': 'It counts for nothing until then{note}.',
  's.note': ': {note}',

  'h.silent': 'Check its power and network', 'h.never': 'Enter the address at it',
  'h.clock': 'Check the time zone, then clock', 'h.new': 'Called {ago}{from}',
  'h.key': 'Its key differs from the one here', 'h.network': 'Calls from elsewhere',
  'h.lines': 'Read what could not be stored', 'h.missing': 'Fetch them again',
  'h.quiet': 'It calls, but sends none', 'h.full': 'Check before you clear it',
  'h.commands': 'It calls but does not answer', 'h.failed': 'See what it answered',
  'h.blocked': 'It is refused', 'h.surplus': 'They are safe here',

  'a.connect': 'How to connect', 'a.address': 'Copy address',
  'a.approve': 'Approve…', 'a.block': 'Block', 'a.again': 'Approve again…',
  'a.setup': 'Setup', 'a.zone': 'Zone…', 'a.clock': 'Set clock',
  'a.check': 'Check', 'a.read': 'Read', 'a.fetch': 'Fetch', 'a.show': 'Show',
  'a.repeat': 'Again',
  'a.open': 'Open', 'a.fix': 'Fix…', 'a.unmute': 'Count it again'
});

const terminalsAt = meta('iclock-terminals')
  || location.protocol + '//' + location.host;

// icon, tone, acts by name; the rest is in the words
const conditionTable = {
  online: ['online', 'ok'],
  blocked: ['blocked', 'off', 'again'],
  key: ['key', 'warn', 'setup'],
  network: ['key', 'warn', 'setup'],
  new: ['new', 'new', 'approve', 'block'],
  silent: ['silent', 'warn', 'connect'],
  silent_day: ['silent', 'warn', 'connect'],
  never: ['silent', 'warn', 'address'],
  lines: ['stack', 'bad', 'read'],
  missing: ['missing', 'bad', 'fetch'],
  surplus: ['missing', 'off'],
  clock: ['clock', 'warn', 'zone', 'clock'],
  quiet: ['quiet', 'warn', 'check'],
  full: ['full', 'bad', 'check'],
  commands: ['arrow', 'warn', 'show'],
  failed: ['arrow', 'warn', 'show', 'repeat'],
  muted: ['blocked', 'off', 'unmute']
};

function fromWords(d) {
  return d.address ? t('s.from', { address: d.address }) : '';
}

function conditionLabel(d, c) {
  const n = absent(c.value) ? 1 : Number(c.value);

  switch (c.name) {
    case 'silent':
    case 'silent_day': {
      const s = age(d.last_seen || c.since);

      return s === null ? t('c.silent') : t('l.silent', { d: duration(s) });
    }
    case 'clock': {
      const s = skewWords(d.skew === null ? n : d.skew);

      return t(s.fast ? 'l.clock.fast' : 'l.clock.slow', { d: s.d });
    }
    case 'full':
      return t('l.full', { p: percent(d.memory === null ? n : d.memory) });
    case 'muted':
      return t('l.muted', { date: dateOf(d.muted, null) });
    default:
      return table.has('l.' + c.name) ? t('l.' + c.name, { n })
        : clean(c.name);
  }
}

function conditionWords(d, c) {
  const zone = zoneWords(d.timezone);
  const url = mono(terminalsAt);
  const date = dateOf(c.since, null);

  switch (c.name) {
    case 'silent':
      return tx('s.silent', { at: h('span', momentOf(d.last_seen, null)) });
    case 'silent_day':
      return [tx('s.silent', { at: h('span', momentOf(d.last_seen, null)) }),
        ' ', fits(d)];
    case 'never':
      return c.since ? tx('s.never', { date: h('span', date), url })
        : tx('s.never.nodate', { url });
    case 'new':
      return tx('s.new', { ago: h('span', ago(c.since || d.raw.first_seen)),
        from: fromWords(d) });
    case 'key':
    case 'network':
      return tx('s.' + c.name, { from: fromWords(d) });
    case 'blocked':
      return tx('s.blocked', {
        since: c.since || d.raw.status_since ? t('s.since', {
          date: dateOf(c.since || d.raw.status_since, null) }) : '',
        by: d.raw.status_by ? t('s.by', { name: d.raw.status_by }) : '' });
    case 'clock':
      return tx('s.clock', { zone });
    case 'quiet':
      return c.value ? [t('s.quiet', { n: Number(c.value) })]
        : [t('s.quiet.nocount')];
    case 'failed': {
      const row = failedOne(d, c);

      return row ? tx('s.failed.one', { what: commandText(row),
        result: resultOf(row) }) : [t('s.failed')];
    }
    case 'muted':
      return tx('s.muted', { note: d.raw.note
        ? t('s.note', { note: d.raw.note }) : '' });
    default:
      return [t('s.' + c.name)];
  }
}

function fits(d) {
  const logs = d.raw.logs;

  if (!(d.memory > 0) || !(logs > 0)) return null;
  return t('s.silent_day.fits', {
    n: Math.max(0, Math.round((logs / d.memory - logs) / 100) * 100) });
}

function conditionShort(d, c) {
  const name = c.name === 'silent_day' ? 'silent' : c.name;

  return tx('h.' + name, { ago: h('span', ago(c.since)),
    from: fromWords(d) });
}

// The one command that has failed, if it was read: 52-view-device.js does that.
// More of them are a list.
function failedState(c) {
  return Number(c.value) === 1 ? String(c.since) : null;
}

function failedOne(d, c) {
  return d.failed && d.failed.state === failedState(c) ? d.failed.row : null;
}

function conditionActs(d, c) {
  return (conditionTable[c.name] || []).slice(2)
    .filter((name) => name !== 'repeat' || failedOne(d, c))
    .map((name) => actButton(name, d));
}

function actButton(name, d) {
  const tab = (which) => () => go(path('devices', d.id, { tab: which }));
  const all = {
    connect: [tab('setup')],
    address: [null],
    approve: [() => approvePanel(d), 'devices:write', 'primary'],
    again: [() => approvePanel(d), 'devices:write'],
    block: [() => blockDevice(d), 'devices:write'],
    setup: [tab('setup')],
    zone: [() => zonePanel(d), 'devices:write'],
    clock: [() => setClockOf(d), 'devices:write'],
    check: [tab('check')],
    read: [tab('rejected')],
    fetch: [() => fetchAll(d), may('logs:read') ? 'commands:write'
      : 'logs:read'],
    show: [tab('commands')],
    repeat: [() => repeatCommand(d.failed.row).then(() => emit('commands')),
      'commands:write'],
    open: [() => go(path('devices', d.id))],
    unmute: [() => changeDevice(d, { muted_until: null }), 'devices:write']
  };
  const [act, needs, kind] = all[name] || all.open;

  if (name === 'address') return copyButton(terminalsAt, t('a.address'));
  return button(t('a.' + name), act, { needs, kind,
    label: t('a.' + name) + ' ' + clean(label(d)) });
}

function worst(d) {
  if (d.muted) return { name: 'muted' };
  return d.conditions[0] || { name: 'online', since: null };
}

function stateOf(d) {
  const c = worst(d);
  const [shape, tone] = conditionTable[c.name] || conditionTable.quiet;

  return { icon: shape, tone, name: c.name,
    word: table.has('c.' + c.name) ? t('c.' + c.name) : clean(c.name),
    label: c.name === 'online' ? t('c.online') : conditionLabel(d, c) };
}

function stateMark(d, long) {
  const s = stateOf(d);

  return h('span.state', { 'data-tone': s.tone }, icon(s.icon),
    h('span', long ? s.label : s.word));
}

// the others behind the first one
function otherMarks(d) {
  return d.conditions.slice(1).filter((c) => c.name !== 'silent').map((c) => {
    const row = conditionTable[c.name] || conditionTable.quiet;
    const says = conditionLabel(d, c);

    return h('span.state', { 'data-tone': row[1], title: says },
      icon(row[0]), h('span.hidden', says));
  });
}
