// Time, as it is written.  Moments are RFC 3339 texts in UTC; a local_time has
// no offset and is never given to Date.
//
//   duration(seconds)          8 s, 42 min, 3 h, 3 days
//   ago(moment)                8 s ago, by the server's clock; '–' for null
//   age(moment)                seconds since then, or null
//   timeOf(moment, zone)       15:11:02 in a zone (null: of no device, by the
//                              setting "times" UTC or that of the viewer)
//   dateOf(moment, zone)       20 Nov 2026
//   momentOf(moment, zone)     15:11:02 today, else 20 Nov, 15:11
//   stamp(ms)                  09:41:12 of no device, for "Updated"
//   punchTime({ timestamp, local_time, timezone })
//                              its time of day, by the setting "times"
//   punchDay(punch)            its day, YYYY-MM-DD, by the same
//   dayWords('2026-11-20')     Friday 20 November;  dateOfDay() 20 Nov 2026
//   zoneShown(zone)            whose time is shown there, by the same setting;
//                              format() asks it for what has no zone
//   zoneWords(zone)            "Asia/Kolkata", with a mark if it is unknown
//   zoneKnown(zone), zones()   all that the browser knows
//   skewWords(seconds)         { n, fast }  "14 min", true
//   viewerZone

words({
  'unit.s': '{n} s', 'unit.min': '{n} min', 'unit.h': '{n} h',
  'unit.day': { one: '{n} day', other: '{n} days' },
  'time.ago': '{d} ago', 'time.now': 'now',
  'time.unknownZone': '{zone} (unknown zone, shown as UTC)'
});

const viewerZone = Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC';
const formatters = new Map();
const known = new Map();

function zoneKnown(zone) {
  if (!known.has(zone)) {
    let fits = true;

    try {
      Intl.DateTimeFormat('en', { timeZone: zone });
    } catch (e) {
      fits = false;
    }
    known.set(zone, fits);
  }
  return known.get(zone);
}

function zones() {
  return typeof Intl.supportedValuesOf === 'function'
    ? ['UTC'].concat(Intl.supportedValuesOf('timeZone')) : ['UTC', viewerZone];
}

function zoneWords(zone) {
  if (!zone) return 'UTC';
  return zoneKnown(zone) ? zone : t('time.unknownZone', { zone });
}

const shapesOfTime = {
  time: { hour: '2-digit', minute: '2-digit', second: '2-digit',
    hourCycle: 'h23' },
  short: { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  date: { day: 'numeric', month: 'short', year: 'numeric' },
  near: { day: 'numeric', month: 'short' },
  day: { weekday: 'long', day: 'numeric', month: 'long' },
  iso: { year: 'numeric', month: '2-digit', day: '2-digit' },
  offset: { timeZoneName: 'shortOffset' }
};

function formatter(shape, zone) {
  const name = shape + ' ' + zone;

  if (!formatters.has(name)) {
    const where = zone && zoneKnown(zone) ? zone
      : zone ? 'UTC' : viewerZone;

    formatters.set(name, new Intl.DateTimeFormat(
      shape === 'iso' ? 'en-CA' : language,
      Object.assign({ timeZone: where }, shapesOfTime[shape])));
  }
  return formatters.get(name);
}

function format(shape, moment, zone) {
  const ms = typeof moment === 'number' ? moment : Date.parse(moment);

  if (!(ms === ms) || absent(moment)) return '–';
  if (setting('dates') === 'iso' && (shape === 'date' || shape === 'near')) {
    shape = 'iso';
  }
  return formatter(shape, zone || zoneShown(null)).format(ms);
}

function timeOf(moment, zone) {
  return format('time', moment, zone);
}

function dateOf(moment, zone) {
  return format('date', moment, zone);
}

function momentOf(moment, zone) {
  if (!moment) return '–';
  if (format('iso', moment, zone) === format('iso', now(), zone)) {
    return format('time', moment, zone);
  }
  return format('near', moment, zone) + ', ' + format('short', moment, zone);
}

function stamp(ms) {
  return format('time', ms, null);
}

function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));

  if (s < 60) return t('unit.s', { n: s });
  if (s < 5400) return t('unit.min', { n: Math.round(s / 60) });
  if (s < 172800) return t('unit.h', { n: Math.round(s / 3600) });
  return t('unit.day', { n: Math.floor(s / 86400) });
}

function age(moment) {
  const ms = moment ? Date.parse(moment) : NaN;

  return ms === ms ? Math.max(0, (now() - ms) / 1000) : null;
}

function ago(moment) {
  const seconds = age(moment);

  if (seconds === null) return '–';
  return seconds < 1 ? t('time.now') : t('time.ago', { d: duration(seconds) });
}

function skewWords(seconds) {
  return { d: duration(Math.abs(seconds)), fast: seconds > 0 };
}

function localParts(local) {
  return /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d)?)/.exec(local || '') || [];
}

// whoever looks has chosen one for all devices
const chosenZones = new Map([['mine', null], ['utc', 'UTC']]);

function zoneShown(zone) {
  const how = setting('times');

  return chosenZones.has(how) ? chosenZones.get(how) : zone;
}

// an hour that occurs twice bears its offset
function punchTime(p) {
  if (chosenZones.has(setting('times'))) {
    return timeOf(p.timestamp, zoneShown());
  }

  const local = localParts(p.local_time)[2] || timeOf(p.timestamp, p.timezone);

  return twice(p) ? local + ' ' + offsetOf(p.timestamp, p.timezone) : local;
}

function offsetOf(moment, zone) {
  const part = formatter('offset', zone).formatToParts(Date.parse(moment))
    .find((each) => each.type === 'timeZoneName');

  return part ? part.value : '';
}

function twice(p) {
  const ms = Date.parse(p.timestamp);

  if (!p.timezone || !zoneKnown(p.timezone) || !(ms === ms)) return false;

  const at = timeOf(ms, p.timezone);

  return timeOf(ms - 3600000, p.timezone) === at
    || timeOf(ms + 3600000, p.timezone) === at;
}

function punchDay(p) {
  if (chosenZones.has(setting('times'))) {
    return format('iso', p.timestamp, zoneShown());
  }
  return localParts(p.local_time)[1] || format('iso', p.timestamp, p.timezone);
}

function dayWords(day) {
  if (setting('dates') === 'iso') return day;
  return format('day', day + 'T12:00:00Z', 'UTC');
}

function dateOfDay(day) {
  return day ? dateOf(day + 'T12:00:00Z', 'UTC') : '–';
}
