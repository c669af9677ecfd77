import { equal } from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { missingExecutable } from './executable.ts';

const root = mkdtempSync(join(tmpdir(), 'ambit-root-'));
after(() => rmSync(root, { recursive: true }));
const file = (path: string, mode: number): void => {
  writeFileSync(join(root, path), '');
  chmodSync(join(root, path), mode);
};
for (const folder of ['usr/bin', 'opt/app', 'etc/alternatives']) mkdirSync(join(root, folder), { recursive: true });
file('usr/bin/ls', 0o755);
file('opt/app/run', 0o755);
file('opt/app/data', 0o644);
symlinkSync('usr/bin', join(root, 'bin'));
symlinkSync('/usr/bin/ls', join(root, 'etc/alternatives/list'));
symlinkSync('/etc/alternatives/list', join(root, 'usr/bin/list'));
symlinkSync('/loop', join(root, 'loop'));
// Only outside the root.
symlinkSync(join(root, 'usr/bin/ls'), join(root, 'usr/bin/outside'));

const options = { path: '/nothing:/bin', directory: '/opt/app' };

test('a program is found in the folders of PATH, through links inside the root', () => {
  for (const program of ['ls', 'list', '/bin/ls', './run', '../app/run', '/usr/../bin/list'])
    equal(missingExecutable(root, program, options), undefined, program);
});

test('what is missing is told as container runtimes tell it', () => {
  equal(missingExecutable(root, 'nosuch', options), 'exec: "nosuch": executable file not found in $PATH');
  equal(missingExecutable(root, 'outside', options), 'exec: "outside": executable file not found in $PATH');
  equal(missingExecutable(root, '/bin/no', options), 'exec: "/bin/no": stat /bin/no: no such file or directory');
  equal(missingExecutable(root, './data', options), 'exec: "./data": permission denied');
  equal(missingExecutable(root, '/opt/app', options), 'exec: "/opt/app": permission denied');
});

test('what cannot be judged is left to the start', () => {
  equal(missingExecutable(root, '/loop', options), undefined);
});
