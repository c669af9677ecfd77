import { deepEqual, equal } from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, test } from 'node:test';
import { silentLog } from '../../lib/log.ts';
import { ContainerLog } from './container-log.ts';
import { parseLogQuery, readLog } from './log-reader.ts';

const root = mkdtempSync(join(tmpdir(), 'ambit-log-'));
after(() => rmSync(root, { recursive: true }));
let files = 0;

async function write(...chunks: string[]): Promise<string> {
  const path = join(root, `${files++}.log`);
  const log = new ContainerLog({ path, log: silentLog(), now: () => new Date('2026-01-01T00:00:00Z') });
  const source = new PassThrough();
  log.attach('stdout', source);
  const ended = new Promise((resolve) => source.on('end', resolve));
  for (const chunk of chunks) source.write(chunk);
  source.end();
  await ended;
  await log.close();
  return path;
}

async function read(path: string, query = ''): Promise<string> {
  const chunks: Buffer[] = [];
  await readLog({
    path,
    query: parseLogQuery(new URLSearchParams(query), Date.parse('2026-01-01T00:01:00Z')),
    isLive: () => false,
    signal: new AbortController().signal,
    write: async (chunk) => void chunks.push(chunk),
  });
  return Buffer.concat(chunks).toString();
}

test('lines are written as CRI writes them, however they were cut', async () => {
  const path = await write('one\ntw', 'o\n', '\n', 'rest');
  equal(
    readFileSync(path, 'utf8'),
    ['one', 'two', '', 'rest'].map((text) => `2026-01-01T00:00:00.000Z stdout F ${text}\n`).join(''),
  );
});

test('a long line is cut into parts and put together again', async () => {
  const long = 'x'.repeat(40_000);
  const path = await write(`${long}\nend\n`);
  deepEqual(
    readFileSync(path, 'utf8')
      .split('\n')
      .slice(0, 4)
      .map((line) => line.split(' ')[2]),
    ['P', 'P', 'F', 'F'],
  );
  equal(await read(path), `${long}\nend\n`);
});

test('queries choose lines and bytes', async () => {
  const path = await write('a\nb\nc\n');
  equal(await read(path, 'tailLines=2'), 'b\nc\n');
  equal(await read(path, 'tailLines=0'), '');
  equal(await read(path, 'limitBytes=3'), 'a\nb');
  equal(await read(path, 'timestamps=true&tailLines=1'), '2026-01-01T00:00:00.000Z c\n');
  equal(await read(path, 'sinceSeconds=30'), '');
  equal(await read(path, 'sinceSeconds=90'), 'a\nb\nc\n');
  equal(await read(path, 'sinceTime=2026-01-01T00:00:01Z'), '');
  equal(await read(join(root, 'none.log')), '');
});

test('the rotated part comes before the current one', async () => {
  const path = await write('new\n');
  writeFileSync(`${path}.rotated`, '2025-01-01T00:00:00.000Z stdout F old\n');
  equal(await read(path), 'old\nnew\n');
});

test('a malformed query is named', () => {
  for (const text of ['tailLines=x', 'limitBytes=-1', 'sinceSeconds=1.5', 'sinceTime=yesterday']) {
    let message = '';
    try {
      parseLogQuery(new URLSearchParams(text), 0);
    } catch (error) {
      message = String(error);
    }
    equal(message.includes(text.split('=')[0] ?? '?'), true, text);
  }
});
