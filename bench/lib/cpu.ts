/** CPU time of a process, from the scheduler's own books: user and system, all threads, in nanoseconds. */
import { readdirSync, readFileSync } from 'node:fs';

/** Threads that ended are lost: read before and after a run in which none ends. */
export function cpuTimeNs(pid: number): number {
  let total = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      total += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0]);
    } catch {
      // The thread ended between the two calls.
    }
  }
  return total;
}
