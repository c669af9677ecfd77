/** Asks the policies of a destination: when a connection arrives, and again when anything changed. */
import type { Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { MeshChange, MeshState } from '../../mesh/index.ts';
import { decideAuthorization, type Decision } from '../../policy/index.ts';
import type { Connection, ConnectionRegistry } from './connections.ts';
import { waitForMesh } from './wait-for-mesh.ts';

/** An address may name a policy that is still on its way: new connections wait this long for it. */
export const unknownPolicyHoldMs = 2000;

/** Most of a turn of the event loop that a re-check takes. */
const sliceMs = 2;

export interface Authorizer {
  /** The verdict on a connection whose `authorized` is set. Waits for policies that are named and unknown; never longer than the hold. */
  decide(connection: Connection): Promise<Decision>;
  close(): void;
}

export interface AuthorizerOptions {
  readonly mesh: MeshState;
  readonly connections: ConnectionRegistry;
  readonly clock: Clock;
  readonly log: Log;
}

/** Starts to re-check live inbound connections on every change until it is closed. */
export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { mesh, clock, log } = options;
  const recheck = createRecheck(options);
  const unsubscribe = mesh.subscribe((change) => recheck.request(change));
  return {
    async decide(connection) {
      let decision = evaluate(mesh, connection);
      if (decision.kind === 'unknown') {
        await waitForMesh({
          mesh,
          clock,
          timeoutMs: unknownPolicyHoldMs,
          signal: connection.signal,
          probe: () => (evaluate(mesh, connection).kind === 'unknown' ? undefined : true),
        });
        decision = evaluate(mesh, connection);
      }
      for (const finding of decision.dryRun) {
        log.debug('dry-run policy evaluated', {
          policy: finding.policy,
          wouldDeny: finding.wouldDeny,
          src: connection.start.src,
        });
      }
      return decision;
    },
    close() {
      unsubscribe();
      recheck.stop();
    },
  };
}

/** The error that a refused connection ends with. */
export function denialError(reason: string): AmbitError {
  return new AmbitError(`connection denied: ${reason}`, { code: 'policy.denied', blame: 'downstream' });
}

function policyChangeError(): AmbitError {
  return new AmbitError('connection closed due to policy change', { code: 'policy.changed', blame: 'downstream' });
}

function evaluate(mesh: MeshState, connection: Connection): Decision {
  const asked = connection.authorized;
  if (!asked) throw new Error('A connection is described before policies are asked');
  return decideAuthorization(mesh.policiesFor(currentWorkload(mesh, asked.own)), asked.facts);
}

/** The workload as the mesh knows it now; what it was when the pod is gone from the mesh but still here. */
function currentWorkload(mesh: MeshState, workload: MeshWorkload): MeshWorkload {
  return mesh.workload(workload.uid) ?? workload;
}

interface Recheck {
  request(change: MeshChange): void;
  stop(): void;
}

/** Works off one set of connections, a slice a turn; connections that begin meanwhile are decided by the state of then. */
function createRecheck({ mesh, connections, log }: AuthorizerOptions): Recheck {
  const queue = new Set<Connection>();
  let scheduled = false;
  let stopped = false;

  const slice = (): void => {
    scheduled = false;
    if (stopped) return;
    const until = performance.now() + sliceMs;
    for (const connection of queue) {
      queue.delete(connection);
      checkOne(connection);
      if (performance.now() >= until) break;
    }
    schedule();
  };
  const schedule = (): void => {
    if (scheduled || queue.size === 0) return;
    scheduled = true;
    setImmediate(slice);
  };
  const checkOne = (connection: Connection): void => {
    if (!connection.authorized) return;
    try {
      // "unknown" never cuts: a policy that is on its way has not said anything yet.
      const decision = evaluate(mesh, connection);
      if (decision.kind === 'deny') connection.cut(policyChangeError(), decision.policy);
    } catch (error) {
      log.error('cannot re-check connection', { error: messageOf(error), src: connection.start.src });
      connection.cut(policyChangeError());
    }
  };
  return {
    request(change) {
      if (stopped) return;
      const concerned = change.kind === 'policies' ? connections.all() : connections.inboundOf(change.workloads);
      for (const connection of concerned) queue.add(connection);
      schedule();
    },
    stop() {
      stopped = true;
      queue.clear();
    },
  };
}
