import { equal } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { closeNetns, netnsIdentity, openNetns } from '../../net/index.ts';
import { PodNetnsFinder } from './pod-netns.ts';

const uid = '2c48913c-b29f-11e7-9350-020968147796';

// Any three namespaces: nobody enters them here.
const [own, inner, home] = ['/proc/self/ns/uts', '/proc/self/ns/ipc', '/proc/self/ns/pid'];

type Add = (pid: number, group: string, namespace: string) => void;

function openProc(t: TestContext): { readonly procFolder: string; readonly add: Add } {
  const procFolder = mkdtempSync(join(tmpdir(), 'ambit-proc-'));
  t.after(() => rmSync(procFolder, { recursive: true }));
  return {
    procFolder,
    add(pid, group, namespace) {
      const folder = join(procFolder, String(pid));
      mkdirSync(join(folder, 'ns'), { recursive: true });
      writeFileSync(join(folder, 'cgroup'), `0::/kubepods/pod${uid}/${group}\n`);
      writeFileSync(join(folder, 'stat'), `${pid} (x) S ${'0 '.repeat(18)}${pid} 0`);
      symlinkSync(namespace, join(folder, 'ns', 'net'));
    },
  };
}

test("files are those of the pod's own containers, not of one that a container runs", (t) => {
  const { procFolder, add } = openProc(t);
  add(10, 'sandbox', own);
  add(11, 'app', own);
  add(12, 'app/docker/inner', inner);
  const finder = new PodNetnsFinder({ procFolder, homeNetns: 'another', nowMs: () => 0 });
  equal(finder.processFolder(uid), join(procFolder, '11'));
  equal(finder.processFolder('nobody'), undefined);
});

test("files are those of the namespace that was found, also where processes are in the node's", (t) => {
  const { procFolder, add } = openProc(t);
  add(10, 'host', home);
  add(11, 'sandbox', own);
  add(12, 'app', own);
  add(13, 'host', home);
  const descriptor = openNetns(home);
  t.after(() => closeNetns(descriptor));
  const finder = new PodNetnsFinder({ procFolder, homeNetns: netnsIdentity(descriptor), nowMs: () => 0 });
  equal(finder.processFolder(uid), join(procFolder, '12'));
  equal(finder.find(uid, []), join(procFolder, '11', 'ns', 'net'));
  equal(finder.processFolder(uid), join(procFolder, '12'));
  // Its first process ends; the pod stays where it is.
  rmSync(join(procFolder, '11'), { recursive: true });
  equal(finder.processFolder(uid), join(procFolder, '12'));
});
