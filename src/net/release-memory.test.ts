import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { getHeapSpaceStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { releaseMemory, replaceableMappings } from './release-memory.ts';

const youngBytes = (): number =>
  getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')?.space_size ?? 0;

test('what is garbage is gone, and the young generation is small again', () => {
  let kept: object[] = [];
  for (let i = 0; i < 300_000; i++) kept.push({ i });
  const before = youngBytes();
  kept = [];
  releaseMemory();
  assert.ok(youngBytes() < before / 2, `${youngBytes()} of ${before} bytes are left`);
  // Nobody else gets what it uses.
  assert.equal('gc' in globalThis, false);
});

test("threads that do so at once do not stand in each other's way", async () => {
  const url = JSON.stringify(import.meta.resolve('./release-memory.ts'));
  // Each time a module anew, as in a thread that starts.
  const script = `import(${url} + '?' + 0).then(async () => {
    for (let i = 0; i < 12; i++) (await import(${url} + '?' + i)).releaseMemory();
  })`;
  const threads = Array.from({ length: 4 }, () => new Worker(script, { eval: true }));
  const codes = await Promise.all(threads.map((thread) => once(thread, 'exit')));
  assert.deepEqual(codes.flat(), [0, 0, 0, 0]);
});

test('code that only starting needed is not resident', () => {
  // A process of its own: this one may have let go of its code before.
  const script = `
    import { readFileSync } from 'node:fs';
    import { releaseMemory } from ${JSON.stringify(import.meta.resolve('./release-memory.ts'))};
    const residentKb = () => Number(/^RssFile:\\s+(\\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'))[1]);
    const before = residentKb();
    releaseMemory();
    console.log(JSON.stringify({ before, after: residentKb() }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(stderr, '');
  const { before, after } = JSON.parse(stdout) as { before: number; after: number };
  assert.ok(after < before * 0.8, `${after} of ${before} KB are left`);
});

test('only what the file has, all of it, is let go: neither written pages, nor those that were swapped out', () => {
  const mapping = (line: string, anonymousKb: number, swapKb: number): string =>
    `${line}\nRss: 8 kB\nAnonymous:             ${anonymousKb} kB\nAnonHugePages: 0 kB\nSwap:                  ${swapKb} kB\nSwapPss: 0 kB\n`;
  const smaps = [
    mapping('1000-3000 r-xp 00001000 fe:00 1234   /usr/bin/node', 0, 0),
    mapping('3000-4000 r--p 00003000 fe:00 1234   /usr/bin/node', 4, 0),
    mapping('4000-5000 r--p 00004000 fe:00 1234   /usr/bin/node', 0, 4),
    mapping('5000-6000 r--p 00005000 fe:00 1234   /usr/bin/node', 0, 0),
    mapping('6000-7000 rw-p 00006000 fe:00 1234   /usr/bin/node', 0, 0),
    mapping('7000-8000 r-xp 00000000 00:00 0   [vdso]', 0, 0),
  ];
  assert.deepEqual(replaceableMappings(smaps.join('')), [
    { address: 0x1000, length: 0x2000 },
    { address: 0x5000, length: 0x1000 },
  ]);
  assert.deepEqual(replaceableMappings(''), []);
});
