/** What only the mesh as it is can say of a policy: whom it would cut off when it is stored. */
import type { AdmissionRequest } from '../api/admission.ts';
import { invalid, type FieldError } from '../api/field-error.ts';
import type { AuthorizationPolicy } from '../api/istio.ts';
import { matchesLabels } from '../api/selector.ts';
import { overbroadRules, policySelector, type Discovery } from '../discovery/index.ts';

/** Findings about an object in the mesh of this moment; none: it may be stored. */
export type MeshJudgement = (request: AdmissionRequest) => readonly FieldError[];

/**
 * A DENY or CUSTOM whose rule has attributes of L7 alone is a mistake where ztunnels would have to enforce it: they deny
 * more than was written, and here that is everything. It is refused while it would cut somebody off. One that is stored and
 * meets its first pod later does deny everything, and its status says so.
 */
export function createPolicyAdmission(discovery: Pick<Discovery, 'sources'>, rootNamespace: string): MeshJudgement {
  return ({ kind, namespace = '', object, oldObject }) => {
    if (kind.kind !== 'AuthorizationPolicy' || object === null) return [];
    const policy = object as AuthorizationPolicy;
    // A label may be changed on what was stored in other times.
    if (JSON.stringify(policy.spec) === JSON.stringify((oldObject as AuthorizationPolicy | null)?.spec)) return [];
    const rules = overbroadRules(policy);
    if (rules.length === 0) return [];
    const selector = policySelector(policy) ?? {};
    let count = 0;
    let example = '';
    for (const [, pod] of discovery.sources.pods.entries()) {
      const { metadata } = pod;
      const isBound = namespace === rootNamespace || metadata.namespace === namespace;
      if (!isBound || metadata.annotations?.['ambient.istio.io/redirection'] !== 'enabled') continue;
      if (!matchesLabels(metadata.labels, selector)) continue;
      count++;
      example ||= `${metadata.namespace}/${metadata.name}`;
    }
    if (count === 0) return [];
    const whom = count === 1 ? example : `${count} pods, such as ${example}`;
    return rules.map(({ index, attributes }) =>
      invalid(
        `spec.rules[${index}]`,
        attributes.join(', '),
        `only a waypoint can tell this, and no waypoint is named in targetRefs: ztunnel would deny every connection to ${whom}. ` +
          'Name the waypoint or the Service in targetRefs, or add what L4 can tell: principals, namespaces, ipBlocks, ports',
      ),
    );
  };
}
