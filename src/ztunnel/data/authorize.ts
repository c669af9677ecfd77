/** Asks the policies of a destination: when a connection arrives, and again when anything changed. */
import type { Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { formatHostPort } from '../../lib/ip.ts';
import type { Log } from '../../lib/log.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import type { MeshState } from '../../mesh/index.ts';
import { decideAuthorization, type Decision } from '../../policy/index.ts';
import type { Connection, ConnectionRegistry } from './connections.ts';
import { createRecheck } from './recheck.ts';
import { waitForMesh } from './wait-for-mesh.ts';

/** An address may name a policy that is still on its way: new connections wait this long for it. */
export const unknownPolicyHoldMs = 2000;

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
  const { mesh, clock, log, connections } = options;
  const recheck = createRecheck(connections, (connection) => {
    try {
      // "unknown" never cuts: a policy that is on its way has not said anything yet.
      const decision = evaluate(mesh, connection);
      if (decision.kind === 'deny') connection.cut(policyChangeError(), decision.policy);
    } catch (error) {
      log.error('cannot re-check connection', { error: messageOf(error), src: connection.start.src });
      connection.cut(policyChangeError());
    }
  });
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
      if (decision.findings.length > 0) report(decision, connection, log);
      return decision;
    },
    close() {
      unsubscribe();
      recheck.stop();
    },
  };
}

/** Policies that decide nothing: a dry run says what it would change, an audit what it saw. */
function report(decision: Decision, connection: Connection, log: Log): void {
  const { facts } = connection.authorized!;
  for (const finding of decision.findings) {
    const fields = {
      policy: finding.policy,
      src: connection.start.src,
      srcIdentity: facts.source?.id,
      dst: formatHostPort(facts.destinationIp, facts.destinationPort),
      decision: decision.kind,
    };
    if (finding.kind === 'audit') log.info('connection audited', fields);
    else if (finding.wouldDeny) log.info('dry-run policy would deny', fields);
    else log.debug('dry-run policy would allow', fields);
  }
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
