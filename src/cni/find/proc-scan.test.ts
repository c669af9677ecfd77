import { deepEqual, equal, throws } from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { podUidOfCgroup, scanProcesses, startTimeOf } from './proc-scan.ts';

const uid = '2c48913c-b29f-11e7-9350-020968147796';
const joined = uid.replaceAll('-', '_');

test('the UID is found in the control groups of every runtime', () => {
  for (const text of [
    // cgroup v2, containerd and CRI-O with systemd's driver.
    `0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${joined}.slice/cri-containerd-0f1e.scope\n`,
    `0::/kubepods.slice/kubepods-pod${joined}.slice/crio-0f1e.scope\n`,
    // The cgroupfs driver.
    `0::/kubepods/besteffort/pod${uid}/0f1e\n`,
    // cgroup v1: one line a controller.
    `12:pids:/kubepods/burstable/pod${uid}/0f1e\n1:name=systemd:/kubepods/burstable/pod${uid}/0f1e\n`,
    // Seen from a control group namespace.
    `0::/../../kubepods-besteffort-pod${joined}.slice/cri-containerd-0f1e.scope\n`,
    // Nested: kind, k3s in a container.
    `0::/system.slice/docker-abc.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod${joined}.slice/x.scope\n`,
  ]) {
    equal(podUidOfCgroup(text), uid, text);
  }
  equal(podUidOfCgroup('0::/kubepods/pod0123456789abcdef0123456789abcdef/x\n'), '0123456789abcdef0123456789abcdef');
  for (const text of ['', '0::/\n', '0::/user.slice/user-1000.slice\n', `0::/tripod${uid}/x\n`, '0::/podman/abc\n'])
    equal(podUidOfCgroup(text), undefined, text);
});

test('the start of a process is read past a name with blanks and parentheses', () => {
  const fields = Array.from({ length: 40 }, (_, i) => i + 3).join(' ');
  equal(startTimeOf(`77 (a ) b) ${fields}`), 22);
});

test('processes are grouped by pod, oldest first', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-proc-'));
  const add = (pid: number, startTime: number, cgroup: string): void => {
    mkdirSync(join(folder, String(pid)));
    writeFileSync(join(folder, String(pid), 'cgroup'), cgroup);
    writeFileSync(join(folder, String(pid), 'stat'), `${pid} (x) S ${'0 '.repeat(18)}${startTime} 0`);
  };
  add(10, 500, `0::/kubepods/pod${uid}/b\n`);
  // A number that came round again.
  add(200, 400, `0::/kubepods/pod${uid}/a\n`);
  add(11, 1, '0::/system.slice/sshd.service\n');
  mkdirSync(join(folder, '12'));
  mkdirSync(join(folder, 'sys'));
  deepEqual(
    [...scanProcesses(folder)],
    [
      [
        uid,
        [
          { pid: 200, startTime: 400 },
          { pid: 10, startTime: 500 },
        ],
      ],
    ],
  );
  rmSync(folder, { recursive: true });
});

test('who cannot look for want of descriptors does not say that there is nobody', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-proc-'));
  mkdirSync(join(folder, '10'));
  const failing = (code: string) => (): string => {
    throw Object.assign(new Error(code), { code });
  };
  for (const code of ['ENOENT', 'ESRCH', 'EACCES']) equal(scanProcesses(folder, failing(code)).size, 0, code);
  for (const code of ['EMFILE', 'ENFILE', 'ENOMEM']) throws(() => scanProcesses(folder, failing(code)), { code });
  rmSync(folder, { recursive: true });
});
