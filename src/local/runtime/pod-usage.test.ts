import { deepEqual, equal } from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { PodUsage } from './pod-usage.ts';

describe('what pods use', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-usage-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** A process as /proc shows it; its network namespace is a file whose inode names it. */
  const run = (
    pid: number,
    netns: string,
    of: { user: number; system?: number; pages?: number; start?: number },
  ): void => {
    const { user, system = 0, pages = 10, start = 7 } = of;
    mkdirSync(join(folder, `${pid}/ns`), { recursive: true });
    const fields = Array.from({ length: 40 }, () => '0');
    fields[11] = String(user);
    fields[12] = String(system);
    fields[19] = String(start);
    fields[21] = String(pages);
    writeFileSync(join(folder, `${pid}/stat`), `${pid} (a (b) c) ${fields.join(' ')}\n`);
    rmSync(join(folder, `${pid}/ns/net`), { force: true });
    linkSync(join(folder, netns), join(folder, `${pid}/ns/net`));
  };

  it('is what the processes of their network namespaces use, and never goes back', () => {
    for (const name of ['netns-a', 'netns-b', 'netns-host']) writeFileSync(join(folder, name), '');
    writeFileSync(join(folder, 'version'), '');
    const usage = new PodUsage(folder);
    const pods = ['a', 'b', 'gone'].map((uid) => ({ uid, netnsPath: join(folder, `netns-${uid}`) }));
    const sample = (): Record<string, number[]> =>
      Object.fromEntries([...usage.sample(pods)].map(([uid, { cpuMs, memoryBytes }]) => [uid, [cpuMs, memoryBytes]]));
    run(10, 'netns-a', { user: 5, system: 2 });
    run(11, 'netns-a', { user: 1 });
    run(12, 'netns-b', { user: 100 });
    run(13, 'netns-host', { user: 999 });
    deepEqual(sample(), { a: [80, 81_920], b: [1000, 40_960] });
    deepEqual(sample(), { a: [80, 81_920], b: [1000, 40_960] });
    run(10, 'netns-a', { user: 8, system: 2 });
    rmSync(join(folder, '11'), { recursive: true });
    // The pid comes again, for another process.
    run(12, 'netns-b', { user: 3, start: 50 });
    deepEqual(sample(), { a: [110, 40_960], b: [1030, 40_960] });
  });

  it('is nothing where no process is found', () => {
    equal(new PodUsage(folder).sample([{ uid: 'x', netnsPath: join(folder, 'nowhere') }]).size, 0);
  });
});
