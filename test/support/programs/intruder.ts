/**
 * Tries what a pod must not be able to do, and prints what came of it: one JSON object, name of the attempt to "done" or to
 * what stopped it. Facts come as JSON in INTRUDER_FACTS. Run from outside with the rights of the mesh, the same program does it all.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import koffi from 'koffi';

export interface IntruderFacts {
  readonly stateDir: string;
  /** UID of another pod of the node: the name of its network namespace. */
  readonly neighbour: string;
  readonly node: string;
}

const facts = JSON.parse(process.env['INTRUDER_FACTS'] ?? '{}') as IntruderFacts;
const libc = koffi.load(null);
const numbers = (result: string, name: string, ...parameters: string[]): ((...args: unknown[]) => number) =>
  libc.func(name, result, parameters) as unknown as (...args: unknown[]) => number;
const calls = {
  socket: numbers('int', 'socket', 'int', 'int', 'int'),
  setsockopt: numbers('int', 'setsockopt', 'int', 'int', 'int', 'void *', 'uint32_t'),
  setns: numbers('int', 'setns', 'int', 'int'),
  ptrace: numbers('long', 'ptrace', 'long', 'int', 'void *', 'void *'),
  mount: numbers('int', 'mount', 'str', 'str', 'str', 'unsigned long', 'str'),
  umount2: numbers('int', 'umount2', 'str', 'int'),
  mknod: numbers('int', 'mknod', 'str', 'unsigned int', 'unsigned long'),
};
const newNet = 0x40000000;

/** What a call gave; throws when it failed. */
function must(result: number, what: string): number {
  if (result < 0) throw new Error(`${what} failed with errno ${koffi.errno()}`);
  return result;
}

function setOption(level: number, option: number): void {
  const socket = must(calls.socket(2, 1, 0), 'socket');
  const value = Buffer.alloc(4);
  value.writeInt32LE(option === 36 ? 0x539 : 1);
  must(calls.setsockopt(socket, level, option, value, 4), 'setsockopt');
}

function processes(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

function findZtunnel(): number {
  const pid = processes().find((each) => commandLine(each).endsWith(' ztunnel ') && /node/.test(commandLine(each)));
  if (pid === undefined) throw new Error('no ztunnel in sight');
  return pid;
}

function enter(path: string): void {
  const fd = openSync(path, 'r');
  must(calls.setns(fd, newNet), 'setns');
  closeSync(fd);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function connectTo(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    // A socket of another type is there and lets the caller in: only the way to speak to it differs.
    socket.on('error', (error: NodeJS.ErrnoException) => (error.code === 'EPROTOTYPE' ? resolve() : reject(error)));
    socket.on('connect', () => {
      socket.destroy();
      resolve();
    });
  });
}

/** The last one is the one that would spoil the others. */
const attempts: Readonly<Record<string, () => void | Promise<void>>> = {
  'enter a neighbour by /proc': () => {
    const own = readlinkSync('/proc/self/ns/net');
    for (const pid of processes()) {
      let other: string;
      try {
        other = readlinkSync(`/proc/${pid}/ns/net`);
      } catch {
        continue;
      }
      if (other === own) continue;
      const home = openSync('/proc/self/ns/net', 'r');
      enter(`/proc/${pid}/ns/net`);
      must(calls.setns(home, newNet), 'setns back');
      return;
    }
    throw new Error('no other network namespace in sight');
  },
  'enter a neighbour by /run/netns': () => {
    const home = openSync('/proc/self/ns/net', 'r');
    enter(`/run/netns/${facts.neighbour}`);
    must(calls.setns(home, newNet), 'setns back');
  },
  "read ztunnel's memory": () => {
    const pid = findZtunnel();
    const region = /^([0-9a-f]+)-[0-9a-f]+ rw-p.*\[heap\]$/m.exec(readFileSync(`/proc/${pid}/maps`, 'utf8'));
    const memory = openSync(`/proc/${pid}/mem`, 'r');
    readSync(memory, Buffer.alloc(16), 0, 16, Number.parseInt(region?.[1] ?? '0', 16));
  },
  'trace ztunnel': () => void must(calls.ptrace(0x4206, findZtunnel(), null, null), 'ptrace'),
  'signal ztunnel': () => void process.kill(findZtunnel(), 0),
  'see processes of others': () => {
    if (!processes().some((pid) => /supervisor\.ts|node-runtime\.ts/.test(commandLine(pid))))
      throw new Error('none in sight');
  },
  "read the API server's database": () => void readFileSync(join(facts.stateDir, 'api.db')).subarray(0, 16),
  "read the API server's tokens and keys": () => {
    const names = list(join(facts.stateDir, 'pki'));
    if (names.length === 0) throw new Error('nothing there');
    for (const name of names) readFileSync(join(facts.stateDir, 'pki', name));
  },
  "read a neighbour's volumes": () => {
    const pods = join('/run/ambit', facts.node, 'pods');
    if (!list(pods).some((uid) => list(join(pods, uid, 'volumes')).length > 0)) throw new Error('nothing there');
  },
  "connect to the API server's socket": () => connectTo(join(facts.stateDir, 'run/apiserver.sock')),
  "connect to the node's socket": () => connectTo(join(facts.stateDir, 'run', `${facts.node}.sock`)),
  "connect to ztunnel's socket": () => connectTo(join('/run/ambit', facts.node, 'ztunnel/ztunnel.sock')),
  'mark packets as the mesh does': () => setOption(1, 36),
  'send from any address': () => setOption(0, 19),
  'open a raw socket': () => void must(calls.socket(2, 3, 1), 'socket'),
  'open a packet socket': () => void must(calls.socket(17, 3, 0x0300), 'socket'),
  'write to /proc/sys': () => {
    const path = '/proc/sys/net/ipv4/ip_forward';
    writeFileSync(path, readFileSync(path));
  },
  'write to /sys': () => {
    const [group = ''] = ['/sys/fs/cgroup', ...list('/sys/fs/cgroup').map((name) => `/sys/fs/cgroup/${name}`)]
      .map((folder) => join(folder, `intruder-${process.pid}`))
      .filter((folder) => {
        try {
          mkdirSync(folder);
          rmdirSync(folder);
          return true;
        } catch {
          return false;
        }
      });
    if (group === '') throw new Error('no control group can be made');
  },
  'make a device': () => {
    const path = `/tmp/intruder-${process.pid}`;
    must(calls.mknod(path, 0o60_600, 0xfe00), 'mknod');
    execFileSync('rm', [path]);
  },
  mount: () => {
    const path = `/tmp/intruder-${process.pid}`;
    mkdirSync(path);
    must(calls.mount('intruder', path, 'tmpfs', 0, ''), 'mount');
    must(calls.umount2(path, 0), 'umount');
    rmdirSync(path);
  },
  'uncover what is hidden': () => {
    const hidden = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => / (ambit-hidden|ambit-mounts|\/dev\/null)/.test(line))
      .map((line) => line.split(' ')[4] ?? '');
    if (!hidden.some((path) => calls.umount2(path, 2) === 0)) throw new Error('nothing was uncovered');
  },
  'flush the rules': () => void execFileSync('nft', ['flush', 'ruleset'], { stdio: 'pipe' }),
};

const outcome: Record<string, string> = {};
for (const [name, attempt] of Object.entries(attempts)) {
  try {
    await attempt();
    outcome[name] = 'done';
  } catch (error) {
    outcome[name] = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  }
}
console.log(JSON.stringify(outcome));
