/** Schemas of rbac.authorization.k8s.io and coordination.k8s.io. */
import { labelSelector, objectSchema } from './meta.ts';
import { atomic, integer, list, record, text, type JsonSchema } from './schema.ts';

const texts = list(text);

const rules: JsonSchema = list(
  record({ verbs: texts, apiGroups: texts, resources: texts, resourceNames: texts, nonResourceURLs: texts }, 'verbs'),
);

export const roleSchema: JsonSchema = objectSchema({ rules });

export const clusterRoleSchema: JsonSchema = objectSchema({
  rules,
  aggregationRule: record({ clusterRoleSelectors: list(labelSelector) }),
});

export const bindingSchema: JsonSchema = objectSchema(
  {
    subjects: list(record({ kind: text, apiGroup: text, name: text, namespace: text }, 'kind', 'name')),
    roleRef: atomic(record({ apiGroup: text, kind: text, name: text }, 'kind', 'name')),
  },
  'roleRef',
);

const microTime: JsonSchema = { type: 'string', format: 'date-time', nullable: true };

export const leaseSchema: JsonSchema = objectSchema({
  spec: record({
    holderIdentity: text,
    leaseDurationSeconds: integer,
    acquireTime: microTime,
    renewTime: microTime,
    leaseTransitions: integer,
    strategy: text,
    preferredHolder: text,
  }),
});
