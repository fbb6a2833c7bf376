// What can be done to a device, with what the server said of it, and the way
// back.
//
//   approvePanel(d)        name, site, time zone; "Approve Gate 5"
//   blockDevice(d), zonePanel(d), changeDevice(d, members, words)
//   setClockOf(d), restart(d), sendAgain(d, table), verify(d, days)
//   removeDevice(d), mutePanel(d)
//   followCommands(note, ids, words)
//       says in a strip what becomes of commands: undone while they are
//       queued, done, failed in the words of the terminal

words({
  'act.approve': 'Approve {name}', 'act.approve.title': 'Approve {id}',
  'act.approved': '{name} is approved. Its punches come at its next call.',
  'act.approve.undo': 'Block again',
  'act.approve.first': 'First call {ago}{from}. Punches are placed by this zone from the first one on.',
  'act.approve.again': 'Its punches are placed by this zone from now on.',
  'act.unapproved': '{name} is blocked again; what it has sent stays.',
  'act.block.title': 'Block {name}?', 'act.block': 'Block {name}',
  'act.block.text': '{name} will be refused at its next call. It keeps its punches.',
  'act.blocked': '{name} is blocked.', 'act.block.undo': 'Approve again',
  'act.unblocked': '{name} is approved again.',
  'act.blocking': 'Blocking {name}.',
  'act.saving': 'Saving {name}.', 'act.saved': '{name} is saved.',
  'act.restored': '{name} has its old values again.',
  'act.name': 'Name', 'act.site': 'Site', 'act.zone': 'Time zone',
  'act.location': 'Place', 'act.site.none': 'No site',
  'act.site.help': 'Who sees it, and which people are on it.',
  'act.zone.guess': { one: 'As on the other device of {site}; please check.', other: 'As on the other {n} devices of {site}; please check.' },
  'act.zone.mine': 'The zone of this browser; please check.',
  'act.zone.help': 'Where its clock stands, as Asia/Kolkata.',
  'act.zone.wrong': 'This browser does not know that zone.',
  'act.zone.title': 'Time zone of {name}',
  'act.zone.save': 'Change zone',
  'act.zone.ask': 'Change the zone of {name}?',
  'act.zone.text': 'Punches from now on are placed by {zone}; those that are stored keep their UTC time.',
  'act.clock': 'Setting the clock of {name}.',
  'act.clock.asked': '{name} is asked to take the time of the server. Its clock counts as checked after its next punch.',
  'act.restart.title': 'Restart {name}?', 'act.restart': 'Restart',
  'act.restart.text': 'It cannot be used for about a minute.',
  'act.restarting': 'Restarting {name}.',
  'act.again.title': 'Have {name} send again?', 'act.again': 'Send again',
  'act.again.text': 'It uploads {n} punches once more; none is stored twice.',
  'act.again.text.none': 'It uploads what it holds once more; nothing is stored twice.',
  'act.agained': '{name} is asked to send again.',
  'act.verify': 'Checking the punches of {name}.',
  'act.verified': '{name} is asked how many punches it holds.',
  'act.mute': 'Mute', 'act.mute.title': 'Mute {name}',
  'act.mute.text': 'A device in repair or in a box leaves the verdict, the counts, metrics and alerts until then.',
  'act.mute.days': 'Days (1 to 30)', 'act.mute.note': 'Note',
  'act.mute.wrong': 'A whole number from 1 to 30.',
  'act.muted': '{name} counts for nothing until {date}.',
  'act.unmuted': '{name} counts again.',
  'act.remove': 'Remove', 'act.remove.title': 'Remove {name}?',
  'act.remove.text': 'It is refused from now on and leaves all lists. Its punches stay.',
  'act.removed': '{name} is removed.',
  'cmd.queued': '{what} Waits for its next call.',
  'cmd.sent': '{what} Sent; the answer is due.',
  'cmd.done': '{what} Done in {d}.', 'cmd.done.plain': '{what} Done.',
  'cmd.failed': '{what} Failed: {result}.',
  'cmd.expired': '{what} Expired before it was fetched.',
  'cmd.cancelled': '{what} Cancelled.',
  'cmd.late': '{what} Too late, it was sent at {at}.',
  'cmd.late.plain': '{what} Too late, it was sent already.',
  'cmd.some': '{what} Cancelled on {n} of {of}; the others have it.'
});

function named(d) {
  return data(label(d));
}

// the zone of most of the others there
function guessZone(d, site) {
  const tally = new Map();

  for (const each of fleet.list) {
    if (each.id === d.id || !each.timezone || each.status === 'pending') {
      continue;
    }
    if ((each.site || '') === (site || '')) {
      tally.set(each.timezone, (tally.get(each.timezone) || 0) + 1);
    }
  }

  const best = Array.from(tally).sort((a, b) => b[1] - a[1])[0];

  return best ? { zone: best[0], help: t('act.zone.guess', { n: best[1],
    site: site || t('act.site.none') }) }
    : { zone: viewerZone, help: t('act.zone.mine') };
}

function siteField(d, changed) {
  const limited = session.who && session.who.sites;

  return field({ name: 'site', label: t('act.site'), value: d.site || '',
    list: limited || sitesOf(), help: t('act.site.help'), on: changed,
    maxlength: 200 });
}

function zoneField(value, help) {
  return field({ name: 'timezone', label: t('act.zone'), value,
    required: true, list: zones(), help: help || t('act.zone.help') });
}

function zoneFits(zone) {
  const known = zoneKnown(zone.value());

  zone.error(known ? '' : t('act.zone.wrong'));
  if (!known) zone.input.focus();
  return known;
}

function approvePanel(d) {
  const again = d.status === 'blocked';
  const guess = guessZone(d, d.site);
  const zone = zoneField(again && d.timezone || guess.zone,
    again ? null : guess.help);
  let touched = false;

  zone.input.addEventListener('input', () => {
    touched = true;
  });

  const site = siteField(d, (value) => {
    const other = guessZone(d, value);

    if (touched || again) return;
    zone.input.value = other.zone;
    fill(zone.el.querySelector('.help'), other.help);
  });
  const shape = form({
    fields: [field({ name: 'name', label: t('act.name'), value: d.name,
      maxlength: 200 }), site, zone],
    act: (v) => t('act.approve', { name: v.name || d.id }),
    needs: 'devices:write',
    more: again ? null : button(t('a.block'), () => blockDevice(d),
      { needs: 'devices:write' }),
    async send(v) {
      if (!zoneFits(zone)) return;
      await approve(d, v);
      closePanel();
    }
  });
  const c = d.conditions.find((each) => each.name === 'new') || {};

  panel({ title: tx('act.approve.title', { id: mono(d.id) }), fill(body) {
    body.append(shape.el, h('p.help', again ? t('act.approve.again')
      : tx('act.approve.first', { ago: h('span',
        ago(c.since || d.raw.first_seen || d.last_seen)),
      from: fromWords(d) })));
    shape.fields.get('name').input.focus();
  } });
}

async function approve(d, v) {
  const again = d.status === 'blocked';
  const members = { name: v.name || null, timezone: v.timezone };

  if (v.site) members.site = v.site;
  if (again) {
    // its zone first: it may send at once
    await api('PATCH', at`/devices/${d.id}`, { body: members });
    putDevice((await api('POST', at`/devices/${d.id}/approve`)).body);
  } else {
    for (const key of Object.keys(members)) {
      if (members[key] === null) delete members[key];
    }
    putDevice((await api('POST', '/devices', {
      body: Object.assign({ serial_number: d.id }, members) })).body);
  }

  const note = strip(tx('act.approved', { name: named(d) }), {
    undoWords: t('act.approve.undo'),
    undo: () => back(note, d, 'block', 'act.unapproved') });

  note.done();
}

async function back(note, d, act, said) {
  try {
    putDevice((await api('POST', at`/devices/${d.id}/` + act)).body);
    note.undo(null);
    note.say(tx(said, { name: named(d) }));
    note.done();
  } catch (e) {
    onlyProblem(e);
    note.fail(problemWords(e));
  }
}

async function blockDevice(d) {
  const was = d.status;

  if (!await ask({ title: tx('act.block.title', { name: named(d) }),
    text: tx('act.block.text', { name: named(d) }), danger: true,
    act: t('act.block', { name: label(d) }) })) return;

  closePanel();
  await doing(tx('act.blocking', { name: named(d) }),
    api('POST', at`/devices/${d.id}/block`), {
      done(answer) {
        putDevice(answer.body);
        return tx('act.blocked', { name: named(d) });
      },
      undoWords: t('act.block.undo'),
      undo: was === 'pending' ? null
        : (answer, note) => back(note, d, 'approve', 'act.unblocked')
    });
}

async function changeDevice(d, members, said) {
  const old = {};

  for (const key of Object.keys(members)) {
    old[key] = d.raw[key] === undefined || d.raw[key] === '' ? null
      : d.raw[key];
  }
  // a moment that has passed mutes nothing, and is refused
  if (Date.parse(old.muted_until) <= now()) old.muted_until = null;
  // nobody is told the old key; what was recorded nowhere is of the site now
  const stays = members.comm_key || members.site && !old.site;

  return doing(tx('act.saving', { name: named(d) }),
    api('PATCH', at`/devices/${d.id}`, { body: members }), {
      done(answer) {
        putDevice(answer.body);
        return said || tx('act.saved', { name: named(d) });
      },
      undo: stays ? null : async (answer, note) => {
        try {
          putDevice((await api('PATCH', at`/devices/${d.id}`,
            { body: old })).body);
          note.undo(null);
          note.say(tx('act.restored', { name: named(d) }));
          note.done();
        } catch (e) {
          onlyProblem(e);
          note.fail(problemWords(e));
        }
      }
    });
}

// how many are stored nobody has counted: raw.logs is what it holds itself
async function askZone(d, zone) {
  return ask({ title: tx('act.zone.ask', { name: named(d) }),
    text: tx('act.zone.text', { zone }), act: t('act.zone.save') });
}

function zonePanel(d) {
  const zone = zoneField(d.timezone || '');
  const shape = form({ fields: [zone], act: t('act.zone.save'),
    needs: 'devices:write',
    async send(v) {
      if (!zoneFits(zone)) return;
      if (!await askZone(d, v.timezone)) return;
      closePanel();
      await changeDevice(d, { timezone: v.timezone });
    } });

  panel({ title: tx('act.zone.title', { name: named(d) }), fill(body) {
    body.append(h('p', conditionWords(d, { name: 'clock', value: d.skew })),
      h('br'), shape.el);
    zone.input.focus();
  } });
}


// commands

function commandWords(c, what) {
  const took = tookOf(c);

  switch (c.status) {
    case 'done':
      return took === null ? tx('cmd.done.plain', { what })
        : tx('cmd.done', { what, d: duration(took) });
    case 'failed':
      return tx('cmd.failed', { what, result: c.result
        || String(c.return_code) });
    default:
      return tx('cmd.' + c.status, { what });
  }
}

function followCommands(note, ids, said) {
  const openIds = new Set(ids);
  const what = () => h('span', said());
  let last = null;

  if (ids.length === 0) {
    note.done();
    return;
  }

  const look = async (id) => {
    try {
      const c = (await api('GET', at`/commands/${id}`,
        { background: true })).body;

      if (c.finished_at) openIds.delete(id);
      last = c;
      if (ids.length === 1 || openIds.size === 0) {
        note.say(commandWords(c, what()));
      }
      if (c.status !== 'queued') note.undo(null);
      if (openIds.size === 0) {
        end();
        if (c.status === 'failed') note.fail();
        else note.done();
      }
    } catch (e) {
      if (e.code === 'scope' || e.status === 404) {
        end();
        note.done();
      }
    }
  };
  const offs = [on('event', (event) => {
    const id = event.command && event.command.id;

    if (event.type === 'command.finished' && openIds.has(id)) look(id);
  }), on('signed-out', () => end())];
  let ticks = 0;

  offs.push(on('tick', () => {
    if (!note.el.isConnected) end();
    else if (++ticks % 3 === 0) for (const id of openIds) look(id);
  }));

  function end() {
    for (const off of offs) off();
  }

  note.say(ids.length === 1 ? tx('cmd.queued', { what: what() }) : what());
  if (!may('commands:write')) return;
  note.undo(async () => {
    let cancelled = 0;

    for (const id of ids) {
      try {
        last = (await api('DELETE', at`/commands/${id}`)).body;
        openIds.delete(id);
        cancelled++;
      } catch (e) {
        onlyProblem(e);
        if (e.status === 409) continue;
        note.fail(problemWords(e));
        return;
      }
    }
    note.undo(null);
    if (cancelled === 0) {
      if (last === null || !last.sent_at) await look(ids[0]);
      note.say(last && last.sent_at
        ? tx('cmd.late', { what: what(), at: h('span', timeOf(last.sent_at)) })
        : last && last.finished_at ? commandWords(last, what())
          : tx('cmd.late.plain', { what: what() }));
    } else if (cancelled < ids.length) {
      note.say(tx('cmd.some', { what: what(), n: cancelled, of: ids.length }));
    } else {
      end();
      note.say(tx('cmd.cancelled', { what: what() }));
      note.done();
    }
  });
}

async function command(d, where, body, before, after) {
  const note = strip(tx(before, { name: named(d) }));

  try {
    const answer = await api('POST', at`/devices/${d.id}/` + where, { body });

    followCommands(note, (answer.body.commands || []).map((c) => c.id),
      () => tx(after, { name: named(d) }));
    if ((answer.body.commands || []).length === 0) {
      note.say(tx(after, { name: named(d) }));
    }
    emit('commands');
    return answer.body;
  } catch (e) {
    onlyProblem(e);
    if (e.code === 'left') note.close();
    else note.fail(tx(before, { name: named(d) }), ' ', problemWords(e));
    return undefined;
  }
}

function setClockOf(d) {
  return command(d, 'sync-time', undefined, 'act.clock', 'act.clock.asked');
}

async function restart(d) {
  if (await ask({ title: tx('act.restart.title', { name: named(d) }),
    text: t('act.restart.text'), act: t('act.restart') })) {
    await command(d, 'reboot', undefined, 'act.restarting', 'act.restarting');
  }
}

async function sendAgain(d, tableName) {
  const n = d.raw.logs;

  if (await ask({ title: tx('act.again.title', { name: named(d) }),
    text: n ? t('act.again.text', { n }) : t('act.again.text.none'),
    act: t('act.again') })) {
    await command(d, 'reupload', { table: tableName || 'ATTLOG' },
      'act.agained', 'act.agained');
  }
}

function verify(d, range) {
  return command(d, 'verify', range || {}, 'act.verify', 'act.verified');
}

function mutePanel(d) {
  const shape = form({
    fields: [field({ name: 'days', label: t('act.mute.days'), value: '7',
      inputmode: 'numeric', required: true }),
    field({ name: 'note', label: t('act.mute.note'),
      value: d.raw.note || '', maxlength: 500 })],
    act: t('act.mute'), needs: 'devices:write',
    async send(v) {
      const days = /^\d+$/.test(v.days) ? Number(v.days) : 0;
      const its = shape.fields.get('days');

      if (days < 1 || days > 30) {
        its.error(t('act.mute.wrong'));
        its.input.focus();
        return;
      }

      const until = new Date(now() + days * 86400000 - 60000).toISOString();

      closePanel();
      await changeDevice(d, { muted_until: until, note: v.note || null },
        tx('act.muted', { name: named(d), date: dateOf(until) }));
    } });

  panel({ title: tx('act.mute.title', { name: named(d) }), fill(body) {
    body.append(h('p.help', t('act.mute.text')), h('br'), shape.el);
  } });
}

async function removeDevice(d) {
  if (!await ask({ title: tx('act.remove.title', { name: named(d) }),
    text: t('act.remove.text'), danger: true, act: t('act.remove'),
    typed: d.id })) return;

  const gone = await doing(tx('act.saving', { name: named(d) }),
    api('DELETE', at`/devices/${d.id}`), {
      done: () => tx('act.removed', { name: named(d) })
    });

  if (gone) {
    dropDevice(d.id);
    go(path('fleet'));
  }
}
