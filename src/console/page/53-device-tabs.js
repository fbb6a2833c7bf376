// What the tabs of a device show: tabMakers[tab](ctx, body, sn, device) makes
// one -> { load() }, which reads it anew.

const tabMakers = {

  punches(ctx, body, sn, device) {
    const from = h('input', { type: 'date', id: 'from',
      value: ctx.query.get('from') || '' });
    const to = h('input', { type: 'date', id: 'to',
      value: ctx.query.get('to') || '' });
    const list = h('div');
    const asked = () => ({ device_id: sn, order: 'desc',
      start_date: from.value || null, end_date: to.value || null });
    const paged = pagedTable(list, {
      path: '/logs', query: asked, signal: ctx.signal,
      none: t('dev.punches.none'),
      table: simpleTable({ label: t('tab.punches'), columns: punchColumns({}),
        group: punchDay, groupWords: dayWords,
        mark: (p) => p.late ? 'late' : null })
    });

    for (const input of [from, to]) {
      input.addEventListener('change', () => {
        query({ from: from.value || null, to: to.value || null });
        paged.load();
      });
    }
    body.append(h('div.tools',
      h('label.inline', { for: 'from' }, t('dev.from'), from),
      h('label.inline', { for: 'to' }, t('dev.to'), to),
      h('div.side', button(t('csv.save'), () => saveCsv(asked(),
        'punches-' + sn), { needs: 'logs:read' }))), list);
    return paged;
  },

  people(ctx, body, sn) {
    return pagedTable(body, {
      path: at`/devices/${sn}/users`, query: () => ({}), signal: ctx.signal,
      limit: 200, none: t('dev.people.none'),
      table: simpleTable({ label: t('tab.people'), columns: [
        { title: t('p.pin'), cell: (u) =>
          anchor(path('people', u.user_id), mono(u.user_id)) },
        { title: t('p.name'), cell: (u) => data(u.name || '–') },
        { title: t('dev.u.card'), cell: (u) => mono(u.card || '–') },
        { title: t('dev.u.role'), wide: true, cell: (u) =>
          u.privilege ? t('dev.u.admin') : '–' },
        { title: t('dev.u.templates'), cell: (u) =>
          templateWords(u.templates).join(', ') || '–' }] })
    });
  },

  commands(ctx, body, sn) {
    return pagedTable(body, {
      path: '/commands', query: () => ({ device_id: sn }), signal: ctx.signal,
      none: t('dev.commands.none'),
      table: simpleTable({ label: t('tab.commands'), columns: [
        { title: t('dev.c.asked'), cell: (c) =>
          h('span.mono', momentOf(c.created_at, null)) },
        { title: t('dev.c.what'), cell: commandWhat },
        { title: t('dev.c.state'), cell: (c) => h('span.label', {
          'data-tone': c.status === 'failed' ? 'warn' : '' }, commandState(c)) },
        { title: t('dev.c.by'), wide: true, cell: (c) =>
          data(c.created_by || '–') },
        { title: '', cell: commandActs }] })
    });
  },

  errors(ctx, body, sn) {
    return pagedTable(body, {
      path: at`/devices/${sn}/errors`, query: () => ({}), signal: ctx.signal,
      none: t('dev.errors.none'),
      table: simpleTable({ label: t('tab.errors'), columns: [
        { title: t('dev.e.at'), cell: (e) => h('span.mono', momentOf(
          e.at || e.reported_at || e.received_at || e.local_time, null)) },
        { title: t('dev.e.what'), cell: (e) => data(e.words || e.message
          || e.error || e.detail || String(e.code)) }] })
    });
  },

  rejected(ctx, body, sn) {
    return pagedTable(body, {
      path: '/rejected', query: () => ({ device_id: sn }), signal: ctx.signal,
      none: t('dev.rejected.none'),
      table: simpleTable({ label: t('tab.rejected'), columns: [
        { title: t('dev.e.at'), cell: (r) =>
          h('span.mono', momentOf(r.received_at, null)) },
        { title: t('dev.r.table'), cell: (r) => mono(r.table || '–') },
        { title: t('dev.r.line'), cell: (r) => bytesOf(r.line) },
        { title: t('dev.r.reason'), cell: (r) =>
          data(r.words || r.reason_words || r.reason) }] })
    });
  },

  check(ctx, body, sn, device) {
    const list = h('div');
    const d = () => device() || { id: sn, raw: {} };

    body.append(h('div.tools', h('p.help', t('dev.check.text')),
      h('div.side', button(t('dev.check.now'), () => verify(d()),
        { needs: 'commands:write' }),
      button(t('dev.check.fetch'), () => fetchAll(d()),
        { needs: 'commands:write' }))), list);

    return pagedTable(list, {
      path: '/reconciliation', query: () => ({ device_id: sn }),
      signal: ctx.signal, none: t('dev.check.none'),
      table: simpleTable({ label: t('tab.check'), columns: [
        { title: t('dev.check.on'), cell: (r) => h('span.mono',
          momentOf(r.finished_at || r.created_at || r.checked_at, null)) },
        { title: t('dev.check.range'),
          cell: (r) => rangeWords(r.starts, r.ends) },
        { title: t('dev.check.device'), num: true,
          cell: (r) => number(r.device_count) },
        { title: t('dev.check.stored'), num: true,
          cell: (r) => number(r.stored_count) },
        { title: t('dev.check.state'), cell: checkState }] })
    });
  },

  setup(ctx, body, sn, device) {
    const d = device();

    // the short form of a list has less than what is changed here
    if (!d || d.raw.location === undefined) {
      const off = on('fleet', () => {
        off();
        if (body.isConnected && ctx.query.get('tab') === 'setup') {
          fill(body);
          tabMakers.setup(ctx, body, sn, device);
        }
      });

      fill(body, greyBars(4));
      return null;
    }

    const zone = zoneField(d.timezone || '');
    const shape = form({
      fields: [field({ name: 'name', label: t('act.name'), value: d.name,
        maxlength: 200 }),
      siteField(d), field({ name: 'location', label: t('act.location'),
        value: d.raw.location || '', maxlength: 200 }), zone,
      field({ name: 'comm_key', label: t('dev.setup.key'), type: 'password',
        help: t('dev.setup.key.help'), autocomplete: 'new-password' })],
      act: t('dev.setup.save'), needs: 'devices:write',
      async send(v) {
        const was = known();
        const members = {};

        for (const name of Object.keys(was)) {
          if (v[name] !== shown[name] && v[name] !== was[name]) {
            members[name] = v[name] || null;
          }
        }
        if (members.timezone) {
          if (!zoneFits(zone)) return;
          if (!await askZone(device(), v.timezone)) return;
        }
        if (v.comm_key) members.comm_key = v.comm_key;
        if (Object.keys(members).length
            && await changeDevice(device(), members)) {
          Object.assign(shown, v);
          shape.fields.get('comm_key').input.value = '';
        }
      }
    });
    const shown = shape.values();

    function known() {
      const is = device();

      return { name: is.name, site: is.site || '',
        location: is.raw.location || '', timezone: is.timezone || '' };
    }

    // what others change is theirs, but for what is being changed here
    const off = on('fleet', () => {
      if (!shape.el.isConnected) {
        off();
        return;
      }
      if (!device()) return;
      for (const [name, value] of Object.entries(known())) {
        const f = shape.fields.get(name);

        if (f.value() === shown[name]) f.input.value = value;
        if (f.input.value === value) shown[name] = f.value();
      }
    });

    body.append(h('div.columns', h('div', shape.el),
      h('div', h('h2', t('dev.setup.how')),
        h('p', tx('dev.setup.steps', { url: mono(terminalsAt) }), ' ',
          copyButton(terminalsAt)),
        h('h2', t('dev.setup.facts')),
        h('dl.facts', [['dev.setup.seen', momentOf(d.last_seen, null)],
          ['dev.setup.address', mono(d.address || '–')],
          ['dev.firmware', data(d.raw.firmware || '–')],
          ['dev.setup.push', data(d.raw.push_version || '–')],
          ['dev.setup.logs', number(d.raw.logs)]].map(([key, value]) =>
          [h('dt', t(key)), h('dd', value)])))));
    return { load() {} };
  }
};

function checkState(r) {
  const missing = absent(r.missing)
    ? (r.device_count || 0) - (r.stored_count || 0) : r.missing;

  if (r.status === 'differs' && missing > 0) {
    return h('span.label', { 'data-tone': 'bad' },
      t('dev.check.missing', { n: missing }));
  }
  return table.has('dev.check.' + r.status) ? t('dev.check.' + r.status)
    : clean(r.status || '–');
}
