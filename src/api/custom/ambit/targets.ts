/** What our own policies may be attached to. */
import type { JsonSchema } from '../../schema/schema.ts';
import { policyTarget } from '../gateway/references.ts';
import { mapOf, rule, withRules } from '../gateway/shape.ts';

const targets: readonly (readonly [group: string, kind: string])[] = [
  ['', 'Service'],
  ['networking.istio.io', 'ServiceEntry'],
  ['gateway.networking.k8s.io', 'Gateway'],
  ['gateway.networking.k8s.io', 'GatewayClass'],
];

/** `targetRefs`, of which there must be one. */
export function policyTargets(what: string): JsonSchema {
  return mapOf(
    `${what}, in the namespace of the object; a GatewayClass only from the root namespace.`,
    ['group', 'kind', 'name'],
    withRules(
      policyTarget('A Service, ServiceEntry, Gateway or GatewayClass.'),
      rule(
        'must be a Service, a ServiceEntry, a Gateway or a GatewayClass',
        targets.map(([group, kind]) => `(self.group == '${group}' && self.kind == '${kind}')`).join(' || '),
      ),
    ),
    { min: 1, max: 16 },
  );
}
