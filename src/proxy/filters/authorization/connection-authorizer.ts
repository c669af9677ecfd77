/** Authorization of a connection that is not HTTP, or whose protocol was not looked at: the same policies, as far as it has attributes. */
import { compileHttpAuthorization } from '../../../policy/http-authorization.ts';
import type { FilterPlace } from '../../engine/filter.ts';
import type { DownstreamConnection } from '../../engine/http-run.ts';
import { denialDetails } from './filter.ts';
import { createFindingReports } from './finding-reports.ts';
import { policiesOf } from './policies.ts';

export type ConnectionDecision =
  | { readonly kind: 'allow' }
  /** `details` for CONNECTION_TERMINATION_DETAILS, `reason` for people. */
  | { readonly kind: 'deny'; readonly details: string; readonly reason: string };

const allowed: ConnectionDecision = { kind: 'allow' };

/**
 * What decides the connections of a place; undefined: nothing forbids any. Attributes of requests make an ALLOW rule fail, and are
 * left out of the others. An external authorizer is not asked of connections: what its policies match is denied.
 */
export function connectionAuthorizer(
  place: Pick<FilterPlace, 'policies' | 'snapshot' | 'services'>,
): ((connection: DownstreamConnection) => ConnectionDecision) | undefined {
  const policies = policiesOf(place).map((policy) =>
    policy.action === 'custom' ? ({ ...policy, action: 'deny' } as const) : policy,
  );
  if (policies.length === 0) return undefined;
  const authorizer = compileHttpAuthorization(policies, 'tcp');
  const reports = createFindingReports(place);
  return (connection) => {
    const decision = authorizer.decide({ connection, remoteAddress: connection.sourceAddress });
    if (decision.findings.length > 0) reports.report(decision.findings, { source: connection.sourceAddress });
    if (decision.kind === 'allow') return allowed;
    return { kind: 'deny', details: denialDetails(decision.rule?.name), reason: decision.reason };
  };
}
