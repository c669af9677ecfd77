/** Times in access logs: ISO 8601, or a pattern of strftime as Envoy takes it. Always UTC. */

/** `2026-11-23T05:11:34.046Z`. The seconds are remembered: most lines are of the same one as the last. */
export function createIsoFormatter(): (nowMs: number) => string {
  let knownSecond = Number.NaN;
  let upToSecond = '';
  return (nowMs) => {
    const wholeMs = Math.trunc(nowMs);
    const second = Math.floor(wholeMs / 1000);
    if (second !== knownSecond) {
      upToSecond = new Date(second * 1000).toISOString().slice(0, -'000Z'.length);
      knownSecond = second;
    }
    return `${upToSecond}${String(wholeMs - second * 1000).padStart(3, '0')}Z`;
  };
}

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

/** What is no known conversion stays as it is. */
export function formatTime(pattern: string, timeMs: number): string {
  const date = new Date(timeMs);
  return pattern.replaceAll(/%(\d?)([a-zA-Z%])/g, (whole, digits: string, letter: string) => {
    if (letter === 'f') return fraction(timeMs, digits === '' ? 9 : Number(digits));
    return digits === '' ? (conversion(letter, date, timeMs) ?? whole) : whole;
  });
}

function fraction(timeMs: number, digits: number): string {
  const nanoseconds = String(Math.round((timeMs - Math.floor(timeMs / 1000) * 1000) * 1e6)).padStart(9, '0');
  return nanoseconds.slice(0, digits);
}

function conversion(letter: string, date: Date, timeMs: number): string | undefined {
  const two = (value: number): string => String(value).padStart(2, '0');
  const iso = date.toISOString();
  const hour = date.getUTCHours();
  switch (letter) {
    case 'Y':
      return String(date.getUTCFullYear());
    case 'y':
      return two(date.getUTCFullYear() % 100);
    case 'm':
      return two(date.getUTCMonth() + 1);
    case 'd':
      return two(date.getUTCDate());
    case 'e':
      return String(date.getUTCDate()).padStart(2, ' ');
    case 'H':
      return two(hour);
    case 'I':
      return two(hour % 12 === 0 ? 12 : hour % 12);
    case 'p':
      return hour < 12 ? 'AM' : 'PM';
    case 'M':
      return two(date.getUTCMinutes());
    case 'S':
      return two(date.getUTCSeconds());
    case 's':
      return String(Math.floor(timeMs / 1000));
    case 'F':
      return iso.slice(0, 10);
    case 'T':
      return iso.slice(11, 19);
    case 'a':
      return days[date.getUTCDay()]?.slice(0, 3);
    case 'A':
      return days[date.getUTCDay()];
    case 'b':
    case 'h':
      return months[date.getUTCMonth()]?.slice(0, 3);
    case 'B':
      return months[date.getUTCMonth()];
    case 'j': {
      const start = Date.UTC(date.getUTCFullYear(), 0, 1);
      return String(Math.floor((timeMs - start) / 86_400_000) + 1).padStart(3, '0');
    }
    case 'z':
      return '+0000';
    case 'Z':
      return 'UTC';
    case '%':
      return '%';
    default:
      return undefined;
  }
}
