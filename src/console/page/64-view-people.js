// People: who is on which terminal, and what is missing.
//
//   #/people?q=asha&site=Pune&state=waiting      #/people/PIN: with a panel

words({
  'people.list': 'People',
  'people.verdict': { one: '{n} person', other: '{n} people' },
  'people.some': { one: '{n} person read', other: '{n} people read' },
  'people.elsewhere': { one: '{n} is not on all devices yet', other: '{n} are not on all devices yet' },
  'people.everywhere': 'all are where they should be',
  'people.search': 'Name, PIN or card', 'people.site': 'Site',
  'people.state': 'State', 'people.any': 'any', 'people.all': 'all',
  'people.waiting': 'waiting', 'people.failed': 'failed',
  'people.synced': 'on all devices', 'people.add': 'Add person…',
  'people.name': 'Name', 'people.pin': 'PIN', 'people.department': 'Department',
  'people.on': 'On devices', 'people.of': '{n} of {all}',
  'people.finger': 'Finger', 'people.face': 'Face', 'people.palm': 'Palm',
  'people.card': 'Card', 'people.yes': 'yes',
  'people.onAll': 'On all devices', 'people.onNone': 'On no device',
  'people.nWaiting': '{n} waiting',
  'people.nFailed': '{n} failed',
  'people.none': 'No people yet. They appear here when a terminal uploads them, or when you add one.',
  'people.noMatch': 'No person matches “{q}”.', 'people.noState': 'No person in that state.',
  'people.reading': 'Reading more'
});

// what there is of a person, over all devices
function personTotals(p) {
  const kinds = new Map();
  const total = { all: p.devices.length, synced: 0, pending: 0, failed: 0,
    card: false, kinds };

  for (const d of p.devices) {
    total[d.status] = (total[d.status] || 0) + 1;
    if (d.card) total.card = true;
    for (const each of d.templates || []) {
      if (!kinds.has(each.type)) kinds.set(each.type, new Set());
      kinds.get(each.type).add(each.index);
    }
  }
  return total;
}

function personState(p) {
  const n = p.totals;

  if (n.failed) {
    return { tone: 'bad', icon: 'warn', words: t('people.nFailed',
      { n: n.failed }) };
  }
  if (n.pending) {
    return { tone: 'warn', icon: 'arrow', words: t('people.nWaiting',
      { n: n.pending }) };
  }
  return n.all ? { tone: 'ok', icon: 'check', words: t('people.onAll') }
    : { tone: 'off', icon: 'silent', words: t('people.onNone') };
}

function personStateName(p) {
  return p.totals.failed ? 'failed' : p.totals.pending ? 'waiting' : 'synced';
}

function kindColumn(kind, title) {
  const size = (p) => {
    const set = p.totals.kinds.get(kind);

    return set ? set.size : null;
  };

  return { id: kind, title, width: '4.5rem', num: true, mid: false, by: size,
    fill(cell, p) {
      text(cell, number(size(p)));
    } };
}

function peopleColumns() {
  return [
    { id: 'name', title: t('people.name'), width: 'minmax(0, 2fr)', area: 'a',
      by: (p) => p.name || p.user_id,
      fill(cell, p) {
        redo(cell, p.user_id + '\n' + p.name, () => data(p.name || p.user_id));
      } },
    { id: 'pin', title: t('people.pin'), width: '8rem', area: 'c',
      by: (p) => p.user_id,
      fill(cell, p) {
        redo(cell, p.user_id + '\n' + p.department, () => [mono(p.user_id),
          p.department && h('span.if-narrow', ', ', data(p.department))]);
      } },
    { id: 'department', title: t('people.department'),
      width: 'minmax(0, 1fr)', by: (p) => p.department || null,
      fill(cell, p) {
        redo(cell, p.department || '', () => p.department
          ? data(p.department) : '–');
      } },
    { id: 'on', title: t('people.on'), width: '6.5rem', num: true, area: 'b',
      by: (p) => p.totals.synced - p.totals.all,
      fill(cell, p) {
        text(cell, t('people.of', { n: p.totals.synced, all: p.totals.all }));
      } },
    kindColumn('fingerprint', t('people.finger')),
    kindColumn('face', t('people.face')),
    kindColumn('palm', t('people.palm')),
    { id: 'card', title: t('people.card'), width: '4rem', num: true,
      mid: false,
      by: (p) => p.totals.card ? 1 : 0,
      fill(cell, p) {
        text(cell, p.totals.card ? t('people.yes') : '–');
      } },
    { id: 'state', title: t('people.state'), width: 'minmax(0, 1fr)',
      area: 'd', by: (p) => p.totals.failed * 1000 + p.totals.pending,
      fill(cell, p) {
        const state = personState(p);

        redo(cell, state.tone + state.words, () => markOf(state));
      } }
  ];
}

view({
  name: 'people', title: 'nav.people', nav: 3, scope: 'users:read', ids: true,

  open(ctx) {
    let people = new Map();
    let cursor = null;
    let reading = false;
    let asked = '';
    let answered = '';
    let timer = null;
    let version = 0;

    const g = grid({ label: t('people.list'), columns: peopleColumns(),
      key: (p) => p.user_id, empty: () => none(),
      open: (p) => go(path('people', p.user_id,
        Object.fromEntries(ctx.query))) });
    const wait = h('div');
    const more = h('p.meta', { hidden: true }, t('people.reading'));
    const search = h('input', { type: 'search', id: 'people-search',
      'data-search': '', placeholder: t('people.search'),
      'aria-label': t('people.search'), autocomplete: 'off',
      spellcheck: 'false', value: ctx.query.get('q') || '',
      on: { input: () => query({ q: search.value.trim() || null }) } });
    const filters = h('span.inline-tools');
    const top = head(ctx, { title: t('nav.people'),
      side: button(t('people.add'), () => addPerson(search.value),
        { kind: 'primary', needs: 'users:write' }) });

    add(ctx.el, h('div.tools', search, filters), wait, g.el, more);

    function none() {
      const q = ctx.query.get('q');

      if (q || ctx.query.get('site') || ctx.query.get('state')) {
        return noMatch(q ? tx('people.noMatch', { q }) : t('people.noState'),
          ['q', 'site', 'state']);
      }
      return empty(t('people.none'));
    }

    function fits(p) {
      const state = ctx.query.get('state');

      return !state || personStateName(p) === state;
    }

    function draw() {
      const all = Array.from(people.values());
      const away = all.filter((p) => personStateName(p) !== 'synced').length;

      g.rows(all.filter(fits));
      more.hidden = !reading || !people.size;
      top.verdict(t(cursor ? 'people.some' : 'people.verdict',
        { n: all.length }), '. ', away
        ? t('people.elsewhere', { n: away })
        : all.length ? t('people.everywhere') : '', away || all.length
        ? '.' : '');
      top.state(away ? 'warn' : all.length ? 'ok' : 'unknown');
    }

    function asks() {
      return { q: ctx.query.get('q') || null,
        site: ctx.query.get('site') || null };
    }

    async function read(onward) {
      const mine = onward ? version : ++version;
      const question = asks();
      const key = JSON.stringify(question);
      const next = new Map(onward ? people : []);
      // who reads further down is not led back to the top
      const far = key === answered ? people.size : 0;
      let from = onward ? cursor : null;

      if (onward && reading) return;
      reading = true;
      try {
        do {
          const answer = await api('GET', '/users', {
            query: Object.assign({ cursor: from,
              limit: far - next.size > 200 ? 1000 : 200 }, question),
            signal: ctx.signal, background: people.size > 0 });

          if (mine !== version) return;
          for (const p of answer.body.data) {
            p.totals = personTotals(p);
            next.set(p.user_id, p);
          }
          from = answer.body.has_more ? answer.body.next_cursor : null;
        } while (from && next.size < far);
        fill(wait);
        people = next;
        cursor = from;
        answered = key;
        reading = false;
        top.updated(Date.now());
        draw();
        frames(near);
      } finally {
        if (mine === version) reading = false;
      }
    }

    // a screen before the end, the next page
    function near() {
      const left = document.documentElement.scrollHeight - window.scrollY
        - window.innerHeight;

      if (cursor && !reading && left < 2 * window.innerHeight) {
        read(true).catch(onlyProblem);
      }
    }

    function drawFilters() {
      const site = ctx.query.get('site') || '';
      const state = ctx.query.get('state') || '';
      const known = sitesOf(site);

      steady(filters, JSON.stringify([site, state, known]), () => [
        chooser(t('people.site'), site, [['', t('people.all')]].concat(
          known.map((s) => [s, s])), (v) => query({ site: v || null }, true)),
        chooser(t('people.state'), state, [['', t('people.any')]].concat(
          ['synced', 'waiting', 'failed'].map((s) => [s, t('people.' + s)])),
        (v) => query({ state: v || null }, true))]);
    }

    function again() {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (session.key !== null && !document.hidden) {
          read(false).catch(onlyProblem);
        }
      }, 250);
    }

    ctx.update = () => {
      const next = JSON.stringify(asks());

      drawFilters();
      if (document.activeElement !== search) {
        search.value = ctx.query.get('q') || '';
      }
      if (next === asked) draw();
      else again();
      asked = next;
      showPerson(ctx);
    };
    asked = JSON.stringify(asks());
    ctx.stop = () => {
      clearTimeout(timer);
      window.removeEventListener('scroll', near);
    };
    window.addEventListener('scroll', near, { passive: true });

    const soon = ctx.spaced(5000, again);

    ctx.on('events', (events) => {
      // a list of many pages is read once a minute
      if (people.size <= 1000 && events.some((e) =>
        /^(?:user|template|command)\./.test(e.type))) soon();
    });
    ctx.on('people', again);
    ctx.on('recovered', again);
    ctx.on('reset', again);
    ctx.on('fleet', drawFilters);
    ctx.every(60000, again);

    drawFilters();
    loading(wait, read(false), 8, () => read(false).catch(onlyProblem))
      .catch(onlyProblem);
    showPerson(ctx);
  },

  update(ctx) {
    if (ctx.update) ctx.update();
  },

  close(ctx) {
    if (ctx.stop) ctx.stop();
  }
});
