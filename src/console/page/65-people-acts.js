// A person on terminals: the panel, and what can be done.
//
//   showPerson(ctx)       the panel of ctx.id, or none
//   addPerson(name)       a panel that puts somebody on terminals
//   picker({ devices, label, all })  -> { el, chosen() } terminals to choose

words({
  'person.loading': 'Person', 'person.where': 'On terminals',
  'person.nowhere': 'On no terminal.',
  'person.synced': 'Has it', 'person.pending': 'Waits for its next call',
  'person.failed': 'Failed', 'person.failedBy': 'Failed: {why}',
  'person.skipped': '{what} was left out: {reason}',
  'person.kinds': '{n} {kind}',
  'kind.fingerprint': 'finger', 'kind.face': 'face', 'kind.palm': 'palm',
  'kind.vein': 'vein', 'kind.other': 'other', 'kind.card': 'card',
  'kind.version': '{what}, version {version}',
  'person.again': 'Send again', 'person.copy': 'Copy to…',
  'person.enrol': 'Enrol at a device…', 'person.remove': 'Remove from…',
  'person.edit': 'Change…', 'person.back': 'Back to {who}',
  'person.sending': { one: '{who} to {n} device.', other: '{who} to {n} devices.' },
  'person.waits': { one: '{who} waits for {n} device.', other: '{who} waits for {n} devices.' },
  'person.has': '{n} of {all} have {who}.',
  'person.hasFailed': '{n} of {all} have {who}, {failed} failed: {why}',
  'person.left': 'Left out: {list}.', 'person.leftOne': '{device}, {what}: {reason}',
  'person.copyHelp': 'The name, the card and the rights are sent. Fingerprints and faces come along where the site shares them; else enrol them there.',
  'person.removeHelp': 'Punches stay. Fingerprints and faces on these terminals are deleted.',
  'person.removeTitle': { one: 'Remove {who} from {n} device?', other: 'Remove {who} from {n} devices?' },
  'person.removeAct': { one: 'Remove from {n} device', other: 'Remove from {n} devices' },
  'person.removing': { one: 'Remove {who} from {n} device.', other: 'Remove {who} from {n} devices.' },
  'person.copyAct': { one: 'Copy to {n} device', other: 'Copy to {n} devices' },
  'person.addTitle': 'Add person', 'person.addAct': { one: 'Add {who} on {n} device', other: 'Add {who} on {n} devices' },
  'person.addNone': 'Add person',
  'person.pin': 'PIN', 'person.pinHelp': 'The number that the person types, or that the terminal shows. 1 to 24 characters.',
  'person.name': 'Name', 'person.department': 'Department', 'person.card': 'Card',
  'person.cardHelp': 'The number of a card, if there is one.',
  'person.devices': 'Devices', 'person.allSites': 'All sites',
  'person.everyone': 'Select all shown', 'person.filter': 'Find a device',
  'person.chosen': '{n} chosen',
  'person.choose': 'Choose a device first.', 'person.many': 'Send to {n} devices?',
  'person.manyText': 'So that it is not done by a slip.',
  'person.manyAct': 'Send', 'person.more': '{n} more; find them by name.',
  'person.enrolKind': 'What', 'person.enrolFinger': 'Finger',
  'person.enrolHelp': '{who} must stand at {device} within 60 s.',
  'person.enrolAct': 'Ask {device} for it',
  'person.enrolAsk': '{device} is to ask {who} for it.',
  'person.enrolWaits': '{device} is told at its next call. {who} must stand there within 60 s.',
  'person.enrolSent': '{device} asks {who} now.',
  'person.saveAct': 'Save {who}', 'person.saving': 'Save {who}.',
  'person.finger': 'Finger {n}'
});

const kindsToEnrol = ['fingerprint', 'face', 'palm', 'vein', 'card'];

// what was left out of late, by person: no answer tells it later
const leftOut = new Map();

on('forget', () => leftOut.clear());

const personPanel = { pin: null };

function nameOf(p) {
  return p.name || p.user_id;
}

// templates by kind: "2 finger", "1 face, version 58"
function templateWords(templates) {
  const kinds = new Map();

  for (const each of templates || []) {
    if (!kinds.has(each.type)) kinds.set(each.type, { n: 0, v: new Set() });
    kinds.get(each.type).n++;
    if (each.version) kinds.get(each.type).v.add(String(each.version));
  }
  return Array.from(kinds).map(([type, { n, v }]) => {
    const what = t('person.kinds', { n, kind: wordOr('kind.' + type, type) });

    return v.size ? t('kind.version', { what,
      version: Array.from(v).join(' ') }) : what;
  });
}

async function showPerson(ctx) {
  const pin = ctx.id;

  if (absent(pin)) {
    if (personPanel.pin !== null) closePanel();
    return;
  }
  if (personPanel.pin === pin) return;

  const box = panel({ title: t('person.loading'), fill() {},
    onClose() {
      personPanel.pin = null;
      soon.end();
      for (const off of offs) off();
      if (route.view === 'people' && route.id === pin) {
        go(path('people', null, Object.fromEntries(route.query)));
      }
    } });

  personPanel.pin = pin;

  const state = { person: null, why: new Map() };
  const read = async () => {
    const person = (await api('GET', at`/users/${pin}`)).body;
    const why = new Map();

    person.totals = personTotals(person);
    if (person.totals.failed && may('commands:read')) {
      const failed = await api('GET', '/commands',
        { query: { status: 'failed', user_id: pin, limit: 100 } })
        .catch(() => ({ body: { data: [] } }));

      for (const row of failed.body.data.reverse()) {
        if (row.user_id === pin) why.set(row.device_id, row);
      }
    }
    Object.assign(state, { person, why });
  };
  // a form that was opened meanwhile stays
  const draw = () => box.body.dataset.form || drawPerson(box, state, again);

  function again() {
    if (personPanel.pin !== pin || !box.el.isConnected) return;
    read().then(draw, onlyProblem);
  }

  const soon = spaced(3000, again);
  const offs = [on('people', again), on('events', (events) => {
    if (!box.body.dataset.form && events.some((e) =>
      e.type === 'command.finished' || e.user && e.user.id === pin)) soon();
  })];

  try {
    await loading(box.body, read(), 6);
    draw();
  } catch (e) {
    onlyProblem(e);
  }
}

function setPanelTitle(box, ...kids) {
  fill(box.el.querySelector('h2'), ...kids);
}

function drawPerson(box, state, again) {
  const p = state.person;
  const skipped = leftOut.get(p.user_id) || [];

  delete box.body.dataset.form;
  setPanelTitle(box, data(nameOf(p)));
  fill(box.body,
    h('dl.facts', h('dt', t('person.pin')), h('dd', mono(p.user_id)),
      h('dt', t('person.department')), h('dd', p.department
        ? data(p.department) : '–')),
    h('div.acts.spaced',
      button(t('person.again'), () => sendPersonAgain(p).then(again),
        { needs: 'users:write' }),
      button(t('person.copy'), () => copyForm(box, state, again),
        { needs: 'users:write' }),
      button(t('person.enrol'), () => enrolForm(box, state, again),
        { needs: 'users:write' }),
      button(t('person.edit'), () => editForm(box, state, again),
        { needs: 'users:write' }),
      button(t('person.remove'), () => removeForm(box, state, again),
        { kind: 'risk', needs: 'users:write' })),
    h('h3.spaced', t('person.where')),
    p.devices.length ? h('ul.places', p.devices.map((d) =>
      placeOf(d, state.why.get(d.device_id), skipped.filter((s) =>
        s.device_id === d.device_id))))
      : empty(t('person.nowhere')),
    h('ul.places', skipped.filter((s) => !p.devices.some((d) =>
      d.device_id === s.device_id)).map((s) => h('li', h('div.place',
      data(deviceName(s.device_id))), h('div.meta', leftWords(s))))));
}

function placeOf(d, why, skipped) {
  const words = d.status === 'failed' && why
    ? t('person.failedBy', { why: why.result || t('commands.noAnswer') })
    : wordOr('person.' + d.status, d.status);
  const tone = { synced: 'ok', pending: 'warn', failed: 'bad' }[d.status];
  const mark = { synced: 'check', pending: 'arrow', failed: 'warn' }[d.status];
  const held = templateWords(d.templates);

  if (d.card) held.push(t('kind.card'));
  return h('li',
    h('div.place', anchor(path('devices', d.device_id, { tab: 'people' }),
      data(deviceName(d.device_id))),
    markOf({ tone: tone || 'off', icon: mark || 'silent', words })),
    held.length ? h('div.meta', held.join(', ')) : null,
    skipped.map((s) => h('div.meta', leftWords(s))));
}

function leftWords(s) {
  return tx('person.skipped', { what: s.what, reason: s.reason });
}

function formIn(box, title, back, ...kids) {
  box.body.dataset.form = '1';
  setPanelTitle(box, title);
  fill(box.body, button([icon('back'), t('person.back', back)], back.act,
    { kind: 'quiet' }), kids);

  const first = box.body.querySelector('input, select');

  if (first) first.focus();
}

// what was written: what waits, what was left out, and who has it by and by
async function sendPerson(p, promise) {
  const note = strip(tx('person.sending', { who: nameOf(p), n: p.n || 1 }));

  try {
    const answer = await promise;
    const commands = answer.body.commands || [];
    const skipped = answer.body.skipped || [];
    const devices = new Set(commands.map((c) => c.device_id || c.id));

    leftOut.set(p.user_id, skipped);
    note.say(tx('person.waits', { who: nameOf(p), n: devices.size }),
      skipped.length ? [' ', leftList(skipped)] : null);
    if (commands.length) {
      const end = follow(note, p, commands, skipped);

      note.undo(may('commands:write') && (() => {
        end();
        undoCommands(commands, note).then(() => emit('people'));
      }));
    } else {
      note.done();
    }
    emit('people');
    return answer;
  } catch (e) {
    onlyProblem(e);
    if (e.errors.length || e.status === 422 || e.status === 409) {
      note.close();
      throw e;
    }
    note.fail(problemWords(e));
    return undefined;
  }
}

function leftList(skipped) {
  const list = skipped.slice(0, 3).map((s) => t('person.leftOne',
    { device: deviceName(s.device_id), what: s.what, reason: s.reason }));

  if (skipped.length > 3) list.push('…');
  return t('person.left', { list: list.join('; ') });
}

function follow(note, p, commands, skipped) {
  const open = new Set(commands.map((c) => String(c.id)));
  let all = open.size;
  let failed = 0;
  let why = '';
  const end = () => {
    off();
    clearTimeout(timer);
  };
  const off = on('events', (events) => {
    for (const e of events) {
      if (e.type !== 'command.finished' || !e.command
          || !open.delete(String(e.command.id))) continue;
      // taken back, or a later one says the same: nobody waits for it
      if (e.command.status === 'cancelled') {
        all--;
      } else if (e.command.status !== 'done') {
        failed++;
        why = t('live.command.' + e.command.status,
          { what: e.command.words || e.command.summary,
            code: String(e.command.return_code) });
      }
    }
    if (!note.el.isConnected) {
      end();
      return;
    }

    const n = all - open.size - failed;

    if (n || failed) {
      note.say(failed ? tx('person.hasFailed',
        { n, all, who: nameOf(p), failed, why })
        : tx('person.has', { n, all, who: nameOf(p) }),
      skipped.length ? [' ', leftList(skipped)] : null);
    }
    if (!open.size) {
      note.undo(null);
      if (failed) note.fail();
      else note.done();
      end();
    }
  });
  const timer = setTimeout(end, 600000);

  if (!stream.fresh()) note.done();
  return end;
}

async function sendPersonAgain(p) {
  const wanting = p.devices.filter((d) => d.status !== 'synced');
  const ids = (wanting.length ? wanting : p.devices).map((d) => d.device_id);
  const failed = new Set(wanting.filter((d) => d.status === 'failed')
    .map((d) => d.device_id));
  let repeated = [];

  if (!ids.length) return;

  // what it failed to store is sent as it was: there are templates among it
  if (failed.size && may('commands:read') && may('commands:write')) {
    const answer = await api('GET', '/commands',
      { query: { status: 'failed', user_id: p.user_id, limit: 100 } })
      .catch(() => null);

    // the oldest first: they may say the same
    for (const row of answer ? answer.body.data.reverse() : []) {
      if (!failed.has(row.device_id) || row.user_id !== p.user_id
          || !/^DATA UPDATE /.test(row.command)) continue;
      const again = await api('POST', at`/commands/${row.id}/repeat`)
        .catch(() => null);

      if (again) repeated = repeated.concat(again.body.commands || again.body);
    }
  }
  await sendPerson(Object.assign({ n: ids.length }, p),
    putPerson(p.user_id, ids).then((answer) => {
      answer.body.commands = (answer.body.commands || []).concat(repeated);
      return answer;
    })).catch(sayProblem);
}

function sayProblem(e) {
  onlyProblem(e);
  strip([]).fail(problemWords(e));
}

// As the person is now: the panel may have been open for long.  What waits for
// a device, or has failed there, is newer than what it has.
async function putPerson(pin, ids) {
  const p = (await api('GET', at`/users/${pin}`)).body;
  const body = { user_id: pin, device_ids: ids };
  const synced = p.devices.filter((d) => d.status === 'synced');
  const held = synced.length ? synced
    : p.devices.filter((d) => !ids.includes(d.device_id));

  if (p.name) body.name = p.name;
  if (p.department) body.department = p.department;
  for (const name of ['card', 'privilege']) {
    const d = held.find((each) => each[name]);

    if (d) body[name] = d[name];
  }
  return api('POST', '/users', { body });
}

// terminals by name or site, with a box for each; 200 at once
function picker(o) {
  const chosen = new Set(o.chosen || []);
  const list = h('ul.picks');
  const count = h('span.meta', { 'aria-live': 'polite' });
  const rest = h('p.meta', { hidden: true });
  const every = h('input', { type: 'checkbox', id: 'pick-all',
    on: { change: () => all(every.checked) } });
  const find = h('input', { type: 'search', id: 'pick-find',
    autocomplete: 'off', spellcheck: 'false', on: { input: () => draw() } });
  const el = h('fieldset.picker', h('legend.label', o.label),
    h('label.help', { for: 'pick-find' }, t('person.filter')), find,
    h('div.pick', every, h('label', { for: 'pick-all' },
      t('person.everyone')), count), list, rest);

  function fitting() {
    const words = plain(find.value);

    return o.devices.filter((d) => plain(d.name + '\n' + d.id + '\n'
      + (d.site || '')).includes(words));
  }

  function all(is) {
    for (const d of fitting()) {
      if (is) chosen.add(d.id);
      else chosen.delete(d.id);
    }
    draw();
  }

  function draw() {
    const fit = fitting();

    fill(list, fit.slice(0, 200).map((d, i) => h('li.pick',
      h('input', { type: 'checkbox', id: 'pick' + i,
        checked: chosen.has(d.id), on: { change: (event) => {
          if (event.target.checked) chosen.add(d.id);
          else chosen.delete(d.id);
          told();
        } } }),
      h('label', { for: 'pick' + i }, data(d.name), d.site
        ? h('span.meta', ' ', data(d.site)) : null))));
    rest.hidden = fit.length <= 200;
    text(rest, t('person.more', { n: fit.length - 200 }));
    every.checked = fit.length > 0 && fit.every((d) => chosen.has(d.id));
    told();
  }

  function told() {
    text(count, t('person.chosen', { n: chosen.size }));
    if (o.changed) o.changed(chosen.size);
  }

  draw();
  return { el, chosen: () => Array.from(chosen) };
}

// many at once by intention only
async function sure(n) {
  return n <= 20 || ask({ title: t('person.many', { n }),
    text: t('person.manyText'), act: t('person.manyAct'), typed: String(n) });
}

function copyForm(box, state, again) {
  const p = state.person;
  const has = new Set(p.devices.map((d) => d.device_id));
  const act = button(t('person.copyAct', { n: 0 }), send, { kind: 'primary' });
  const pick = picker({ label: t('person.devices'),
    devices: activeDevices().filter((d) => !has.has(d.id)),
    changed: (n) => fill(act, t('person.copyAct', { n })) });

  async function send() {
    const ids = pick.chosen();

    if (!ids.length) {
      alarm(t('person.choose'));
      return;
    }
    if (!await sure(ids.length)) return;
    await sendPerson(Object.assign({ n: ids.length }, p),
      putPerson(p.user_id, ids)).catch(sayProblem);
    delete box.body.dataset.form;
    again();
  }

  formIn(box, t('person.copy'), { who: nameOf(p),
    act: () => drawPerson(box, state, again) },
  h('p.help', t('person.copyHelp')), pick.el, h('div.acts', act));
}

function removeForm(box, state, again) {
  const p = state.person;
  const devices = p.devices.map((d) => knownDevice(d.device_id));
  const act = button(t('person.removeAct', { n: 0 }), send,
    { kind: 'danger' });
  const pick = picker({ label: t('person.devices'), devices,
    changed: (n) => fill(act, t('person.removeAct', { n })) });

  async function send() {
    const ids = pick.chosen();
    const all = ids.length === devices.length;
    const names = ids.slice(0, 12).map((id) => data(deviceName(id)));

    if (!ids.length) {
      alarm(t('person.choose'));
      return;
    }
    if (!await ask({
      title: t('person.removeTitle', { n: ids.length, who: nameOf(p) }),
      text: [h('ul', names.map((n) => h('li', n)), ids.length > 12
        ? h('li', '…') : null), h('p', t('person.removeHelp'))],
      act: t('person.removeAct', { n: ids.length }), danger: true,
      typed: all ? p.user_id : undefined })) return;

    await removeFrom(p, all ? null : ids);
    delete box.body.dataset.form;
    again();
  }

  formIn(box, t('person.remove'), { who: nameOf(p),
    act: () => drawPerson(box, state, again) },
  h('p.help', t('person.removeHelp')), pick.el, h('div.acts', act));
}

// from all in one request, else from one after the other
async function removeFrom(p, ids) {
  const n = ids ? ids.length : p.devices.length;
  const note = strip(tx('person.removing', { who: nameOf(p), n }));
  let commands = [];

  try {
    for (const id of ids || [null]) {
      try {
        const answer = await api('DELETE', at`/users/${p.user_id}`,
          { query: { device_id: id } });

        commands = commands.concat(answer.body.commands || []);
      } catch (e) {
        // one of many that does not have it any more
        if (!ids || e.status !== 404) throw e;
      }
    }
    note.done();
  } catch (e) {
    onlyProblem(e);
    note.fail(problemWords(e));
  }
  // the way back from what was done before a fault, too
  if (commands.length && may('commands:write')) {
    note.undo(() => undoCommands(commands, note).then(() => emit('people')));
  }
  emit('people');
}

function editForm(box, state, again) {
  const p = state.person;
  const f = form({
    fields: [field({ name: 'name', label: t('person.name'), value: p.name,
      maxlength: 200 }),
    field({ name: 'department', label: t('person.department'),
      value: p.department, maxlength: 200 }),
    field({ name: 'card', label: t('person.card'), help: t('person.cardHelp'),
      value: (p.devices.find((d) => d.card) || {}).card })],
    act: t('person.saveAct', { who: nameOf(p) }), needs: 'users:write',
    async send(values) {
      const had = { name: p.name || '', department: p.department || '',
        card: (p.devices.find((d) => d.card) || {}).card || '' };
      const body = {};

      for (const name of Object.keys(had)) {
        if (values[name] !== String(had[name])) body[name] = values[name];
      }
      if (Object.keys(body).length) {
        await sendPerson(Object.assign({ n: p.devices.length }, p),
          api('PATCH', at`/users/${p.user_id}`, { body }));
      }
      delete box.body.dataset.form;
      again();
    }
  });

  formIn(box, t('person.edit'), { who: nameOf(p),
    act: () => drawPerson(box, state, again) }, f.el);
}

function enrolForm(box, state, again) {
  const p = state.person;
  const devices = activeDevices().slice(0, 500);
  const help = h('p.help', { 'aria-live': 'polite' });
  const finger = field({ name: 'index', label: t('person.enrolFinger'),
    type: 'select', value: '0', options: Array.from({ length: 10 }, (_, i) =>
      [String(i), t('person.finger', { n: i })]) });
  const kind = field({ name: 'type', label: t('person.enrolKind'),
    type: 'select', value: 'fingerprint', options: kindsToEnrol.map((k) =>
      [k, wordOr('kind.' + k, k)]),
    on: (v) => {
      finger.el.hidden = v !== 'fingerprint';
    } });
  const words = () => fill(help, tx('person.enrolHelp',
    { who: nameOf(p), device: deviceName(where.value()) }));
  const where = field({ name: 'device_id', label: t('commands.device'),
    type: 'select', options: devices.map((d) => [d.id, d.name]),
    value: (p.devices[0] || devices[0] || {}).device_id || devices[0]
      && devices[0].id, on: words });
  const f = form({ fields: [where, kind, finger],
    act: (v) => t('person.enrolAct', { device: deviceName(v.device_id) }),
    needs: 'users:write',
    async send(v) {
      const body = { device_id: v.device_id, type: v.type };

      if (v.type === 'fingerprint') body.index = Number(v.index);
      await enrol(p, body);
      drawPerson(box, state, again);
    } });

  formIn(box, t('person.enrol'), { who: nameOf(p),
    act: () => drawPerson(box, state, again) }, help, f.el);
  words();
}

async function enrol(p, body) {
  const args = { who: nameOf(p), device: deviceName(body.device_id) };
  const answer = await api('POST', at`/users/${p.user_id}/enroll`, { body });
  const note = strip(tx('person.enrolWaits', args));
  const row = answer.body.commands[0];

  if (may('commands:write')) note.undo(() => undoCommands([row], note));
  if (may('commands:read')) followEnrol(note, row.id, args);
  else note.done();
}

// it is short: the command is asked for, whether events come or not
async function followEnrol(note, id, args) {
  let was = 'queued';

  for (let tries = 0; tries < 60 && note.el.isConnected; tries++) {
    await sleep(2000);

    const answer = await api('GET', at`/commands/${id}`).catch(() => null);
    const is = answer ? answer.body : { status: was };

    if (is.status === was) continue;
    was = is.status;
    note.undo(null);
    if (was === 'sent') {
      note.say(tx('person.enrolSent', args));
      continue;
    }
    note.say(data(args.who), ', ', data(args.device), ': ',
      commandState(is));
    if (was === 'done' || was === 'cancelled') note.done();
    else note.fail();
    emit('people');
    return;
  }
}

function addPerson(typed) {
  panel({ title: t('person.addTitle'), fill(body, close) {
    const pin = field({ name: 'user_id', label: t('person.pin'),
      help: t('person.pinHelp'), required: true, maxlength: 24,
      value: /^\d+$/.test(typed || '') ? typed : '' });
    const name = field({ name: 'name', label: t('person.name'),
      maxlength: 200, value: /^\d+$/.test(typed || '') ? '' : typed });
    let f = null;
    const pick = picker({ label: t('person.devices'),
      devices: activeDevices(), changed: () => f && f.relabel() });
    const department = field({ name: 'department',
      label: t('person.department'), maxlength: 200 });
    const card = field({ name: 'card', label: t('person.card'),
      help: t('person.cardHelp'), inputmode: 'numeric' });

    f = form({ fields: [pin, name, department, card],
      before: pick.el,
      act: (v) => pick.chosen().length ? t('person.addAct', {
        who: v.name || v.user_id || '…', n: pick.chosen().length })
        : t('person.addNone'),
      needs: 'users:write',
      async send(v) {
        const ids = pick.chosen();

        if (!ids.length) {
          alarm(t('person.choose'));
          body.querySelector('#pick-find').focus();
          return;
        }
        if (!await sure(ids.length)) return;
        for (const each of ['name', 'department', 'card']) {
          if (!v[each]) delete v[each];
        }
        if (await sendPerson(Object.assign({ n: ids.length }, v),
          api('POST', '/users', { body: Object.assign(v,
            { device_ids: ids }) }))) close();
      } });

    body.append(f.el);
  } });
}
