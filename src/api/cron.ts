/** Cron schedules as CronJobs write them (`github.com/robfig/cron/v3`, standard parser): five fields, names, steps, `@hourly`. */

export interface CronSchedule {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly days: ReadonlySet<number>;
  readonly months: ReadonlySet<number>;
  readonly weekdays: ReadonlySet<number>;
  /** `*` in both fields of days: each day; in one: the other alone counts; in none: either is enough. */
  readonly anyDay: boolean;
  readonly anyWeekday: boolean;
}

/** `@every 90m`: fixed steps from the time before. */
export interface IntervalSchedule {
  readonly everyMs: number;
}

export type Schedule = CronSchedule | IntervalSchedule;

const macros: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const monthNames = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

/** Throws an Error that says what is wrong. */
export function parseSchedule(text: string): Schedule {
  if (/^(CRON_)?TZ=/.test(text)) throw new Error('cannot use TZ or CRON_TZ in schedule, use timeZone field instead');
  const every = /^@every (.+)$/.exec(text)?.[1];
  if (every !== undefined) return { everyMs: parseInterval(every) };
  const fields = (macros[text] ?? text).trim().split(/\s+/);
  if (text.startsWith('@') && macros[text] === undefined) throw new Error(`unrecognized descriptor: ${text}`);
  if (fields.length !== 5) throw new Error(`expected exactly 5 fields, found ${fields.length}: [${fields.join(' ')}]`);
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields;
  const isAny = (field: string): boolean => /^[*?](\/1)?$/.test(field);
  return {
    minutes: parseField(minute, 0, 59),
    hours: parseField(hour, 0, 23),
    days: parseField(day, 1, 31),
    months: parseField(month, 1, 12, monthNames, 1),
    weekdays: parseField(weekday, 0, 6, dayNames, 0),
    anyDay: isAny(day),
    anyWeekday: isAny(weekday),
  };
}

export function scheduleProblem(text: string): string | undefined {
  try {
    parseSchedule(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : 'is no schedule';
  }
}

export function timeZoneProblem(zone: string): string | undefined {
  if (zone === '') return 'timeZone must be nil or non-empty string';
  if (zone.toLowerCase() === 'local')
    return 'timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones';
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: zone });
    return undefined;
  } catch {
    return `unknown time zone ${zone}`;
  }
}

const searchDays = 5 * 366;

/** The first time after `afterMs`, at second 0; undefined when there is none within five years (`0 0 30 2 *`). */
export function nextTime(schedule: Schedule, afterMs: number, timeZone: string): number | undefined {
  if ('everyMs' in schedule) return Math.floor(afterMs / 1000) * 1000 + schedule.everyMs;
  let atMs = (Math.floor(afterMs / 60_000) + 1) * 60_000;
  const format = formatter(timeZone);
  const lastMs = atMs + searchDays * 86_400_000;
  while (atMs < lastMs) {
    const wall = wallClock(format, atMs);
    if (!matchesDay(schedule, wall)) {
      // On to the next midnight; an hour that the clock skips or repeats ends the step early or within that day.
      atMs += Math.max(1, Math.min(24 * 60 - wall.hour * 60 - wall.minute, 22 * 60)) * 60_000;
    } else if (!schedule.hours.has(wall.hour)) atMs += (60 - wall.minute) * 60_000;
    else if (!schedule.minutes.has(wall.minute)) atMs += 60_000;
    else return atMs;
  }
  return undefined;
}

interface WallClock {
  readonly minute: number;
  readonly hour: number;
  readonly day: number;
  readonly month: number;
  readonly weekday: number;
}

function matchesDay(schedule: CronSchedule, { day, month, weekday }: WallClock): boolean {
  if (!schedule.months.has(month)) return false;
  const [byDay, byWeekday] = [schedule.days.has(day), schedule.weekdays.has(weekday)];
  return schedule.anyDay || schedule.anyWeekday ? byDay && byWeekday : byDay || byWeekday;
}

function formatter(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    weekday: 'short',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
}

function wallClock(format: Intl.DateTimeFormat, atMs: number): WallClock {
  const parts = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, value]));
  return {
    minute: Number(parts['minute']),
    hour: Number(parts['hour']),
    day: Number(parts['day']),
    month: Number(parts['month']),
    weekday: dayNames.indexOf((parts['weekday'] ?? '').toLowerCase()),
  };
}

/** `*`, `5`, `1-5`, `*\/15`, `10/5`, `mon-fri`, and lists of these. */
function parseField(
  field: string,
  min: number,
  max: number,
  names: readonly string[] = [],
  firstName = 0,
): ReadonlySet<number> {
  const result = new Set<number>();
  for (const part of field.split(',')) {
    const [range = '', stepText, ...more] = part.split('/');
    if (more.length > 0) throw new Error(`too many slashes: ${part}`);
    const step = stepText === undefined ? 1 : parseNumber(stepText, part);
    if (step === 0) throw new Error(`step of range should be a positive number: ${part}`);
    const [lowText = '', highText, ...rest] = range.split('-');
    if (rest.length > 0) throw new Error(`too many hyphens: ${part}`);
    const value = (text: string): number => {
      const at = names.indexOf(text.toLowerCase());
      return at >= 0 ? at + firstName : parseNumber(text, part);
    };
    const isAny = range === '*' || range === '?';
    const low = isAny ? min : value(lowText);
    const high = isAny || (highText === undefined && stepText !== undefined) ? max : value(highText ?? lowText);
    if (low < min) throw new Error(`beginning of range (${low}) below minimum (${min}): ${part}`);
    if (high > max) throw new Error(`end of range (${high}) above maximum (${max}): ${part}`);
    if (low > high) throw new Error(`beginning of range (${low}) beyond end of range (${high}): ${part}`);
    for (let i = low; i <= high; i += step) result.add(i);
  }
  return result;
}

function parseNumber(text: string, part: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`failed to parse int from ${text}: ${part}`);
  return Number(text);
}

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** Go's durations, in whole seconds and at least one. */
function parseInterval(text: string): number {
  if (!/^([\d.]+(h|ms|m|s))+$/.test(text)) throw new Error(`failed to parse duration @every ${text}`);
  let total = 0;
  for (const [, number, unit = ''] of text.matchAll(/([\d.]+)(h|ms|m|s)/g))
    total += Number(number) * (unitMs[unit] ?? 0);
  return Math.max(1000, Math.floor(total / 1000) * 1000);
}
