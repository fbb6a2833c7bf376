// Lists of any length: only the rows that can be seen are in the document.
//
//   const g = grid({
//     label: 'Devices',              // for screen readers
//     columns: [{ id: 'name', title: 'Device', width: 'minmax(10rem, 2fr)',
//                 by(row) { return row.name; },   // sorts: text, number, null
//                 exact: true,       // codes: not by the rules of a language
//                 num: true,         // at the end side, tabular
//                 fill(cell, row) { text(cell, row.name); },
//                 area: 'a',         // narrow: a first line, b its end,
//                                    // c second line, d its end; none: hidden
//                 mid: false }],     // not in tables of middling width
//     key(row) { return row.id; },
//     open(row) {},                  // Enter, click; absent: nothing happens
//     act(row) {},                   // key "a"
//     select(set) {},                // rows can be selected; a Set of keys
//     sort: '-call',                 // column, "-" before it: downwards
//     sorted(sort) {},               // its user has chosen another one
//     empty() { return node; } });
//   g.el; g.rows(list) all rows; g.refresh() what they show has changed;
//   g.focus(key); g.selected; g.clear() the selection; g.count
//
//   redo(cell, state, build)    fills a cell only if its state is another one
//
// Rows move by transform and are filled again, never made anew.  The one that
// has the focus stays.  Rows have one tab stop; arrows, Home, End, Page move.

words({
  'grid.page': 'Rows {from} to {to} of {of}', 'grid.before': 'Before',
  'grid.next': 'Next', 'grid.select': 'Select'
});

const spare = 8;
const perPage = 100;
const coarse = window.matchMedia('(pointer: coarse)');

function redo(cell, state, build) {
  if (cell.seenState === state) return;
  cell.seenState = state;
  fill(cell, build());
}

function grid(o) {
  const columns = o.select ? [selector()].concat(o.columns) : o.columns;
  const bodyEl = h('div.rows', { role: 'rowgroup' });
  const headRow = h('div.row.heads', { role: 'row', 'aria-rowindex': 1 });
  const none = h('div.none', { hidden: true });
  const pager = h('nav.pager', { hidden: true, 'aria-label': o.label });
  const table = h('div.table', { role: 'grid', 'aria-label': o.label,
    'aria-multiselectable': o.select ? 'true' : null },
  h('div', { role: 'rowgroup' }, headRow), bodyEl);
  // it comes with its rows, in the place of grey bars: nothing moves
  const el = h('div.grid', { hidden: true }, table, none, pager);

  const pool = new Map();              // index -> element
  const ranks = new Map();             // column -> text -> place
  const selected = new Set();
  let all = [];
  let list = [];
  let sort = o.sort || '';
  let active = 0;
  let activeKey = null;
  let page = 0;
  let height = 44;
  let mode = '';
  let looked = false;

  for (const c of columns) headRow.append(headCell(c));

  function headCell(c) {
    const cell = h('div.cell.c-' + c.id + (c.num ? '.num' : '')
      + (c.mid === false ? '.wide-only' : ''),
      { role: 'columnheader' });

    if (c.by) {
      cell.append(button([c.title, h('span.order', { 'aria-hidden': 'true' })],
        () => resort(c.id), { kind: 'quiet.sorter' }));
      cell.firstChild.tabIndex = -1;
      cell.firstChild.addEventListener('keydown', headKeys);
    } else if (c.head) {
      cell.append(c.head());
    } else {
      cell.append(c.title || h('span.hidden', '–'));
    }
    c.headCell = cell;
    return cell;
  }

  function headKeys(event) {
    const buttons = Array.from(headRow.querySelectorAll('button'))
      .filter((each) => each.offsetParent);
    const i = buttons.indexOf(event.currentTarget);

    if (event.key === 'ArrowDown') focusRow(from());
    else if (event.key === 'ArrowRight' && buttons[i + 1]) buttons[i + 1].focus();
    else if (event.key === 'ArrowLeft' && i) buttons[i - 1].focus();
    else return;
    event.preventDefault();
  }

  function selector() {
    return {
      id: 'select', title: '', width: '2rem', area: '',
      fill(cell, row) {
        const key = o.key(row);

        redo(cell, 'made', () => h('input', { type: 'checkbox', tabindex: -1,
          on: { click: (event) => {
            event.stopPropagation();
            pick(cell.pick);
          } } }));
        cell.pick = key;
        cell.firstChild.checked = selected.has(key);
        cell.firstChild.setAttribute('aria-label', t('grid.select') + ' '
          + (o.name ? o.name(row) : key));
      }
    };
  }

  function pick(key) {
    if (selected.has(key)) selected.delete(key);
    else selected.add(key);
    refresh();
    o.select(selected);
  }

  function resort(id) {
    sort = sort === id ? '-' + id : id;
    order();
    if (o.sorted) o.sorted(sort);
    draw(true);
  }

  // texts by their place among all texts of the column: collating is slow
  function rank(c, values) {
    let places = ranks.get(c.id);

    if (!places || values.some((v) => typeof v === 'string' && !places.has(v))) {
      const texts = Array.from(new Set(values.filter(
        (v) => typeof v === 'string')));

      if (c.exact) texts.sort();
      else texts.sort(compare);

      places = new Map(texts.map((v, i) => [v, i]));
      ranks.set(c.id, places);
    }
    return places;
  }

  function order() {
    const down = sort[0] === '-';
    const c = columns.find((each) => each.id === sort.replace('-', ''));

    for (const each of columns) {
      if (!each.by) continue;
      setProps(each.headCell, { 'aria-sort': each !== c ? null
        : down ? 'descending' : 'ascending' });
    }
    if (!c || !c.by) {
      list = all;
    } else {
      const values = all.map((row) => c.by(row));
      const places = rank(c, values);
      const keys = Float64Array.from(values, (v) => {
        if (v === null || v === undefined) return Infinity;

        const n = typeof v === 'string' ? places.get(v) : Number(v);

        return down ? -n : n;
      });
      const indices = Uint32Array.from(all.keys());

      indices.sort((a, b) => keys[a] === keys[b] ? a - b
        : keys[a] < keys[b] ? -1 : 1);
      list = Array.from(indices, (i) => all[i]);
    }

    const at = activeKey === null ? -1
      : list.findIndex((row) => o.key(row) === activeKey);

    active = at >= 0 ? at : Math.min(active, Math.max(0, list.length - 1));
    activeKey = list.length ? o.key(list[active]) : null;
    turn();
  }

  // to a page that there is; the row that Tab comes to is on it
  function turn() {
    page = Math.max(0, Math.min(page, Math.ceil(list.length / perPage) - 1));
    if (list.length && (active < from() || active >= to())) {
      active = from();
      activeKey = o.key(list[active]);
    }
  }

  function from() {
    return setting('pages') ? Math.min(page * perPage,
      Math.max(0, list.length - 1)) : 0;
  }

  function to() {
    return setting('pages') ? Math.min(list.length, from() + perPage)
      : list.length;
  }

  function measure() {
    const unit = parseFloat(getComputedStyle(document.documentElement).fontSize)
      / 16;
    const width = el.clientWidth / unit;
    const next = width >= 1000 ? 'wide' : width >= 640 ? 'mid' : 'narrow';
    const tall = next === 'narrow' ? 64
      : setting('rows') === 'compact' && !coarse.matches ? 32 : 44;

    if (next === mode && height === tall * unit) return;
    mode = next;
    height = tall * unit;
    table.dataset.mode = mode;
    table.style.setProperty('--row', height + 'px');
    table.style.setProperty('--cols', columns
      .filter((c) => mode === 'wide' || c.mid !== false)
      .map((c) => c.width || 'minmax(0, 1fr)').join(' '));
  }

  function rowEl() {
    const row = h('div.row', { role: 'row', tabindex: -1 });

    row.cells = columns.map((c) => {
      const cell = h('div.cell.c-' + c.id + (c.num ? '.num' : '')
        + (c.mid === false ? '.wide-only' : '')
        + (c.area ? '.a-' + c.area : '.no-area'), { role: 'gridcell' });

      row.append(cell);
      return cell;
    });
    row.addEventListener('click', (event) => {
      if (event.target.closest('a, button, input')) return;
      moveTo(row.index, false);
      if (o.open && !String(getSelection())) o.open(row.of);
    });
    row.addEventListener('focus', () => moveTo(row.index, false));
    bodyEl.append(row);
    return row;
  }

  function place(row, index) {
    row.index = index;
    row.of = list[index];
    row.setAttribute('aria-rowindex', index + 2);
    row.style.transform = 'translateY(' + (index - from()) * height + 'px)';
    row.hidden = false;
    write(row);
  }

  function write(row) {
    const key = o.key(row.of);

    row.tabIndex = row.index === active ? 0 : -1;
    if (o.select) row.setAttribute('aria-selected', String(selected.has(key)));
    if (o.mark) row.dataset.mark = o.mark(row.of) || '';
    columns.forEach((c, i) => c.fill(row.cells[i], row.of));
  }

  // a button in it keeps its focus
  function redoWords(words) {
    if (none.textContent !== words.textContent) fill(none, words);
  }

  // again: rows that stay are filled, too
  function draw(again) {
    if (!el.isConnected || el.hidden) return;
    measure();

    const n = to() - from();
    const top = bodyEl.getBoundingClientRect().top;
    const first = from() + Math.max(0, Math.min(n,
      Math.floor(-top / height) - spare));
    const last = from() + Math.max(0, Math.min(n,
      Math.ceil((window.innerHeight - top) / height) + spare));
    const free = [];

    bodyEl.style.height = n * height + 'px';
    table.setAttribute('aria-rowcount', list.length + 1);
    none.hidden = list.length > 0 || !looked;
    if (!none.hidden && o.empty) redoWords(o.empty());

    for (const [index, row] of pool) {
      const stays = index === active && index < to() && index >= from();

      if ((index < first || index >= last) && !stays) {
        pool.delete(index);
        free.push(row);
      } else if (again) {
        place(row, index);
      }
    }
    const wanted = [];

    if (n && active >= from() && active < to()) wanted.push(active);
    for (let i = first; i < last; i++) wanted.push(i);
    for (const i of wanted) {
      if (pool.has(i)) continue;

      const row = free.pop() || rowEl();

      pool.set(i, row);
      place(row, i);
    }
    for (const row of free) row.remove();
    drawPager(n);
  }

  function drawPager(n) {
    const paged = setting('pages') && list.length > perPage;

    pager.hidden = !paged;
    if (!paged) return;

    const state = page + ' ' + list.length;

    redo(pager, state, () => [
      pageButton(t('grid.before'), page - 1, page > 0),
      h('span', t('grid.page', { from: from() + 1, to: from() + n,
        of: list.length })),
      pageButton(t('grid.next'), page + 1, to() < list.length)]);
  }

  function pageButton(label, next, fits) {
    const b = button(label, () => {
      page = next;
      active = from();
      for (const row of pool.values()) row.remove();
      pool.clear();
      el.scrollIntoView();
      draw(true);
    });

    b.disabled = !fits;
    return b;
  }

  function moveTo(index, focus) {
    const before = pool.get(active);

    active = Math.max(from(), Math.min(to() - 1, index));
    activeKey = list.length ? o.key(list[active]) : null;
    if (before) before.tabIndex = -1;
    if (!pool.has(active)) draw(false);

    const row = pool.get(active);

    if (!row) return;
    row.tabIndex = 0;
    if (focus) {
      row.focus({ preventScroll: true });
      row.scrollIntoView({ block: 'nearest' });
    }
  }

  function focusRow(index) {
    if (list.length) moveTo(index, true);
  }

  table.addEventListener('keydown', (event) => {
    const row = event.target.closest('.rows > .row');

    if (!row || event.ctrlKey || event.altKey || event.metaKey) return;

    const leap = Math.max(1, Math.floor(window.innerHeight / height) - 4);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: leap, PageUp: -leap };
    const quick = setting('shortcuts') ? { j: 1, k: -1 } : {};
    const step = steps[event.key] || quick[event.key];

    if (event.key === 'ArrowUp' && active === from() && event.target === row) {
      const sorter = headRow.querySelector('button');

      if (sorter && sorter.offsetParent) sorter.focus();
    } else if (step) {
      focusRow(active + step);
    } else if (event.key === 'Home') {
      focusRow(from());
    } else if (event.key === 'End') {
      focusRow(to() - 1);
    } else if (event.key === 'Enter' && event.target === row) {
      if (o.open) o.open(row.of);
    } else if (event.key === ' ' && event.target === row && o.select) {
      pick(o.key(row.of));
    } else if (event.key === 'a' && setting('shortcuts') && o.act) {
      o.act(row.of);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  });

  function refresh() {
    frames(redraw);
  }

  const redraw = () => draw(true);
  const moved = () => frames(scrolled);
  const scrolled = () => draw(false);

  // it listens for as long as it is in the document
  const watcher = new ResizeObserver(() => frames(redraw));

  watcher.observe(el);
  window.addEventListener('scroll', moved, { passive: true });
  window.addEventListener('resize', moved, { passive: true });

  const offs = [on('tick', () => {
    if (el.isConnected) refresh();
    else end();
  }), on('settings', refresh)];

  function end() {
    watcher.disconnect();
    window.removeEventListener('scroll', moved);
    window.removeEventListener('resize', moved);
    for (const off of offs) off();
  }

  return {
    el, selected, refresh,
    get count() {
      return list.length;
    },
    get shown() {
      return list;
    },
    rows(next) {
      const had = pool.get(active);
      const focused = had && had.contains(document.activeElement);

      all = next;
      looked = true;
      el.hidden = false;
      order();
      // an element keeps its focus when its row gets another place
      if (focused && list.length) {
        for (const [index, row] of pool) {
          if (row !== had) continue;
          pool.delete(index);
        }
        const other = pool.get(active);

        if (other) {
          pool.delete(active);
          other.remove();
        }
        pool.set(active, had);
      }
      draw(true);
    },
    focus(key) {
      const index = list.findIndex((row) => o.key(row) === key);

      if (index >= 0) focusRow(index);
    },
    first() {
      focusRow(active);
    },
    sort(next) {
      if (next === sort) return;
      sort = next;
      order();
      draw(true);
    },
    clear() {
      selected.clear();
      refresh();
      if (o.select) o.select(selected);
    }
  };
}
