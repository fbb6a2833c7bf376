// Devices by name, for views that have serial numbers only.
//
//   deviceName(sn)        its name, else the serial number
//   deviceSilent(sn)      known, and not online
//   knownDevice(sn)       { id, name, site }, also of one that is not known
//   activeDevices()       those that can get something, by name
//   sitesOf(also)       all sites, sorted
//   deviceChoices(among)  [[sn, name], ...] for a select; of many devices only
//                         those that are named
//   steady(el, state, build)   redo() that keeps the focus
//   needyDevices()        what needs somebody: { id, d, c }, worst first
//   chooser(label, value, options, act)   a select with its label
//   chip(name, n, chosen, act)   a filter, with how many there are, or null
//   noMatch(words, names)        an empty list, and what clears its filters
//   markOf({ tone, icon, words })        a mark: shape, word, colour

words({ 'filters.clear': 'Clear filters' });

function deviceName(sn) {
  const d = fleet.map.get(sn);

  return d ? label(d) : sn || '–';
}

function deviceSilent(sn) {
  const d = fleet.map.get(sn);

  return Boolean(d) && d.status !== 'online';
}

function knownDevice(sn) {
  const d = fleet.map.get(sn);

  return { id: sn, name: deviceName(sn), site: d ? d.site : '' };
}

function activeDevices() {
  return fleet.list.filter((d) => d.status === 'online'
    || d.status === 'offline').map((d) => knownDevice(d.id))
    .sort((a, b) => compare(a.name, b.name));
}

function sitesOf(also) {
  const all = new Set(fleet.list.map((d) => d.site));

  if (also) all.add(also);
  all.delete('');
  return Array.from(all).sort(compare);
}

function deviceChoices(among) {
  const all = fleet.list.length > 200
    ? Array.from(new Set(among), (sn) => [sn, deviceName(sn)])
    : fleet.list.map((d) => [d.id, label(d)]);

  for (const sn of among) {
    if (!all.some(([id]) => id === sn)) all.push([sn, deviceName(sn)]);
  }
  return all.sort((a, b) => compare(a[1], b[1]));
}

// as redo(); who had the focus in it has it again, at the same place
function steady(el, state, build) {
  const places = () => Array.from(el.querySelectorAll(
    'a, button, input, select'));
  const at = places().indexOf(document.activeElement);

  redo(el, state, build);
  if (at >= 0 && !el.contains(document.activeElement)) {
    const now = places();

    if (now.length) now[Math.min(at, now.length - 1)].focus();
  }
}

// those of the lists beside it are told there, with what they are about, if the
// key may read them
const toldElsewhere = new Map([['lines', 'logs:read'],
  ['missing', 'logs:read'], ['failed', 'commands:read']]);

function needyDevices() {
  const all = [];

  for (const d of fleet.list) {
    const c = d.muted ? null : d.conditions.find((each) =>
      needsYou(d, each) && !(toldElsewhere.has(each.name)
        && may(toldElsewhere.get(each.name))));

    if (c) all.push({ id: d.id, d, c });
  }
  return all.sort((a, b) => conditionOrder.indexOf(a.c.name)
    - conditionOrder.indexOf(b.c.name) || compare(label(a.d), label(b.d)));
}

function chooser(name, value, options, act) {
  const list = h('select', { on: { change: () => act(list.value) } },
    options.map(([v, words]) => h('option', { value: v }, clean(words))));

  list.value = options.some(([v]) => v === value) ? value : '';
  return h('label.inline', h('span', name), list);
}

function chip(name, n, chosen, act) {
  return setProps(button([name, n === null ? null : h('span.n', number(n))],
    act, { kind: 'chip' }), { 'aria-pressed': String(chosen) });
}

function noMatch(words, names) {
  return empty(words, ' ', button(t('filters.clear'), () =>
    query(Object.fromEntries(names.map((name) => [name, null])), true),
  { kind: 'quiet' }));
}

function markOf(state) {
  return h('span.state', { 'data-tone': state.tone }, icon(state.icon),
    h('span', state.words));
}
