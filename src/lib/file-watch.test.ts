import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { createFakeClock } from './fake-clock.ts';
import { watchFile, type FileState } from './file-watch.ts';

describe('a watched file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-watch-'));
  after(() => rmSync(folder, { recursive: true }));

  test('is told of first, and then when what it holds changes, however it is replaced', async () => {
    for (const version of ['one', 'two', 'three']) {
      mkdirSync(join(folder, version));
      if (version !== 'three') writeFileSync(join(folder, version, 'file'), version);
    }
    const point = (version: string): void => {
      symlinkSync(version, join(folder, 'next'));
      renameSync(join(folder, 'next'), join(folder, 'current'));
    };
    point('one');
    const clock = createFakeClock();
    const stop = new AbortController();
    const told: FileState[] = [];
    let hear = Promise.withResolvers<void>();
    const onChange = (state: FileState): void => {
      told.push(state);
      hear.resolve();
    };
    await watchFile({ path: join(folder, 'current/file'), everyMs: 1000, clock, signal: stop.signal, onChange });
    assert.equal(told.length, 1);
    for (const version of ['two', 'three', 'one']) {
      hear = Promise.withResolvers();
      point(version);
      clock.advance(1000);
      await hear.promise;
      // The next look is planned once this one is over.
      while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    stop.abort();
    assert.equal(clock.pending, 0, 'nothing looks any more');
    assert.deepEqual(
      told.map((state) => (state.kind === 'read' ? state.bytes.toString() : state.reason.split(':')[0])),
      ['one', 'two', 'ENOENT', 'one'],
    );
  });
});
