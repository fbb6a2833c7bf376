// The document, built from nodes and texts only.
//
//   h('button.primary', { on: { click: act }, 'aria-label': '...' }, kids...)
//       makes an element.  Classes stand behind the name; properties are those
//       of the list below; kids are texts, numbers, nodes, arrays of them;
//       null, false and undefined are left out.
//   data(text)          <bdi> with what a stranger has written
//   mono(text)          the same for serial numbers, PINs, codes
//   icon(name)          one of the symbols; it is hidden from screen readers
//   fill(el, kids...)   replaces what is in an element
//   text(el, string)    sets its text if it has changed
//   flag(el, class, on) sets or takes away a class
//   anchor(hash, kids...) <a> to a place of this page
//   button(kids, act, { kind, needs, label, title })
//       kind: 'primary', 'quiet', 'danger'; needs: a scope: without it the
//       button is dimmed, says which scope it needs, and does nothing
//   frames(f)           f runs in the next frame, once however often asked
//   spaced(ms, f)       -> soon(): f runs 0.3 s later, once however often
//                       asked, and not again within ms; soon.end()

const allowed = new RegExp('^(?:id|role|type|for|name|tabindex|title|value'
  + '|placeholder|autocomplete|autocapitalize|spellcheck|inputmode|dir|lang'
  + '|scope|rows|maxlength|minlength|min|max|step|required|list|pattern'
  + '|hidden|disabled|checked|selected|open|readonly|multiple|colspan'
  + '|datetime|aria-[a-z]+|data-[a-z-]+)$');

const properties = new Set(['value', 'checked', 'selected', 'hidden',
  'disabled', 'open', 'readonly', 'multiple', 'required']);

function h(name, ...rest) {
  const [tag, ...classes] = name.split('.');
  const el = document.createElement(tag);

  if (classes.length) el.className = classes.join(' ');

  const first = rest[0];
  const props = first && typeof first === 'object' && !(first instanceof Node)
    && !Array.isArray(first) ? rest.shift() : null;

  if (props) setProps(el, props);
  addKids(el, rest);
  return el;
}

function setProps(el, props) {
  for (const key of Object.keys(props)) {
    const value = props[key];

    if (key === 'on') {
      for (const type of Object.keys(value)) {
        el.addEventListener(type, value[type]);
      }

    } else if (value === null || value === undefined) {
      el.removeAttribute(key);

    } else if (properties.has(key) && typeof value === 'boolean') {
      if (key === 'readonly') el.readOnly = value;
      else el[key] = value;

    } else if (key === 'value') {
      el.value = value;

    } else if (key === 'href') {
      if (String(value)[0] === '#') el.setAttribute('href', value);

    } else if (allowed.test(key)) {
      el.setAttribute(key, String(value));
    }
  }
  return el;
}

function addKids(el, kids) {
  for (const kid of kids) {
    if (kid === null || kid === undefined || kid === false) continue;
    if (Array.isArray(kid)) addKids(el, kid);
    else el.append(kid instanceof Node ? kid : String(kid));
  }
  return el;
}

function fill(el, ...kids) {
  el.replaceChildren();
  return addKids(el, kids);
}

function text(el, string) {
  if (el.textContent !== string) el.textContent = string;
  return el;
}

function flag(el, name, on) {
  el.classList.toggle(name, Boolean(on));
  return el;
}

function data(value) {
  return h('bdi', { dir: 'auto' }, clean(value));
}

function mono(value) {
  return h('bdi.mono', { dir: 'ltr' }, clean(value));
}

function anchor(hash, ...kids) {
  return h('a', { href: hash }, ...kids);
}

function button(kids, act, options) {
  const o = options || {};
  const lacks = o.needs && !may(o.needs);
  const el = h('button' + (o.kind ? '.' + o.kind : ''), {
    type: 'button',
    title: o.title || null,
    'aria-label': o.label || null,
    'aria-disabled': lacks ? 'true' : null
  }, kids);

  if (lacks) {
    el.title = t('scope.needs', { scope: o.needs });
    el.append(h('span.hidden', ' ', el.title));
  }
  el.addEventListener('click', (event) => {
    if (el.getAttribute('aria-disabled') === 'true') {
      if (lacks) refused(o.needs);
      return;
    }
    act(event, el);
  });
  return el;
}

// 16 px, strokes of 1.5 in the colour of the text; "f" of a path is filled
const shapes = {
  online: [['f', 'M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3']],
  silent: [['', 'M8 3.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9']],
  new: [['', 'M8 3.5a4.5 4.5 0 1 0 0 9a4.5 4.5 0 0 0 0-9'],
    ['f', 'M8 3.5a4.5 4.5 0 0 1 0 9z']],
  blocked: [['', 'M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3M4.5 11.5l7-7']],
  clock: [['', 'M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 0 0 0-11M8 5v3l2.2 1.6']],
  stack: [['', 'M3 4.5h10M3 8h10M3 11.5h6M11.5 10l3 3m0-3l-3 3']],
  arrow: [['', 'M3 8h9.5M9 4.5L12.5 8L9 11.5']],
  warn: [['', 'M8 2.5L14 13H2zM8 6.5v3M8 11.2v.3']],
  key: [['', 'M5.5 7.5a3 3 0 1 0 0 .01M8.5 7.5H14v3M11.5 7.5v2']],
  full: [['', 'M3 3.5h10v9H3zM3 10h10'], ['f', 'M3 5.5h10v7H3z']],
  quiet: [['', 'M2.5 8h3l1-2l2 4l1-2h4']],
  missing: [['', 'M3 4.5h10M3 11.5h10M3 8h2M7 8h2M11 8h2']],
  search: [['', 'M7 3a4 4 0 1 0 0 8a4 4 0 0 0 0-8M10 10l3.5 3.5']],
  close: [['', 'M4 4l8 8M12 4l-8 8']],
  back: [['', 'M10 3.5L5.5 8l4.5 4.5']],
  down: [['', 'M4 6l4 4l4-4']],
  check: [['', 'M3 8.5l3.2 3.2L13 5']]
};

function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');

  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  for (const [kind, d] of shapes[name] || shapes.warn) {
    const path = document.createElementNS(space, 'path');

    path.setAttribute('d', d);
    if (kind === 'f') path.setAttribute('class', 'solid');
    svg.append(path);
  }
  return svg;
}

const nextFrame = new Set();

function frames(f) {
  if (nextFrame.size === 0) {
    requestAnimationFrame(() => {
      const now = Array.from(nextFrame);

      nextFrame.clear();
      for (const each of now) each();
    });
  }
  nextFrame.add(f);
}

function spaced(ms, f) {
  let timer = null;
  let asked = false;

  const run = () => {
    timer = asked ? setTimeout(run, ms) : null;
    if (!asked) return;
    asked = false;
    f();
  };
  const soon = () => {
    asked = true;
    if (timer === null) timer = setTimeout(run, 300);
  };

  soon.end = () => clearTimeout(timer);
  return soon;
}
