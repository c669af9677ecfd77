import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openLog, silentLog, type LogLevel } from './log.ts';

function capture(level?: LogLevel): { log: ReturnType<typeof openLog>; lines: () => Record<string, unknown>[] } {
  let text = '';
  const log = openLog({ scope: 'test', ...(level ? { level } : {}), write: (line) => void (text += line) });
  return {
    log,
    lines: () =>
      text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

describe('log', () => {
  it('writes one JSON line each with level, time, scope, message and fields', () => {
    const { log, lines } = capture();
    log.warn('Cannot dial', { host: 'a\nb', tries: 3 });
    const [line = {}, ...others] = lines();
    assert.equal(others.length, 0);
    const { time, ...rest } = line;
    assert.deepEqual(rest, { level: 'warn', scope: 'test', message: 'Cannot dial', host: 'a\nb', tries: 3 });
    assert.equal(new Date(String(time)).toISOString(), time);
  });

  it('gives children a scope below its own, once, and their fields to their children', () => {
    let text = '';
    const log = openLog({ scope: 'a', write: (line) => void (text += line) });
    log.child('b', { pod: 'x' }).child('c').info('Hello', { more: true });
    assert.equal(text.match(/"scope"/g)?.length, 1);
    const line = JSON.parse(text) as Record<string, unknown>;
    assert.equal(line['scope'], 'a.b.c');
    assert.equal(line['pod'], 'x');
    assert.equal(line['more'], true);
  });

  it('leaves out what is below its level', () => {
    const { log, lines } = capture('warn');
    log.debug('no');
    log.info('no');
    log.warn('yes');
    log.error('yes');
    assert.equal(lines().length, 2);
    const silent = capture('silent');
    silent.log.error('no');
    assert.equal(silent.lines().length, 0);
  });

  it('writes what JSON can say of fields, and the line without them otherwise', () => {
    const { log, lines } = capture();
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    log.info('Odd', { big: 2n ** 60n, nothing: undefined, circle });
    log.info('Even', { big: 2n ** 60n, nothing: undefined });
    const [odd, even] = lines();
    assert.equal(odd?.['message'], 'Odd');
    assert.match(String(odd?.['unwritable']), /circular/);
    assert.equal(even?.['big'], '1152921504606846976');
    assert.equal('nothing' in (even ?? {}), false);
  });

  it('has a silent kind', () => {
    const log = silentLog();
    log.child('x').error('nothing to see');
  });
});
