// Signing in: over the view, which stays with what was typed in it.

words({
  'signin.title': 'iclock', 'signin.key': 'API key', 'signin.show': 'Show',
  'signin.hide': 'Hide', 'signin.open': 'Open the console',
  'signin.kept': 'Kept for this tab until you sign out or {d} pass. Make one:',
  'signin.kept.short': 'Kept for this tab only.',
  'signin.how': 'How do I get a key?',
  'signin.shape': 'That is not the form of a key. It begins with ik_live_ or ik_test_ and has 64 characters.',
  'signin.unknown': 'This key is not known here, has expired, or was revoked.',
  'signin.revoked': 'This key does not work any more. It was revoked or has expired.',
  'signin.idle': 'The key was not used for a while, and this page has forgotten it.'
});

const makeKey = "SELECT iclock.create_api_key('ops', ARRAY["
  + "'devices:read', 'devices:write', 'users:read', 'users:write', "
  + "'logs:read', 'events:read', 'commands:read', 'commands:write']);";

let signing = null;
let signingFor = null;

function askKey() {
  if (signing) return;

  const input = h('input', { id: 'key', type: 'password', autocomplete: 'off',
    autocapitalize: 'none', spellcheck: 'false', required: true,
    'aria-describedby': 'key-wrong key-help' });
  const wrong = h('p.wrong', { id: 'key-wrong', role: 'alert' });
  const eye = button(t('signin.show'), () => {
    const hidden = input.type === 'password';

    input.type = hidden ? 'text' : 'password';
    text(eye, t(hidden ? 'signin.hide' : 'signin.show'));
    input.focus();
  });
  const act = h('button.primary', { type: 'submit' }, t('signin.open'));
  const small = innerWidth < 720;
  const make = [h('pre', makeKey), copyButton(makeKey)];

  signing = h('div.signin', { role: 'dialog', 'aria-modal': 'true',
    'aria-labelledby': 'signin-title' }, h('div',
    h('h1', { id: 'signin-title' }, t('signin.title')),
    session.ended ? h('p.why', { role: 'alert' }, t(session.ended)) : null,
    h('form', { on: { submit: (event) => {
      event.preventDefault();
      tryKey(input, wrong, act);
    } } },
    h('div.field', h('label', { for: 'key' }, t('signin.key')),
      h('div.keyline', input, eye),
      wrong, h('p.help', { id: 'key-help' }, small
        ? t('signin.kept.short')
        : t('signin.kept', { d: duration(setting('lock') * 60) }))),
    small ? h('details.make', h('summary', t('signin.how')), make)
      : h('div.make', make),
    act)));

  // a dialog would stand above this one; what it asks is not confirmed
  for (const box of document.querySelectorAll('dialog[open]')) box.close();
  signingFor = document.activeElement;
  frame.parts.shell.inert = true;
  document.body.append(signing);
  document.title = t('view.window', { title: t('signin.open') });
  input.focus();
}

async function tryKey(input, wrong, act) {
  const key = input.value.trim();
  const say = (what) => {
    fill(wrong, what);
    setProps(input, { 'aria-invalid': what.length ? 'true' : null });
    if (what.length) input.focus();
  };

  say([]);
  if (!keyForm.test(key)) {
    say([t('signin.shape')]);
    return;
  }
  act.disabled = true;
  try {
    signIn(key, await whose(key));
    input.value = '';
  } catch (e) {
    onlyProblem(e);
    say(e.status === 401 ? [t('signin.unknown')] : problemWords(e));
  } finally {
    act.disabled = false;
  }
}

// a server that is older than GET /key still says whether it knows the key
async function whose(key) {
  try {
    return (await api('GET', '/key', { key })).body;
  } catch (e) {
    if (!(e instanceof Problem) || e.code !== 'no_route') throw e;
  }
  try {
    await api('GET', '/devices', { key, query: { limit: 1 } });
  } catch (e) {
    if (!(e instanceof Problem) || e.code !== 'scope') throw e;
  }
  return { id: key.slice(8, 20), name: null, mode: key.slice(3, 7),
    scopes: null, sites: null, devices: null, expires_at: null,
    server: {}, features: null, conditions: null };
}

on('signed-out', () => {
  if (!frame.built) return;
  askKey();
});

on('forget', () => {
  if (!frame.built) return;
  closePanel();
  closeView();
  fill(frame.main);
  fill(frame.parts.strips);
});

on('signed-in', () => {
  frame.parts.shell.inert = false;
  if (!signing) return;
  signing.remove();
  signing = null;
  frame.first = false;
  // back to the field that somebody was in
  if (signingFor && signingFor !== document.body && signingFor.isConnected) {
    signingFor.focus({ preventScroll: true });
  }
});
