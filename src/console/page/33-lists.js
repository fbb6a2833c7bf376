// What more than one view shows.
//
//   punchColumns({ device, person })   columns of simpleTable for punches
//   punchPanel(p)       all that is known of one, with its three times
//   lateWords(p)        "stored 0.2 s later", "late, stored 15:10:46"
//   commandState(c)     nodes: where a command is, in words
//   commandWhat(c)      nodes: what it is;   resultOf(c)  why it has failed
//   tookOf(c)           seconds from asking to the end, or null
//   saveCsv(query, name)  punches as a file, made by the server; above 100,000
//                       rows the line for curl
//   curlLine(where)     what a shell reads, in place of the page
//   rangeWords(starts, ends)   the days of it
//   bytesOf(line)       what could not be stored, with marks for tabs

words({
  'p.time': 'Time', 'p.pin': 'PIN', 'p.name': 'Name', 'p.type': 'What',
  'p.method': 'How', 'p.temperature': 'Temp.', 'p.stored': 'Stored',
  'p.device': 'Device', 'p.of': 'Punch of {name}', 'p.code': 'code {code}',
  'p.time.device': 'Device time', 'p.time.mine': 'Your time',
  'p.time.utc': 'UTC', 'p.workCode': 'Work code',
  'p.later': 'stored {d} later', 'p.late': 'late, stored {at}',
  'p.CheckIn': 'Check in', 'p.CheckOut': 'Check out',
  'p.BreakOut': 'Break out', 'p.BreakIn': 'Break in',
  'p.OvertimeIn': 'Overtime in', 'p.OvertimeOut': 'Overtime out',
  'p.Other': 'Other', 'p.FingerVein': 'Finger vein', 'p.Pin': 'PIN',
  'p.Multi': 'Several',
  'cs.later': 'Waits until {at}', 'cs.queued': 'Waits for its next call',
  'cs.queued.silent': 'Waits, device is silent',
  'cs.sent': 'Sent, answer due by {at}', 'cs.sent.plain': 'Sent',
  'cs.done': 'Done in {d}', 'cs.done.plain': 'Done', 'cs.failed': 'Failed: {result}',
  'cs.expired': 'Expired before it was fetched', 'cs.cancelled': 'Cancelled',
  'cs.superseded': 'Replaced by a later one',
  'csv.save': 'Save CSV', 'csv.reading': 'Reading {n} rows.',
  'csv.saved': { one: '{n} row is saved.', other: '{n} rows are saved.' },
  'csv.large': 'More than 100,000 rows. Read them with:'
});

function nameOfType(kind) {
  return table.has('p.' + kind) ? t('p.' + kind) : clean(kind || '–');
}

function lateWords(p) {
  const s = (Date.parse(p.received_at || p.created_at)
    - Date.parse(p.timestamp)) / 1000;

  if (!(s === s)) return '';
  if (p.late || s > 900) {
    return t('p.late', { at: momentOf(p.received_at || p.created_at,
      zoneShown(p.timezone)) });
  }
  if (s < 0) return '';
  return t('p.later', { d: s < 10 ? t('unit.s', { n: Math.round(s * 10) / 10 })
    : duration(s) });
}

// terminals that do not measure it send 0
function warmth(p) {
  return p.temperature ? number(p.temperature) + '\u00A0°C' : null;
}

function punchColumns(o) {
  return [
    { title: t('p.time'), cell: (p) => button(h('span.mono', punchTime(p)),
      () => punchPanel(p), { kind: 'quiet.moment' }) },
    o.device ? { title: t('p.device'), cell: (p) =>
      anchor(path('devices', p.device_id), data(p.device_name || p.device_id)) }
      : null,
    o.person === false ? null : { title: t('p.pin'), cell: (p) =>
      anchor(path('people', p.user_id), mono(p.user_id)) },
    o.person === false ? null : { title: t('p.name'), cell: (p) =>
      data(p.user_name || '–') },
    { title: t('p.type'), cell: (p) => nameOfType(p.punch_type) },
    { title: t('p.method'), cell: (p) => nameOfType(p.method) },
    { title: t('p.temperature'), wide: true, num: true,
      cell: (p) => warmth(p) || '–' },
    { title: t('p.stored'), wide: true, cell: (p) =>
      h('span.meta', lateWords(p)) }
  ].filter(Boolean);
}

function punchPanel(p) {
  const at = (zone) => dateOf(p.timestamp, zone) + ', '
    + timeOf(p.timestamp, zone);
  const local = localParts(p.local_time);

  panel({ title: tx('p.of', { name: p.user_name || p.user_id }), fill(body) {
    body.append(factList([
      [t('p.time.device'), (local[1] ? dateOfDay(local[1]) + ', ' + local[2]
        : at(p.timezone)) + ' (' + zoneWords(p.timezone) + ')'],
      [t('p.time.mine'), at(viewerZone) + ' (' + viewerZone + ')'],
      [t('p.time.utc'), at('UTC')],
      [t('p.stored'), p.received_at ? momentOf(p.received_at, null) + ', '
        + lateWords(p) : '–'],
      [t('p.device'), anchor(path('devices', p.device_id),
        data(p.device_name || p.device_id))],
      [t('p.pin'), anchor(path('people', p.user_id), mono(p.user_id))],
      [t('p.type'), [nameOfType(p.punch_type), ' ', h('span.meta',
        t('p.code', { code: String(p.status) }))]],
      [t('p.method'), [nameOfType(p.method), ' ', h('span.meta',
        t('p.code', { code: String(p.verify) }))]],
      warmth(p) ? [t('p.temperature'), warmth(p)] : null,
      p.work_code ? [t('p.workCode'), mono(p.work_code)] : null]));
  } });
}

function commandWhat(c) {
  return [clean(c.words || c.command || ''), c.user_id && !c.words
    ? [' ', mono(c.user_id)] : null];
}

// why a command has failed: "the device is full (−1001)"
function resultOf(c) {
  return (c.result || '')
    + (absent(c.return_code) ? ''
      : ' (' + String(c.return_code).replace('-', '−') + ')');
}

function tookOf(c) {
  return c.created_at && c.finished_at
    ? (Date.parse(c.finished_at) - Date.parse(c.created_at)) / 1000 : null;
}

function commandState(c) {
  const d = fleet.map.get(c.device_id);
  const took = tookOf(c);

  switch (c.status) {
    case 'queued':
      if (Date.parse(c.not_before) > now()) {
        return t('cs.later', { at: momentOf(c.not_before, null) });
      }
      return t(d && d.status !== 'online' ? 'cs.queued.silent' : 'cs.queued');
    case 'sent':
      return c.answer_due_at
        ? t('cs.sent', { at: timeOf(c.answer_due_at) }) : t('cs.sent.plain');
    case 'done':
      return took === null ? t('cs.done.plain')
        : t('cs.done', { d: duration(took) });
    case 'failed':
      return tx('cs.failed', { result: resultOf(c) });
    default:
      return table.has('cs.' + c.status) ? t('cs.' + c.status)
        : clean(c.status);
  }
}

async function saveCsv(asking, name) {
  const note = strip(t('csv.reading', { n: 0 }));
  const q = queryText(Object.assign({}, asking, { format: 'csv' }));
  const stop = new AbortController();
  const off = on('signed-out', () => stop.abort());
  const parts = [];
  let rows = -1;

  try {
    const answer = await request('GET', '/logs' + q, {
      Accept: 'text/csv', Authorization: 'Bearer ' + session.key
    }, undefined, stop.signal);

    if (!answer.ok) {
      throw new Problem(answer.status, await readBody(answer), answer.headers);
    }

    const reader = answer.body.getReader();

    for (;;) {
      const { done, value } = await reader.read();

      if (done) break;
      parts.push(value);
      for (const b of value) if (b === 10) rows++;
      if (rows > 100000) {
        stop.abort();
        note.fail(t('csv.large'), ' ', h('code', curlLine('/logs' + q)), ' ',
          copyButton(curlLine('/logs' + q)));
        return;
      }
      if (rows > 5000) note.el.firstChild.textContent = t('csv.reading', { n: rows });
    }

    const url = URL.createObjectURL(new Blob(parts, { type: 'text/csv' }));
    const a = document.createElement('a');

    a.href = url;
    a.download = name.replace(/[^A-Za-z0-9._-]/g, '_') + '.csv';
    a.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    note.say(t('csv.saved', { n: Math.max(0, rows) }));
    note.done();
  } catch (e) {
    if (session.key !== null) {
      note.fail(problemWords(e instanceof Problem ? e
        : new Problem(0, { code: 'offline' })));
    }
  } finally {
    off();
  }
}

// what is too much for a page, for a shell
function curlLine(where) {
  return 'curl -H "Authorization: Bearer $ICLOCK_KEY" \''
    + location.origin + base + where + '\'';
}

function rangeWords(starts, ends) {
  const [from, to] = [starts, ends].map((local) =>
    dateOfDay(localParts(local)[1]));

  return from === to ? from : from + ' – ' + to;
}

function bytesOf(line) {
  return h('code.line', String(line).split('\t').map((part, i) => [
    i ? h('span.tab', { title: 'TAB' }, ' TAB ') : null, data(part)]));
}
