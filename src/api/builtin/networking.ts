/** Kinds of the groups networking.k8s.io and scheduling.k8s.io: stored, for those who apply them. */
import {
  ingressClassColumns,
  ingressColumns,
  networkPolicyColumns,
  priorityClassColumns,
} from '../columns/policies.ts';
import { fill, objectAt, type JsonObject } from '../defaults/fill.ts';
import { define } from '../define.ts';
import type { KindInfo } from '../kind-info.ts';
import { kinds } from '../kinds.ts';
import * as networking from '../schema/networking.ts';
import { validateIngress, validateNetworkPolicy, validatePriorityClass } from '../validation/networking.ts';

export const networkingKinds: readonly KindInfo[] = [
  define(kinds.NetworkPolicy, {
    schema: networking.networkPolicySchema,
    columns: networkPolicyColumns,
    shortNames: ['netpol'],
    hasStatus: false,
    defaults: defaultNetworkPolicy,
    createWarning: 'nothing on this server enforces a NetworkPolicy: use an AuthorizationPolicy',
    validate: validateNetworkPolicy,
  }),
  define(kinds.Ingress, {
    schema: networking.ingressSchema,
    columns: ingressColumns,
    shortNames: ['ing'],
    onCreate: (ingress) => {
      ingress['status'] = { loadBalancer: {} };
    },
    createWarning: 'nothing on this server serves an Ingress: use a Gateway with routes',
    validate: validateIngress,
  }),
  define(kinds.IngressClass, {
    schema: networking.ingressClassSchema,
    columns: ingressClassColumns,
    hasStatus: false,
    defaults: (kind) => {
      const parameters = objectAt(objectAt(kind, 'spec') ?? {}, 'parameters');
      if (parameters) fill(parameters, { scope: 'Cluster' });
    },
  }),
];

export const schedulingKinds: readonly KindInfo[] = [
  define(kinds.PriorityClass, {
    schema: networking.priorityClassSchema,
    columns: priorityClassColumns,
    shortNames: ['pc'],
    hasStatus: false,
    defaults: (kind) => fill(kind, { preemptionPolicy: 'PreemptLowerPriority' }),
    validate: validatePriorityClass,
  }),
];

function defaultNetworkPolicy(policy: JsonObject): void {
  const spec = objectAt(policy, 'spec');
  if (!spec) return;
  fill(spec, { policyTypes: spec['egress'] === undefined ? ['Ingress'] : ['Ingress', 'Egress'] });
  for (const side of ['ingress', 'egress']) {
    for (const rule of Array.isArray(spec[side]) ? spec[side] : []) {
      const ports: unknown = (rule as JsonObject | null)?.['ports'];
      for (const port of Array.isArray(ports) ? ports : []) if (port) fill(port as JsonObject, { protocol: 'TCP' });
    }
  }
}
