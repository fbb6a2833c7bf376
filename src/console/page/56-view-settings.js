// Settings: whose key it is, what it may do, how the page looks, versions.

words({
  'set.key': 'Key', 'set.name': "Key '{name}'", 'set.noname': 'Key {id}',
  'set.out': 'Sign out', 'set.may': 'May', 'set.mayNot': 'May not',
  'set.sites': 'Sites', 'set.all': 'all', 'set.devices': 'Devices',
  'set.expires': 'Expires', 'set.never': 'never', 'set.mode': 'Mode',
  'set.mode.live': 'live', 'set.mode.test': 'test: simulated devices only',
  'set.rate': 'Rate', 'set.rate.words': '{n} requests in {d}',
  'set.unknown': 'not told by this server',
  'set.display': 'Display', 'set.theme': 'Theme', 'set.theme.system': 'system',
  'set.theme.light': 'light', 'set.theme.dark': 'dark',
  'set.rows': 'Rows', 'set.rows.comfortable': 'comfortable',
  'set.rows.compact': 'compact', 'set.times': 'Times',
  'set.times.device': 'of the device', 'set.times.mine': 'of this browser',
  'set.times.utc': 'UTC', 'set.dates': 'Dates',
  'set.dates.browser': 'as the browser writes them', 'set.dates.iso': 'ISO 8601',
  'set.access': 'Access', 'set.shortcuts': 'One-key shortcuts',
  'set.shortcuts.help': 'Never while you type. The key ? shows them.',
  'set.pages': 'Pages instead of scrolling',
  'set.pages.help': 'Lists have real pages of 100 rows, for printing and finding.',
  'set.announce': 'Announce punches',
  'set.announce.help': 'A screen reader hears a summary in Live, at most every 10 s.',
  'set.lock': 'Lock after', 'set.lock.help': 'The key is forgotten when it was not used for so long.',
  'set.server': 'Server', 'set.module': 'Module', 'set.page': 'This page',
  'set.nginx': 'nginx', 'set.schema': 'Schema',
  'set.schema.old': '{n}, but {of} is needed: run install.sql',
  'set.database': 'Database', 'set.database.ms': 'answers in {n} ms',
  'set.database.yes': 'answers', 'set.database.no': 'does not answer',
  'set.listening': 'Notifications', 'set.listening.yes': 'arrive',
  'set.listening.no': 'do not arrive', 'set.webhooks': 'Webhooks',
  'set.webhooks.words': '{n} active, {failing} failing, {disabled} disabled',
  'set.report': 'Copy report', 'set.reading': 'reading',
  'scope.devices:read': 'read devices', 'scope.devices:write': 'approve and change devices',
  'scope.users:read': 'read people', 'scope.users:write': 'change people',
  'scope.templates:read': 'read templates', 'scope.logs:read': 'read punches',
  'scope.events:read': 'read events', 'scope.commands:read': 'read commands',
  'scope.commands:write': 'send and cancel commands',
  'scope.doors:read': 'read doors', 'scope.doors:control': 'open doors',
  'scope.webhooks:manage': 'manage webhooks'
});

const allScopes = ['devices:read', 'devices:write', 'users:read',
  'users:write', 'templates:read', 'logs:read', 'events:read',
  'commands:read', 'commands:write', 'doors:read', 'doors:control',
  'webhooks:manage'];

function choice(name, values) {
  const f = field({ name, label: t('set.' + name), type: 'select',
    value: String(setting(name)), options: values.map((v) =>
      Array.isArray(v) ? v : [v, t('set.' + name + '.' + v)]),
    help: table.has('set.' + name + '.help') ? t('set.' + name + '.help')
      : null });

  f.input.addEventListener('change', () => change(name,
    typeof setting(name) === 'number' ? Number(f.input.value) : f.input.value));
  return f.el;
}

function tickBox(name) {
  const f = field({ name, label: t('set.' + name), type: 'checkbox',
    value: setting(name), help: t('set.' + name + '.help') });

  f.input.addEventListener('change', () => change(name, f.input.checked));
  return f.el;
}

function factList(rows) {
  return h('dl.facts', rows.filter(Boolean).map(([title, value]) =>
    [h('dt', title), h('dd', value)]));
}

function scopeList(names) {
  return names.length === 0 ? '–' : h('ul', names.map((s) =>
    h('li', table.has('scope.' + s) ? t('scope.' + s) : clean(s), ' ',
      h('span.meta.mono', clean(s)))));
}

function listWords(list) {
  if (absent(list)) return t('set.all');
  return list.flatMap((each, i) => [i ? ', ' : '', data(each)]);
}

function whoFacts(who) {
  const scopes = who.scopes;
  const rate = who.rate || {};

  return factList([
    [t('set.key'), mono('ik_' + (who.mode || 'live') + '_' + (who.id || ''))],
    [t('set.mode'), t('set.mode.' + (who.mode === 'test' ? 'test' : 'live'))],
    [t('set.may'), scopes ? scopeList(allScopes.filter((s) =>
      scopes.includes(s))) : t('set.unknown')],
    [t('set.mayNot'), scopes ? scopeList(allScopes.filter((s) =>
      !scopes.includes(s))) : t('set.unknown')],
    [t('set.sites'), listWords(who.sites)],
    who.devices ? [t('set.devices'), listWords(who.devices)] : null,
    [t('set.expires'), who.expires_at ? dateOf(who.expires_at, null)
      : t('set.never')],
    rate.limit ? [t('set.rate'), t('set.rate.words', { n: rate.limit,
      d: duration(rate.window || 60) })] : null]);
}

function serverFacts(health) {
  const who = session.who || {};
  const server = who.server || {};
  const told = fleet.summary && fleet.summary.server || {};
  const hooks = told.webhooks;

  return factList([
    [t('set.module'), data(server.version || health.version || '–')],
    [t('set.page'), version || '–'],
    server.nginx ? [t('set.nginx'), data(server.nginx)] : null,
    server.schema ? [t('set.schema'), server.schema < server.schema_required
      ? t('set.schema.old', { n: server.schema, of: server.schema_required })
      : number(server.schema)] : null,
    server.postgresql ? ['PostgreSQL', data(server.postgresql)] : null,
    [t('set.database'), health.database === undefined ? t('set.reading')
      : health.database ? told.database_ms === undefined
        ? t('set.database.yes')
        : t('set.database.ms', { n: told.database_ms })
        : t('set.database.no')],
    [t('set.listening'), health.listening === undefined ? t('set.reading')
      : t(health.listening ? 'set.listening.yes' : 'set.listening.no')],
    hooks ? [t('set.webhooks'), t('set.webhooks.words', { n: hooks.active,
      failing: hooks.failing, disabled: hooks.disabled })] : null]);
}

// versions, conditions, the last request: no names, no addresses
function reportText(health) {
  const c = counts();

  return JSON.stringify({
    time: new Date(now()).toISOString(), page: version,
    server: session.who && session.who.server, health,
    browser: navigator.userAgent, link: link.state, stream: stream.state,
    devices: { total: c.total, active: c.active, online: c.online,
      needs: c.needs, conditions: Object.fromEntries(c.by) },
    requests: lastRequests
  }, null, 1);
}

function settingsView(ctx) {
  const who = session.who;
  const top = head(ctx, { title: who.name
    ? tx('set.name', { name: who.name }) : tx('set.noname', { id: who.id }),
  side: button(t('set.out'), () => signOut(null)) });
  const server = h('div');
  let health = {};

  const drawServer = () => redo(server, JSON.stringify([health,
    fleet.summary && fleet.summary.server]), () => serverFacts(health));

  top.updated(0);
  ctx.title(t('nav.settings'));
  ctx.el.append(h('div.columns',
    h('section', h('h2', t('set.key')), whoFacts(who)),
    h('section', h('h2', t('set.display')),
      choice('theme', ['system', 'light', 'dark']),
      choice('rows', ['comfortable', 'compact']),
      choice('times', ['device', 'mine', 'utc']),
      choice('dates', ['browser', 'iso'])),
    h('section', h('h2', t('set.access')), tickBox('shortcuts'),
      tickBox('pages'), tickBox('announce'),
      choice('lock', [5, 15, 30, 60, 120, 480].map((n) => [String(n),
        duration(n * 60)]))),
    h('section', h('h2', t('set.server')), server,
      h('div.acts', copyButton(() => reportText(health), t('set.report'))))));

  async function look() {
    try {
      health = (await api('GET', '/health', { background: true })).body;
    } catch (e) {
      if (e.status === 503) health = { database: false };
    }
    drawServer();
  }

  ctx.on('fleet', drawServer);
  drawServer();
  look();
}

view({ name: 'settings', title: 'nav.settings', open: settingsView });
