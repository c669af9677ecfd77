/** What an earlier supervisor in the same namespaces left: its processes, its network. A new one starts from nothing. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { sleep } from '../../lib/clock.ts';
import { childrenOf } from './host-process.ts';

const run = promisify(execFile);

/** Kills every process of this pid namespace but init, this process, and the forwarder; then removes nodes, pods and the bridge. */
export async function killLeftovers(): Promise<void> {
  const forwarder = forwarderLoopPid();
  for (;;) {
    // The forwarder's loop may start a child at any time: look anew each round.
    const keep = new Set([1, process.pid, forwarder, ...childrenOf(forwarder)]);
    const remaining = strangers(keep);
    if (remaining.length === 0) break;
    for (const pid of remaining) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Already gone.
      }
    }
    await sleep(10);
  }
  for (const name of readdirSync('/run/netns')) await run('ip', ['netns', 'delete', name]).catch(() => undefined);
  await run('ip', ['link', 'delete', 'ambit0']).catch(() => undefined);
}

/** The shell that keeps the forwarder running; init wrote its pid down. */
export function forwarderLoopPid(): number {
  return Number(readFileSync('/run/forwarder.pid', 'utf8'));
}

function strangers(keep: ReadonlySet<number>): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && !keep.has(pid) && isAlive(pid));
}

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}
