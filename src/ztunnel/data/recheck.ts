/**
 * Asks the policies of live inbound connections again after a change, a slice of the event loop at a time.
 *
 * A change costs nothing in the turn in which it comes, however many connections there are: they are walked as they stand,
 * and a change in the middle of a walk asks for another one.
 */
import type { WorkloadUid } from '../../api/names.ts';
import type { MeshChange } from '../../mesh/index.ts';
import type { Connection, ConnectionRegistry } from './connections.ts';

/** Most of a turn of the event loop that a re-check takes. */
const sliceMs = 2;

export interface Recheck {
  request(change: MeshChange): void;
  stop(): void;
}

/** `check` looks at one connection whose `authorized` is set. Connections that begin meanwhile are decided by the state of then. */
export function createRecheck(connections: ConnectionRegistry, check: (connection: Connection) => void): Recheck {
  let walk: Iterator<Connection> | undefined;
  let allWanted = false;
  let workloadsWanted = new Set<WorkloadUid>();
  let isScheduled = false;
  let isStopped = false;

  const begin = (): Iterator<Connection> | undefined => {
    const uids = workloadsWanted;
    const isAll = allWanted;
    allWanted = false;
    workloadsWanted = new Set();
    if (isAll) return connections.all()[Symbol.iterator]();
    return uids.size > 0 ? connections.inboundOf(uids)[Symbol.iterator]() : undefined;
  };
  const slice = (): void => {
    isScheduled = false;
    if (isStopped) return;
    const until = performance.now() + sliceMs;
    do {
      walk ??= begin();
      if (!walk) return;
      const { value, done } = walk.next();
      if (done) walk = undefined;
      else if (value.authorized) check(value);
    } while (performance.now() < until);
    schedule();
  };
  const schedule = (): void => {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(slice);
  };
  return {
    request(change) {
      if (isStopped) return;
      if (change.kind === 'policies') allWanted = true;
      else for (const uid of change.workloads) workloadsWanted.add(uid);
      schedule();
    },
    stop() {
      isStopped = true;
      walk?.return?.();
      walk = undefined;
    },
  };
}
