// One device: its state, what to do, and what it has sent.

words({
  'dev.title': 'Device', 'dev.back': 'Fleet',
  'dev.gone': 'No device {id} for this key. It may belong to another site.',
  'dev.more': 'More',
  'dev.there': '{at} there ({zone})',
  'dev.people': { one: '{n} person', other: '{n} people' },
  'dev.memory': 'Memory {p}', 'dev.firmware': 'Firmware',
  'dev.tabs': 'About this device', 'dev.called': ', called {ago}',
  'tab.punches': 'Punches', 'tab.people': 'People', 'tab.commands': 'Commands',
  'tab.errors': 'Reported errors', 'tab.rejected': 'Not stored',
  'tab.check': 'Check', 'tab.setup': 'Setup',
  'dev.from': 'From', 'dev.to': 'To',
  'dev.punches.none': 'No punches in these days.',
  'dev.people.none': 'It has told of no people.',
  'dev.commands.none': 'No commands yet.',
  'dev.errors.none': 'It has reported no error.',
  'dev.rejected.none': 'Every line was stored.',
  'dev.check.none': 'Not checked yet.',
  'dev.check.text': 'The terminal is asked how many punches it holds, and that is compared with what is stored here.',
  'dev.check.now': 'Check now', 'dev.check.fetch': 'Fetch what is missing',
  'dev.check.on': 'Checked', 'dev.check.range': 'Days',
  'dev.check.device': 'On it', 'dev.check.stored': 'Stored',
  'dev.check.state': 'Result', 'dev.check.agreed': 'Agrees',
  'dev.check.surplus': 'It has deleted some; they are safe here',
  'dev.check.missing': { one: '{n} is missing', other: '{n} are missing' },
  'dev.check.resent': 'Sent again',
  'dev.check.asking': 'Asked', 'dev.check.filling': 'Sends them again',
  'dev.check.failed': 'No answer, or it cannot tell',
  'dev.u.card': 'Card', 'dev.u.role': 'Role', 'dev.u.templates': 'Templates',
  'dev.u.admin': 'Administrator',
  'dev.c.asked': 'Asked', 'dev.c.what': 'What', 'dev.c.state': 'State',
  'dev.c.by': 'By',
  'dev.e.at': 'At', 'dev.e.what': 'What', 'dev.r.reason': 'Reason',
  'dev.r.line': 'Line', 'dev.r.table': 'Table',
  'dev.setup.save': 'Save', 'dev.setup.how': 'How to connect',
  'dev.setup.steps': 'In the terminal open Comm. > Cloud Server Setting. Enter the address and the port of {url}, switch "Enable Proxy" off, and save. It calls within a minute.',
  'dev.setup.facts': 'What it is',
  'dev.setup.seen': 'Last call', 'dev.setup.address': 'Address',
  'dev.setup.push': 'Push version', 'dev.setup.logs': 'Punches on it',
  'dev.setup.key': 'Communication key',
  'dev.setup.key.help': 'Left empty, the key stays as it is.'
});

const deviceTabs = ['punches', 'people', 'commands', 'errors', 'rejected',
  'check', 'setup'];

const tabScope = { punches: 'logs:read', people: 'users:read',
  commands: 'commands:read', rejected: 'logs:read', check: 'logs:read' };

function deviceView(ctx) {
  const sn = ctx.id;
  const title = heading(mono(sn));
  const state = h('span.state-line');
  const acts = h('div.acts');
  const facts = h('p.facts-line');
  const todo = h('ul.needs.todo');
  const tabs = h('div.tabs', { role: 'tablist', 'aria-label': t('dev.tabs') });
  const body = h('div.tab-body', { role: 'tabpanel', id: 'tab-body',
    tabindex: 0 });
  let tab = null;
  let reader = null;
  let gone = false;
  let drawn = '';
  let failedAsked = null;

  ctx.el.append(h('div.dev-head',
    h('div.verdict', setProps(anchor(path('fleet'), icon('back'),
      t('dev.back')), {}), title,
    h('span.serial', mono(sn), copyButton(sn)), state), acts),
  facts, todo, tabs, body);
  ctx.el.querySelector('a').className = 'back';

  function device() {
    return fleet.map.get(sn);
  }

  function drawState() {
    const d = device();

    if (!d || gone) return;

    ctx.title(stateOf(d).label + ', ' + clean(label(d)));
    redo(title, label(d), () => data(label(d)));
    redo(state, JSON.stringify([worst(d).name, stateOf(d).label, d.status,
      ago(d.last_seen)]), () => [stateMark(d, true), d.status === 'online'
        ? t('dev.called', { ago: ago(d.last_seen) }) : null]);

    redo(facts, JSON.stringify([d.site, d.address, d.raw.firmware, d.timezone,
      d.raw.users, d.memory, timeOf(now(), d.timezone || 'UTC').slice(0, 5)]),
    () => [data(d.site), mono(d.address || ''),
      d.raw.firmware ? data(d.raw.firmware) : null,
      t('dev.there', { at: timeOf(now(), d.timezone || 'UTC').slice(0, 5),
        zone: zoneWords(d.timezone) }),
      absent(d.raw.users) ? null : t('dev.people', { n: d.raw.users }),
      d.memory === null ? null : t('dev.memory', { p: percent(d.memory) })]
      .filter((each) => each && each.textContent !== '')
      .map((each) => h('span', each)));

    const list = d.muted ? [{ name: 'muted' }] : d.conditions;
    const told = JSON.stringify(list.map((c) => [c.name, conditionLabel(d, c),
      h('p', conditionWords(d, c)).textContent]));

    if (drawn !== told && !todo.contains(document.activeElement)) {
      drawn = told;
      fill(todo, list.map((c) => {
        const row = conditionTable[c.name] || conditionTable.quiet;

        return h('li', h('span.state', { 'data-tone': row[1] }, icon(row[0])),
          h('strong.label', { 'data-tone': row[1] }, conditionLabel(d, c)),
          h('span.advice', conditionWords(d, c)),
          h('span.acts', conditionActs(d, c)));
      }));
      todo.hidden = list.length === 0;
    }

    const amounts = JSON.stringify([d.raw.users, d.waiting, drawn]);

    if (tab !== null && amounts !== tabs.seenState
        && !tabs.contains(document.activeElement)) {
      tabs.seenState = amounts;
      drawTabs();
    }

    // their labels have its name
    steady(acts, JSON.stringify([d.status, d.muted, label(d)]), () => [
      d.status === 'pending' ? actButton('approve', d)
        : d.status === 'blocked' ? actButton('again', d)
          : button(t('a.clock'), () => setClockOf(device()),
            { needs: 'devices:write' }),
      menu(t('dev.more'), moreActs(d))]);
  }

  function moreActs(d) {
    const served = d.status === 'online' || d.status === 'offline';

    return [
      served && { words: t('act.restart') + '…', needs: 'devices:write',
        act: () => restart(device()) },
      served && { words: t('act.again') + '…', needs: 'devices:write',
        act: () => sendAgain(device()) },
      served && { words: t('dev.check.now'), needs: 'commands:write',
        act: () => verify(device()) },
      served && { words: t('a.zone'), needs: 'devices:write',
        act: () => zonePanel(device()) },
      d.muted ? { words: t('a.unmute'), needs: 'devices:write',
        act: () => changeDevice(device(), { muted_until: null },
          tx('act.unmuted', { name: named(d) })) }
        : served && { words: t('act.mute') + '…', needs: 'devices:write',
          act: () => mutePanel(device()) },
      d.status !== 'blocked' && { words: t('a.block') + '…', danger: true,
        needs: 'devices:write', act: () => blockDevice(device()) },
      { words: t('act.remove') + '…', danger: true, needs: 'devices:write',
        act: () => removeDevice(device()) }
    ].filter(Boolean);
  }

  function drawTabs() {
    fill(tabs, deviceTabs.map((name) => {
      const d = device();
      const n = !d ? 0 : { people: d.raw.users, commands: d.waiting,
        rejected: (d.conditions.find((c) => c.name === 'lines') || {}).value
      }[name];
      const b = button([t('tab.' + name), n ? h('span.n', number(Number(n)))
        : null], () => query({ tab: name }, true), {});

      setProps(b, { role: 'tab', id: 'tab-' + name,
        'aria-selected': String(name === tab), 'aria-controls': 'tab-body',
        tabindex: name === tab ? 0 : -1 });
      return b;
    }));
    body.setAttribute('aria-labelledby', 'tab-' + tab);
  }

  tabs.addEventListener('keydown', (event) => {
    const i = deviceTabs.indexOf(tab);
    const n = deviceTabs.length;
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1 + n, Home: 0,
      End: n - 1 }[event.key];

    if (to === undefined) return;
    event.preventDefault();
    query({ tab: deviceTabs[to % n] });
    tabs.children[to % n].focus();
  });

  function openTab() {
    const next = ctx.query.get('tab') || 'punches';
    const wanted = deviceTabs.includes(next) ? next : 'punches';

    if (wanted === tab) {
      if (reader && reader.asked !== undefined) reader.again();
      return;
    }
    tab = wanted;
    drawTabs();
    fill(body);
    if (tabScope[tab] && !may(tabScope[tab])) {
      reader = null;
      body.append(empty(t('view.lacks', { scope: tabScope[tab] }), ' ',
        askFor(tabScope[tab])));
      return;
    }

    // an answer to the tab before does not come into this one
    const el = h('div');

    body.append(el);
    reader = tabMakers[tab](ctx, el, sn, device);
    if (reader) reader.load();
  }

  async function readDevice() {
    const had = device();

    try {
      const answer = await api('GET', at`/devices/${sn}`,
        { background: Boolean(had) });

      putDevice(answer.body);
      gone = false;
      drawState();
    } catch (e) {
      onlyProblem(e);
      if (e.status === 404 && e.code !== 'no_route') {
        gone = true;
        fill(ctx.el, heading(tx('dev.gone', { id: mono(sn) })),
          h('p', anchor(path('fleet'), t('dev.back'))));
      } else if (!had && e.code !== 'left') {
        fill(body, empty(problemWords(e)));
      }
    }
  }

  // the one that has failed is told of in its words, once for each
  async function readFailed() {
    const d = device();
    const c = d && d.conditions.find((each) => each.name === 'failed');
    const state = c ? failedState(c) : null;

    if (state === failedAsked || !may('commands:read')) return;
    failedAsked = state;
    if (state === null) return;

    try {
      const rows = (await api('GET', '/commands', { query: { device_id: sn,
        status: 'failed', finished_since: c.since, limit: 2 },
      signal: ctx.signal, background: true })).body.data;

      // others may have been done meanwhile, and are not counted
      if (rows.length !== 1 || !resultOf(rows[0])) return;
      d.failed = { state, row: rows[0] };
      drawState();
    } catch (e) {
      // what it counts is said without it
      onlyProblem(e);
    }
  }

  const soon = () => frames(drawState);

  ctx.on('fleet', soon);
  ctx.on('fleet', readFailed);
  ctx.on('tick', soon);
  ctx.on('recovered', () => {
    failedAsked = null;
    readDevice();
    if (reader) reader.load();
  });
  ctx.every(30000, () => {
    readDevice();
    if (reader && tab !== 'setup') reader.load();
  });

  const read = ctx.spaced(3000, () => {
    if (reader && !gone) reader.load();
  });
  const mine = { punches: /^attendance\.punch$/, commands: /^command\./,
    people: /^(user|template)\./ };

  ctx.on('event', (event) => {
    if (!event.device || event.device.id !== sn) return;
    if (event.type === 'device.removed') readDevice();
    if (mine[tab] && mine[tab].test(event.type)) read();
  });
  ctx.on('commands', () => {
    if (reader && tab === 'commands') reader.load();
  });

  ctx.openTab = openTab;
  drawState();
  readFailed();
  openTab();
  readDevice();
}

function neighbour(step) {
  const ids = fleet.list.slice().sort((a, b) => compare(label(a), label(b)))
    .map((d) => d.id);
  const i = ids.indexOf(route.id);

  if (i >= 0 && ids[i + step]) {
    go(path('devices', ids[i + step], Object.fromEntries(route.query)));
  }
}

view({
  name: 'devices', title: 'dev.title', under: 'fleet', scope: 'devices:read',
  open(ctx) {
    if (ctx.id === null) {
      go(path('fleet'));
      return;
    }
    deviceView(ctx);
  },
  update(ctx) {
    if (ctx.openTab) ctx.openTab();
  },
  keys: { '[': () => neighbour(-1), ']': () => neighbour(1) }
});
