// Forms: label above, help below, what is wrong below that, in words.
//
//   field({ name, label, help, value, type, options, required, list, needs })
//       -> { el, input, name, value(), error(text) }
//       type: 'text' (default), 'select', 'checkbox', 'textarea', 'password';
//       options: ['a', ['value', 'words'], ...]; list: texts offered
//   form({ fields, act, kind, needs, more, send(values, changed) })
//       before, more: nodes above and beside the button; act: text of the button, or a function
//       of the values.  send() returns a promise; a Problem is shown at the
//       field that errors[].pointer names, and the focus goes to the first.
//       -> { el, fields: Map, values(), relabel() }

words({
  'form.required': 'Needed'
});

let fieldsMade = 0;

function field(o) {
  const id = 'f' + ++fieldsMade;
  const notes = [];
  const kind = o.type || 'text';
  const input = kind === 'select'
    ? h('select', { id, name: o.name })
    : h(kind === 'textarea' ? 'textarea' : 'input', { id, name: o.name,
      type: kind === 'textarea' ? null : kind,
      autocomplete: o.autocomplete || 'off', spellcheck: 'false',
      maxlength: o.maxlength || null, inputmode: o.inputmode || null,
      required: Boolean(o.required) });
  const wrong = h('p.wrong', { id: id + 'e', hidden: true });
  const help = o.help ? h('p.help', { id: id + 'h' }, o.help) : null;

  if (kind === 'select') {
    for (const each of o.options) {
      const [value, label] = Array.isArray(each) ? each : [each, each];

      input.append(h('option', { value, selected: value === o.value },
        clean(label)));
    }
    if (o.value !== undefined) input.value = o.value;
  } else if (kind === 'checkbox') {
    input.checked = Boolean(o.value);
  } else if (!absent(o.value)) {
    input.value = o.value;
  }

  if (help) notes.push(id + 'h');
  notes.push(id + 'e');
  input.setAttribute('aria-describedby', notes.join(' '));

  const list = o.list ? h('datalist', { id: id + 'l' },
    o.list.map((value) => h('option', { value }))) : null;

  if (list) input.setAttribute('list', id + 'l');

  const label = h('label', { for: id }, o.label);
  const el = kind === 'checkbox'
    ? h('div.field.tick', input, label, help, wrong)
    : h('div.field', label, input, list, help, wrong);

  const all = {
    el, input, name: o.name,
    value() {
      return kind === 'checkbox' ? input.checked : input.value.trim();
    },
    error(what) {
      wrong.hidden = !what;
      fill(wrong, what || '');
      setProps(input, { 'aria-invalid': what ? 'true' : null });
    }
  };

  input.addEventListener('input', () => all.error(''));
  if (o.on) input.addEventListener('input', () => o.on(all.value()));
  return all;
}

function form(o) {
  const fields = new Map(o.fields.map((f) => [f.name, f]));
  const wrong = h('p.wrong', { role: 'alert' });
  const act = button(label(), submit, { kind: o.kind || 'primary',
    needs: o.needs });
  const el = h('form', { on: { submit: (event) => {
    event.preventDefault();
    submit();
  }, input: () => relabel(), keydown: entered } },
  o.fields.map((f) => f.el), o.before || null, wrong, h('div.acts', act, o.more || null));

  // without a button of type "submit" only a form of one field does that
  function entered(event) {
    if (event.key === 'Enter' && !event.isComposing && event.target.matches(
      'input:not([type=checkbox]):not([type=search])')) {
      event.preventDefault();
      submit();
    }
  }

  function values() {
    const all = {};

    for (const [name, f] of fields) all[name] = f.value();
    return all;
  }

  function label() {
    return typeof o.act === 'function' ? o.act(values()) : o.act;
  }

  function relabel() {
    if (typeof o.act === 'function' && !act.hasAttribute('aria-disabled')) {
      fill(act, label());
    }
  }

  async function submit() {
    let first = null;

    if (act.disabled || act.hasAttribute('aria-disabled')) return;
    fill(wrong, '');
    for (const f of fields.values()) {
      const missing = f.input.required && !f.value();

      f.error(missing ? t('form.required') : '');
      if (missing && !first) first = f;
    }
    if (first) {
      first.input.focus();
      return;
    }

    act.disabled = true;
    try {
      await o.send(values());
    } catch (e) {
      onlyProblem(e);
      show(e);
    } finally {
      act.disabled = false;
    }
  }

  function show(problem) {
    let first = null;

    for (const each of problem.errors) {
      const name = (each.pointer || '').replace(/^#\//, '').split('/')[0];
      const f = fields.get(name);

      if (!f) continue;
      f.error(clean(each.detail));
      first = first || f;
    }
    // one error stands in "detail": "site is missing"
    if (!first) fill(wrong, problemWords(problem));
    else first.input.focus();
  }

  return { el, fields, values, relabel };
}
