/** String formats that a schema may ask for: those that kube-apiserver checks (`kube-openapi/pkg/validation/strfmt`); others say nothing. */
import { isIPv4, isIPv6 } from 'node:net';

type FormatCheck = (text: string) => boolean;

/** The check of a format by its name in a schema; undefined when the name means nothing, as `int32` does in a custom kind. */
export function formatCheck(format: string): FormatCheck | undefined {
  return checks[format.replaceAll('-', '')];
}

/** A Go duration: `1h30m`, `-1.5s`, `0`. Its length in nanoseconds, or undefined. */
export function goDurationNanos(text: string): bigint | undefined {
  const [, sign = '', rest = ''] = /^([-+]?)(.*)$/s.exec(text) ?? [];
  if (rest === '0') return 0n;
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) return undefined;
  let total = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of rest.matchAll(/(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g)) {
    const size = nanosPerUnit[unit] ?? 0n;
    const digits = fraction.slice(0, 15);
    total += BigInt(whole === '' ? 0 : whole) * size;
    if (digits !== '') total += (BigInt(digits) * size) / 10n ** BigInt(digits.length);
  }
  return sign === '-' ? -total : total;
}

const nanosPerUnit: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

const hex = '[0-9a-fA-F]';
const uuid = (version: string, variant = hex): FormatCheck =>
  matches(new RegExp(`^${hex}{8}-?${hex}{4}-?${version}${hex}{3}-?${variant}${hex}{3}-?${hex}{12}$`));

const checks: Readonly<Record<string, FormatCheck>> = {
  bsonobjectid: matches(/^[0-9a-fA-F]{24}$/),
  uri: isRequestUri,
  email: isEmail,
  hostname: isHostname,
  ipv4: isIPv4,
  // As Go: an IPv4 address is not one.
  ipv6: isIPv6,
  cidr: isCidr,
  mac: matches(/^(?:[0-9a-fA-F]{2}([:-]))(?:[0-9a-fA-F]{2}\1){4}(?:[0-9a-fA-F]{2}\1){0,2}[0-9a-fA-F]{2}$/),
  uuid: uuid(hex),
  uuid3: uuid('3'),
  uuid4: uuid('4', '[89abAB]'),
  uuid5: uuid('5', '[89abAB]'),
  isbn: (text) => isIsbn10(text) || isIsbn13(text),
  isbn10: isIsbn10,
  isbn13: isIsbn13,
  ssn: matches(/^\d{3}[- ]?\d{2}[- ]?\d{4}$/),
  hexcolor: matches(/^#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$/),
  byte: (text) => text !== '' && isBase64(text),
  date: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && isCalendarDate(text),
  datetime: isDateTime,
  duration: (text) => goDurationNanos(text) !== undefined || isWordyDuration(text),
  k8sshortname: (text) => text.length <= 63 && /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/.test(text),
  k8slongname: (text) =>
    text.length <= 253 && text.split('.').every((part) => /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/.test(part)),
};

function matches(pattern: RegExp): FormatCheck {
  return (text) => pattern.test(text);
}

/** RFC 3339 `date-time`; the API server also takes a space or a lower-case `t`. */
function isDateTime(text: string): boolean {
  const [, date, hours = '', minutes = '', seconds = ''] =
    /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:[zZ]|[-+]\d{2}:\d{2})$/.exec(text) ?? [];
  if (date === undefined || !isCalendarDate(date)) return false;
  return Number(hours) < 24 && Number(minutes) < 60 && Number(seconds) < 60;
}

function isCalendarDate(date: string): boolean {
  const ms = Date.parse(`${date}T00:00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(date);
}

/** Go's `url.ParseRequestURI`: absolute, or a rooted path. */
function isRequestUri(text: string): boolean {
  if (text.startsWith('/')) return !/[\s\p{Cc}]/u.test(text);
  return /^[a-zA-Z][a-zA-Z0-9+.-]*:/.test(text) && !/[\s\p{Cc}]/u.test(text) && URL.canParse(text);
}

function isEmail(text: string): boolean {
  const address = /^[^<>]*<([^<>]+)>$/.exec(text)?.[1] ?? text;
  return /^[^\s@<>()[\]\\,;:"]+@[^\s@<>()[\]\\,;:"]+$/.test(address);
}

function isHostname(text: string): boolean {
  if (text.length > 255) return false;
  const labels = text.replace(/\.$/, '').split('.');
  return labels.every((label) => /^[a-zA-Z0-9](?:[-_a-zA-Z0-9]{0,61}[a-zA-Z0-9])?$/.test(label));
}

function isCidr(text: string): boolean {
  const [, address = '', length = ''] = /^(.*)\/(\d{1,3})$/.exec(text) ?? [];
  if (isIPv4(address)) return Number(length) <= 32;
  return isIPv6(address) && !address.includes('%') && Number(length) <= 128;
}

function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

function isIsbn10(text: string): boolean {
  const digits = text.replaceAll(/[\s-]/g, '');
  if (!/^\d{9}[\dX]$/.test(digits)) return false;
  const sum = Array.from(digits).reduce(
    (total, digit, i) => total + (digit === 'X' ? 10 : Number(digit)) * (10 - i),
    0,
  );
  return sum % 11 === 0;
}

function isIsbn13(text: string): boolean {
  const digits = text.replaceAll(/[\s-]/g, '');
  if (!/^\d{13}$/.test(digits)) return false;
  return Array.from(digits).reduce((total, digit, i) => total + Number(digit) * (i % 2 === 0 ? 1 : 3), 0) % 10 === 0;
}

/** `3 days`, `22 ns`: the Scala form that strfmt also reads. */
function isWordyDuration(text: string): boolean {
  return /^(?:\d+\s*(?:ns|nanoseconds?|us|µs|microseconds?|ms|milliseconds?|s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|weeks?)\s*)+$/.test(
    text,
  );
}
