import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileJsonFormat, compileTextFormat, parseJsonFormat, type OperatorResolver } from './access-format.ts';
import { createIsoFormatter, formatTime } from './log-time.ts';

type Subject = Readonly<Record<string, string | number>>;

/** `%GET(name)%`, `%TIME(pattern)%` */
const resolve: OperatorResolver<Subject> = (name, argument) => {
  if (name === 'GET') return (subject) => subject[argument ?? ''];
  if (name === 'TIME') return () => formatTime(argument ?? '', Date.UTC(2026, 10, 23, 5, 7, 9, 46));
  return undefined;
};

const text = (template: string, subject: Subject = {}): string => compileTextFormat(template, resolve)(subject);

test('operators stand for values, and what has none is a dash', () => {
  assert.equal(text('a %GET(x)% "%GET(y)%" %GET(z)%\n', { x: 1, y: 'two' }), 'a 1 "two" -');
});

test('a value is cut at the length, a number is not', () => {
  assert.equal(text('%GET(x):3%|%GET(n):2%', { x: 'abcdef', n: 12_345 }), 'abc|12345');
});

test('a percent sign is written twice, and may stand in an argument', () => {
  assert.equal(text('100%% %TIME(%Y/%m/%d %H:%M:%S.%3f %s)%'), '100% 2026/11/23 05:07:09.046 1795410429');
});

test('a format that says nothing sensible is refused', () => {
  assert.throws(() => text('%NOPE%'), { code: 'telemetry.bad-format', message: /there is no operator "NOPE"/ });
  assert.throws(() => text('50% off'), /there is no operator at "% off"/);
  assert.throws(() => parseJsonFormat('{"a":[1]}'), { code: 'telemetry.bad-format' });
  assert.throws(() => parseJsonFormat('{'), /it is not JSON/);
});

test('a field of JSON keeps its type, is null without a value, and escapes what it must', () => {
  const format = parseJsonFormat(
    '{"n":"%GET(n)%","s":"%GET(s)%","none":"%GET(none)%","mixed":"%GET(n)%-%GET(none)%","in":{"k":"v","t":true}}',
  );
  const line = compileJsonFormat(format, resolve)({ n: 5, s: 'a"b\\c\u0007' });
  assert.equal(line, '{"n":5,"s":"a\\"b\\\\c\\u0007","none":null,"mixed":"5--","in":{"k":"v","t":true}}');
  assert.deepEqual((JSON.parse(line) as { s: string }).s, 'a"b\\c\u0007');
});

test('times are written as strftime writes them', () => {
  const at = Date.UTC(2026, 0, 2, 15, 4, 5, 6);
  assert.equal(
    formatTime('%a %A %b %B %e %j %I%p %T %F %y %z %Z %% %f %6f %q', at),
    'Fri Friday Jan January  2 002 03PM 15:04:05 2026-01-02 26 +0000 UTC % 006000000 006000 %q',
  );
});

test('ISO times of one second and the next', () => {
  const format = createIsoFormatter();
  const at = Date.UTC(2026, 0, 2, 15, 4, 5, 6);
  for (const ms of [at, at + 1, at + 993, at + 994, at - 5000]) assert.equal(format(ms), new Date(ms).toISOString());
});
