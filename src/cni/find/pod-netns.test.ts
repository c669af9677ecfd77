import { equal } from 'node:assert/strict';
import { linkSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { PodNetnsFinder } from './pod-netns.ts';

const uid = '2c48913c-b29f-11e7-9350-020968147796';

test("files are those of the pod's own containers, not of one that a container runs", (t) => {
  const procFolder = mkdtempSync(join(tmpdir(), 'ambit-proc-'));
  t.after(() => rmSync(procFolder, { recursive: true }));
  const add = (pid: number, group: string, namespace: (path: string) => void): void => {
    const folder = join(procFolder, String(pid));
    mkdirSync(join(folder, 'ns'), { recursive: true });
    writeFileSync(join(folder, 'cgroup'), `0::/kubepods/pod${uid}/${group}\n`);
    writeFileSync(join(folder, 'stat'), `${pid} (x) S ${'0 '.repeat(18)}${pid} 0`);
    namespace(join(folder, 'ns', 'net'));
  };
  add(10, 'sandbox', (path) => writeFileSync(path, ''));
  add(11, 'app', (path) => linkSync(join(procFolder, '10', 'ns', 'net'), path));
  add(12, 'app/docker/inner', (path) => writeFileSync(path, ''));
  const finder = new PodNetnsFinder({ procFolder, homeNetns: 'another', nowMs: () => 0 });
  equal(finder.processFolder(uid), join(procFolder, '11'));
  equal(finder.processFolder('nobody'), undefined);
});
