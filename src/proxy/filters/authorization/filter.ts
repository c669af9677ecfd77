/** Authorization of requests (ambient-l7, 2.5): DENY, then ALLOW; AUDIT and dry runs only report. */
import { compileHttpAuthorization, type HttpDecision } from '../../../policy/http-authorization.ts';
import type { FilterKind, LocalReply } from '../../engine/filter.ts';
import { createFindingReports } from './finding-reports.ts';
import { policiesOf } from './policies.ts';

export const authorizationFilter: FilterKind = {
  name: 'authorization',
  build(place) {
    const policies = policiesOf(place).filter(({ action }) => action !== 'custom');
    if (policies.length === 0) return undefined;
    const authorizer = compileHttpAuthorization(policies);
    const reports = createFindingReports(place);
    return {
      name: 'authorization',
      onRequest(run) {
        const decision = authorizer.decide(run);
        if (decision.findings.length > 0) {
          reports.report(decision.findings, { method: run.request.method, requestId: run.requestId });
        }
        return decision.kind === 'deny' ? denial(decision) : undefined;
      },
    };
  },
};

function denial({ rule, reason }: HttpDecision & { readonly kind: 'deny' }): LocalReply {
  return {
    status: 403,
    body: 'RBAC: access denied',
    flag: '',
    details: denialDetails(rule?.name),
    reason,
  };
}

/** As in Envoy's RESPONSE_CODE_DETAILS and CONNECTION_TERMINATION_DETAILS. */
export function denialDetails(rule: string | undefined): string {
  return `rbac_access_denied_matched_policy[${rule ?? 'none'}]`;
}
