import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../../lib/log.ts';
import type { WriteLines } from './access-logs.ts';
import { createLogFiles } from './log-files.ts';

const nowhere: WriteLines = (_, done) => done();

function write(lines: WriteLines, text: string): Promise<void> {
  return new Promise((resolve) => lines(text, resolve));
}

test('lines are appended to the file of their path', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-log-'));
  try {
    const file = join(folder, 'a.log');
    const lines = createLogFiles({ standardOutput: nowhere, standardError: nowhere, log: silentLog() })(file);
    await write(lines, 'one\n');
    await write(lines, 'two\n');
    assert.equal(readFileSync(file, 'utf8'), 'one\ntwo\n');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a file that cannot be written is said once, and nobody waits', async () => {
  let warnings = 0;
  const log = { ...silentLog(), warn: () => void warnings++ };
  const lines = createLogFiles({ standardOutput: nowhere, standardError: nowhere, log })('/nonexistent/a.log');
  await write(lines, 'one\n');
  await write(lines, 'two\n');
  assert.equal(warnings, 1);
});

test('standard output and error are what the process has', () => {
  const open = createLogFiles({ standardOutput: nowhere, standardError: nowhere, log: silentLog() });
  assert.equal(open('/dev/stdout'), nowhere);
  assert.equal(open('/dev/stderr'), nowhere);
});
