/** Authorization (ambient-l7, 2.5) of requests, and of connections as far as they have the attributes: DENY, then ALLOW. */
import { compileHttpAuthorization, type HttpDecision } from '../../../policy/http-authorization.ts';
import type { FilterKind, LocalReply } from '../../engine/filter.ts';
import type { TcpRefusal } from '../../engine/tcp-run.ts';
import { createFindingReports } from './finding-reports.ts';
import { policiesOf } from './policies.ts';

const name = 'authorization';

export const authorizationFilter: FilterKind = {
  name,
  reads: ['authorization'],
  build(place) {
    const policies = policiesOf(place).filter(({ action }) => action !== 'custom');
    if (policies.length === 0) return undefined;
    const authorizer = compileHttpAuthorization(policies);
    const reports = createFindingReports(place);
    return {
      name,
      onRequest(run) {
        const decision = authorizer.decide(run);
        if (decision.findings.length > 0) {
          reports.report(decision.findings, { method: run.request.method, requestId: run.requestId });
        }
        return decision.kind === 'deny' ? denial(decision) : undefined;
      },
      review(facts) {
        const decision = authorizer.decide(facts);
        return decision.kind === 'deny' ? denial(decision) : undefined;
      },
    };
  },
  buildTcp(place) {
    const policies = policiesOf(place).filter(({ action }) => action !== 'custom');
    if (policies.length === 0) return undefined;
    const authorizer = compileHttpAuthorization(policies, 'tcp');
    const reports = createFindingReports(place);
    return {
      name,
      onConnection({ connection }) {
        const decision = authorizer.decide({ connection, remoteAddress: connection.sourceAddress });
        if (decision.findings.length > 0) reports.report(decision.findings, { source: connection.sourceAddress });
        return decision.kind === 'deny' ? refusal(decision) : undefined;
      },
      review(connection) {
        const decision = authorizer.decide({ connection, remoteAddress: connection.sourceAddress });
        return decision.kind === 'deny' ? refusal(decision) : undefined;
      },
    };
  },
};

function denial(decision: Denial): LocalReply {
  return {
    status: 403,
    body: 'RBAC: access denied',
    flag: '',
    details: detailsOf(decision),
    reason: decision.reason,
  };
}

function refusal(decision: Denial): TcpRefusal {
  return { flag: '', details: detailsOf(decision), reason: decision.reason };
}

type Denial = HttpDecision & { readonly kind: 'deny' };

/** As in Envoy's RESPONSE_CODE_DETAILS and CONNECTION_TERMINATION_DETAILS. */
function detailsOf({ rule }: Denial): string {
  return `rbac_access_denied_matched_policy[${rule?.name ?? 'none'}]`;
}
