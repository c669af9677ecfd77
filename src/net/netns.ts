/** Network namespaces: opening them, and running a few system calls inside one. */
import { closeSync, fstatSync, openSync, readdirSync, readlinkSync, statfsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { AmbitError, codeOf, messageOf } from '../lib/errors.ts';
import * as sys from './sys.ts';

const nsfsMagic = 0x6e736673;

/**
 * Opens the namespace at `path` (a bind mount under /run/netns, or /proc/PID/ns/net). The caller closes it with `closeNetns`.
 * Throws `net.netns-absent` (also while the file is there but not mounted yet) or `net.netns-unreadable`.
 */
export function openNetns(path: string): number {
  const fail = (reason: string, code: string, cause?: unknown): AmbitError =>
    new AmbitError(`Cannot open network namespace "${path}": ${reason}`, { code, blame: 'internal', cause });
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    throw fail(messageOf(error), codeOf(error) === 'ENOENT' ? 'net.netns-absent' : 'net.netns-unreadable', error);
  }
  if (statfsSync(`/proc/self/fd/${fd}`).type === nsfsMagic) return fd;
  closeSync(fd);
  throw fail('no namespace is mounted there', 'net.netns-absent');
}

/** Closes the descriptor. An open one pins a deleted namespace with its links and addresses. */
export function closeNetns(netns: number): void {
  closeSync(netns);
}

/** What tells namespaces apart whatever path they were opened by: `device:inode`. */
export function netnsIdentity(netns: number): string {
  const { dev, ino } = fstatSync(netns);
  return `${dev}:${ino}`;
}

let homeNetns: number | undefined;
let warm = false;

/**
 * Starts libuv's threads in the home namespace. A thread made inside `withNetns` would stay in the pod's namespace for
 * ever, so every process calls this once before its first `withNetns`.
 */
export async function warmThreadPool(): Promise<void> {
  // One request a thread: four by default.
  await Promise.all(Array.from({ length: 16 }, () => stat('/')));
  warm = true;
}

/**
 * Runs `work` inside `netns` (undefined: here) and returns to the home namespace. `work` is synchronous and only makes system
 * calls of sys.ts or `fs.*Sync` ones. When the thread cannot return, the process aborts: nothing it does afterwards would be right.
 */
export function withNetns<T>(netns: number | undefined, work: () => T): T {
  if (netns === undefined) return work();
  if (!warm) throw new Error('warmThreadPool() must have run before withNetns()');
  homeNetns ??= openNetns('/proc/thread-self/ns/net');
  sys.setns(netns);
  try {
    return work();
  } finally {
    try {
      sys.setns(homeNetns);
    } catch {
      process.abort();
    }
  }
}

/** The namespaces that threads of this process are in, as the kernel names them; more than one is a defect. */
export function namespacesOfThreads(): Set<string> {
  return new Set(readdirSync('/proc/self/task').map((task) => readlinkSync(`/proc/self/task/${task}/ns/net`)));
}
