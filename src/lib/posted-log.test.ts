import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLog } from './log.ts';
import { createPostingLog, writePosted, type PostedLine } from './posted-log.ts';

test('a line is posted with its scope and fields, and written below the log of all', () => {
  const posted: PostedLine[] = [];
  const log = createPostingLog((line) => posted.push(line)).child('proxy', { pod: 'a' });
  log.child('upstream').warn('lost', { bytes: 3n, when: new Date(0) });
  assert.deepEqual(posted, [
    {
      kind: 'log',
      level: 'warn',
      scope: 'proxy.upstream',
      message: 'lost',
      fields: { pod: 'a', bytes: '3', when: '1970-01-01T00:00:00.000Z' },
    },
  ]);
  const lines: string[] = [];
  const [line] = posted;
  if (line) writePosted(openLog({ scope: 'main', write: (text) => void lines.push(text) }), line, { worker: 1 });
  const { time: _, ...written } = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
  assert.deepEqual(written, {
    level: 'warn',
    scope: 'main.proxy.upstream',
    pod: 'a',
    bytes: '3',
    when: '1970-01-01T00:00:00.000Z',
    worker: 1,
    message: 'lost',
  });
});

test('fields that cannot be said lose none but themselves', () => {
  const posted: PostedLine[] = [];
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  createPostingLog((line) => posted.push(line)).error('odd', circular);
  assert.equal(posted[0]?.message, 'odd');
  assert.match(String(posted[0]?.fields['unwritable']), /circular/);
});
