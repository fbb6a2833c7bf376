// Words, numbers, and what strangers have written.
//
//   words({ 'fleet.none': 'No devices yet.',
//           'fleet.needs': { one: '{n} needs you.', other: '{n} need you.' } })
//       adds to the one table of texts; each file adds its own.  {n} chooses
//       the plural form, where there are two, and is written as a number; any
//       other {name} stands for a text of the arguments.
//   t(key, args)        a string
//   tx(key, args)       nodes for h(): texts of the arguments stand in <bdi>,
//                       numbers do not; an argument may be a node
//   absent(value)       null or undefined, as members of an answer may be
//   number(n)           1,204        percent(0.34)    34 %
//   clean(text)         controls and marks of direction made visible
//   compare(a, b)       Intl.Collator, "Gate 9" before "Gate 10"
//   plain(text)         lower case, for searching

const table = new Map();

function words(more) {
  for (const key of Object.keys(more)) table.set(key, more[key]);
}

const language = navigator.languages || [navigator.language || 'en'];
const plurals = new Intl.PluralRules('en');
const numbers = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const collator = new Intl.Collator(language, { numeric: true });

function absent(value) {
  return value === null || value === undefined;
}

function number(n) {
  return absent(n) ? '–' : numbers.format(n);
}

function percent(ratio) {
  return absent(ratio) ? '–' : number(Math.round(ratio * 100)) + '\u00A0%';
}

function compare(a, b) {
  return collator.compare(a, b);
}

function plain(text) {
  return String(text).toLowerCase();
}

// what has no shape of its own, or changes the direction of what follows
const unseen = /[\u0000-\u001F\u007F-\u009F\u061C\u200B\u200E\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/g;

function clean(text) {
  return String(text).replace(unseen, (c) => {
    const code = c.charCodeAt(0);

    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return '\u27E8' + code.toString(16).toUpperCase().padStart(4, '0') + '\u27E9';
  });
}

function template(key, args) {
  const found = table.get(key);

  if (found === undefined) return key;
  if (typeof found === 'string') return found;
  return found[plurals.select(args ? args.n : 0)] || found.other;
}

function t(key, args) {
  return template(key, args).replace(/\{(\w+)\}/g, (all, name) => {
    const value = args && args[name];

    if (absent(value)) return '';
    if (typeof value === 'number') return number(value);
    return value instanceof Node ? value.textContent : clean(value);
  });
}

function tx(key, args) {
  return template(key, args).split(/(\{\w+\})/).map((part) => {
    const value = part[0] === '{' && args
      ? args[part.slice(1, -1)] : undefined;

    if (part[0] !== '{') return part;
    if (absent(value)) return '';
    if (typeof value === 'number') return number(value);
    return value instanceof Node ? value : data(value);
  });
}
