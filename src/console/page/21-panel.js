// What floats, and what came of an act.
//
//   panel({ title, fill(body, close), onClose })
//       at the end side, over the whole screen of a phone.  One at a time;
//       the focus goes back where it was.  -> { el, body, close }
//   closePanel()
//   await ask({ title, text, act, danger, typed })
//       a dialog for what cannot be undone -> true if it was confirmed; typed:
//       what has to be typed before
//   menu(label, [{ words, act, needs, danger, lead }])   a button with a list
//   strip(kids, { undo(note), undoWords })
//       a line of the status strip.  -> { say(...kids), done(), fail(...kids),
//       close(), undo(f or null, words) }.  It stays until it is dismissed, or
//       20 s after done(); fail() stays and speaks.
//   await doing(kids, promise, { done(answer), undo })
//       a strip for one request -> its answer, or undefined if it failed

words({
  'close': 'Close', 'back': 'Back', 'cancel': 'Cancel', 'undo': 'Undo',
  'dismiss': 'Dismiss', 'strip.label': 'What was done',
  'ask.typed': 'Type {text} to confirm'
});

const floating = { panel: null };

function panel(o) {
  closePanel();

  const before = document.activeElement;
  const body = h('div.body');
  const title = h('h2', { id: 'panel-title', tabindex: -1 }, o.title);
  const el = h('div.panel', {
    role: 'dialog', 'aria-labelledby': 'panel-title'
  }, h('div.bar-of-panel', button([icon('back'), h('span', t('back'))],
    () => close(), { kind: 'quiet.back' }), title,
  button(icon('close'), () => close(), { kind: 'quiet.close',
    label: t('close') })), body);

  const close = () => {
    if (floating.panel !== me) return;
    floating.panel = null;
    el.remove();
    flag(document.documentElement, 'with-panel', false);
    if (o.onClose) o.onClose();
    if (before && before.isConnected) before.focus({ preventScroll: true });
    else frame.main.focus({ preventScroll: true });
  };
  const me = { el, body, close };

  floating.panel = me;
  flag(document.documentElement, 'with-panel', true);
  frame.parts.shell.append(el);
  o.fill(body, close);
  // it may have chosen a field
  if (!el.contains(document.activeElement)) {
    title.focus({ preventScroll: true });
  }
  return me;
}

function closePanel() {
  if (floating.panel) floating.panel.close();
}

function ask(o) {
  return new Promise((answer) => {
    const typed = o.typed ? h('input', {
      type: 'text', autocomplete: 'off', id: 'typed', spellcheck: 'false',
      on: { input: check }
    }) : null;
    const act = button(o.act, () => box.close('yes'),
      { kind: o.danger ? 'danger' : 'primary' });
    const box = h('dialog', { 'aria-labelledby': 'ask-title' },
      h('h2', { id: 'ask-title' }, o.title),
      h('div.text', o.text),
      typed && h('label.field', { for: 'typed' },
        h('span', tx('ask.typed', { text: mono(o.typed) })), typed),
      h('div.acts', act, button(t('cancel'), () => box.close('no'))));

    function check() {
      act.disabled = typed.value !== String(o.typed);
    }
    if (typed) check();
    box.addEventListener('close', () => {
      box.remove();
      answer(box.returnValue === 'yes');
    });
    document.body.append(box);
    box.showModal();
  });
}

let menus = 0;

function menu(label, rows) {
  const id = 'menu-' + ++menus;
  const list = h('div.menu', { role: 'menu', id, hidden: true });
  const opener = button([label, icon('down')], () => toggle(list.hidden),
    {});
  const el = h('div.menu-of', opener, list);

  opener.setAttribute('aria-haspopup', 'menu');
  opener.setAttribute('aria-expanded', 'false');

  function toggle(on) {
    list.hidden = !on;
    opener.setAttribute('aria-expanded', String(on));
    if (on && list.firstElementChild) list.firstElementChild.focus();
  }

  for (const row of rows) {
    const b = button(row.words, () => {
      toggle(false);
      opener.focus();
      row.act();
    }, { kind: row.danger ? 'quiet.risk' : 'quiet', needs: row.needs });

    setProps(b, { role: 'menuitem', tabindex: -1 });
    list.append(b);
  }
  list.addEventListener('keydown', (event) => {
    const all = Array.from(list.children);
    const i = all.indexOf(document.activeElement);
    const to = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0,
      End: all.length - 1 }[event.key];

    if (to !== undefined) {
      event.preventDefault();
      all[(to + all.length) % all.length].focus();
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      toggle(false);
      opener.focus();
    }
  });
  el.addEventListener('focusout', (event) => {
    if (!el.contains(event.relatedTarget)) toggle(false);
  });
  return el;
}

function strip(kids, options) {
  const o = options || {};
  const line = h('span.said', kids);
  const acts = h('span.acts');
  const el = h('div.strip', line, acts,
    button(icon('close'), () => note.close(), { kind: 'quiet',
      label: t('dismiss') }));
  let timer = null;

  const note = {
    el,
    say(...more) {
      fill(line, ...more);
      announce(line.textContent);
    },
    done() {
      flag(el, 'over', true);
      announce(line.textContent);
      clearTimeout(timer);
      timer = setTimeout(() => note.close(), 20000);
    },
    fail(...more) {
      if (more.length) fill(line, ...more);
      fill(acts);
      flag(el, 'failed', true);
      alarm(line.textContent);
      clearTimeout(timer);
    },
    undo(f, label) {
      fill(acts, f && button(label || t('undo'), (event, b) => {
        b.disabled = true;
        f(note);
      }, { kind: 'quiet' }));
    },
    close() {
      clearTimeout(timer);
      // who has the focus in it is not left without
      if (el.contains(document.activeElement)) {
        frame.main.focus({ preventScroll: true });
      }
      el.remove();
    }
  };

  el.addEventListener('focusin', () => clearTimeout(timer));
  el.addEventListener('focusout', () => {
    if (el.classList.contains('over')) {
      timer = setTimeout(() => note.close(), 20000);
    }
  });
  if (o.undo) note.undo(o.undo, o.undoWords);
  frame.parts.strips.append(el);
  while (frame.parts.strips.children.length > 5) {
    frame.parts.strips.firstElementChild.remove();
  }
  return note;
}

async function doing(kids, promise, options) {
  const o = options || {};
  const note = strip(kids);

  try {
    const answer = await promise;
    const said = o.done ? o.done(answer, note) : null;

    if (said) note.say(said);
    if (o.undo) note.undo(() => o.undo(answer, note), o.undoWords);
    if (!o.goesOn) note.done();
    return answer;
  } catch (e) {
    onlyProblem(e);
    if (e.code === 'left') note.close();
    else note.fail(kids, ' ', problemWords(e));
    return undefined;
  }
}
