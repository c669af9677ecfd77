import { deepEqual, equal, ok } from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeAtomicFolder } from './atomic-folder.ts';

const root = mkdtempSync(join(tmpdir(), 'ambit-atomic-'));
after(() => rmSync(root, { recursive: true }));
const file = (path: string, content: string, mode = 0o644): { path: string; content: Buffer; mode: number } => ({
  path,
  content: Buffer.from(content),
  mode,
});

test('a change replaces all files by one rename, and names come and go', async () => {
  const folder = join(root, 'a');
  equal(await writeAtomicFolder(folder, [file('one', '1'), file('deep/two', '2', 0o400)], 1), true);
  equal(readFileSync(join(folder, 'one'), 'utf8'), '1');
  equal(readFileSync(join(folder, 'deep/two'), 'utf8'), '2');
  equal(statSync(join(folder, 'deep/two')).mode & 0o777, 0o400);
  equal(readlinkSync(join(folder, 'one')), '..data/one');
  const before = readlinkSync(join(folder, '..data'));

  equal(await writeAtomicFolder(folder, [file('one', '1'), file('deep/two', '2', 0o400)], 2), false);
  equal(readlinkSync(join(folder, '..data')), before);

  equal(await writeAtomicFolder(folder, [file('one', 'new'), file('three', '3')], 3), true);
  equal(readFileSync(join(folder, 'one'), 'utf8'), 'new');
  ok(readlinkSync(join(folder, '..data')) !== before);
  deepEqual(readdirSync(folder).sort(), ['..3', '..data', 'one', 'three']);
});

test('a file that is gone is noticed although the others are the same', async () => {
  const folder = join(root, 'b');
  await writeAtomicFolder(folder, [file('a', '1'), file('b', '2')], 1);
  equal(await writeAtomicFolder(folder, [file('a', '1')], 2), true);
  deepEqual(readdirSync(folder).sort(), ['..2', '..data', 'a']);
});
