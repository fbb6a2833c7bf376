// Short lists: a real table, all of whose rows are in the document.
//
//   const list = simpleTable({ label, columns: [{ title, num, wide,
//       cell(row) }], group(row), groupWords(key), mark(row) })
//       cell() gives a text, a node or an array; wide: left out on the phone;
//       group(): rows with the same key stand below a heading
//   list.el; list.rows(array)
//   pagedTable(el, { path, query, table, none, limit, signal })
//       a list of the API in a table, with "More" below -> { load() }: reads
//       it anew; what is shown stays until the answer is there

words({ 'table.more': 'More', 'table.none': 'Nothing.' });

function simpleTable(o) {
  const bodies = h('table.list', { 'aria-label': o.label },
    h('thead', h('tr', o.columns.map((c) => h('th' + (c.num ? '.num' : '')
      + (c.wide ? '.wide' : ''), { scope: 'col' }, c.title
        || h('span.hidden', '–'))))));
  const el = h('div.scroller', bodies);

  return {
    el,
    rows(all) {
      const found = [];
      let key = null;
      let body = null;

      for (const row of all) {
        const k = o.group ? o.group(row) : '';

        if (body === null || k !== key) {
          body = h('tbody');
          key = k;
          if (o.group) {
            body.append(h('tr.day', h('th', { scope: 'rowgroup',
              colspan: o.columns.length }, o.groupWords(k))));
          }
          found.push(body);
        }
        body.append(h('tr', { 'data-mark': o.mark ? o.mark(row) : null },
          o.columns.map((c) => h('td' + (c.num ? '.num' : '')
            + (c.wide ? '.wide' : ''), c.cell(row)))));
      }
      for (const old of bodies.querySelectorAll('tbody')) old.remove();
      bodies.append(...found);
    }
  };
}

function pagedTable(el, o) {
  const more = button(t('table.more'), () => then(onward));
  const foot = h('div.acts', more);
  const step = o.limit || 100;
  const due = new Set();
  let all = [];
  let cursor = null;
  let shownOnce = false;
  let stands = false;                // what is shown is an answer to `asked`
  let asked = '';
  let last = Promise.resolve();

  // as far as it was read
  const again = () => read(Math.min(Math.max(all.length, step), mostRows()));
  const onward = () => read(step, cursor);

  // The same question waits for its last answer: what comes later is newer,
  // and a page follows what is listed.
  function then(work) {
    const question = asked;

    if (!due.has(work)) {
      due.add(work);
      last = last.finally(() => {
        if (question !== asked) return null;
        due.delete(work);
        return work();
      });
    }
    return last;
  }

  // another one does not, and nobody waits for its answer any more
  function load() {
    const question = JSON.stringify(o.query());

    if (question === asked) return then(again);
    asked = question;
    stands = false;
    due.clear();
    all = [];
    cursor = null;
    return last = again();
  }

  async function read(limit, from) {
    const question = asked;
    const asking = api('GET', o.path, { signal: o.signal,
      background: shownOnce && !from,
      query: Object.assign({ limit, cursor: from }, JSON.parse(question)) });
    let answer;

    try {
      answer = await (shownOnce ? asking : loading(el, asking, 6, load));
    } catch (e) {
      onlyProblem(e);
      if (question !== asked || e.code === 'left') return;
      if (shownOnce ? !stands && e.code !== 'offline'
        : e.code === 'no_route') {
        fill(el, empty(problemWords(e)));
      }
      return;
    }
    if (question !== asked || o.signal && o.signal.aborted) return;
    all = from ? all.concat(answer.body.data) : answer.body.data;
    cursor = answer.body.has_more ? answer.body.next_cursor : null;
    if (all.length === 0) {
      fill(el, empty(o.none || t('table.none')));
    } else {
      o.table.rows(all);
      if (!o.table.el.isConnected) fill(el, o.table.el, foot);
    }
    foot.hidden = cursor === null;
    shownOnce = true;
    stands = true;
  }

  return { load };
}
