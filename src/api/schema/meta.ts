/** Schema of object metadata, label selectors and conditions. */
import {
  atomic,
  flag,
  keyedList,
  list,
  long,
  open,
  record,
  setList,
  text,
  textMap,
  time,
  oneOf,
  integer,
  type JsonSchema,
} from './schema.ts';

export const ownerReference: JsonSchema = atomic(
  record(
    { apiVersion: text, kind: text, name: text, uid: text, controller: flag, blockOwnerDeletion: flag },
    'apiVersion',
    'kind',
    'name',
    'uid',
  ),
);

export const objectMeta: JsonSchema = record({
  name: text,
  generateName: text,
  namespace: text,
  uid: text,
  resourceVersion: text,
  generation: long,
  creationTimestamp: time,
  deletionTimestamp: time,
  deletionGracePeriodSeconds: long,
  labels: textMap,
  annotations: textMap,
  ownerReferences: keyedList(ownerReference, 'uid'),
  finalizers: setList(text),
  managedFields: list(open),
  selfLink: text,
});

export const labelSelector: JsonSchema = atomic(
  record({
    matchLabels: textMap,
    matchExpressions: list(record({ key: text, operator: text, values: list(text) }, 'key', 'operator')),
  }),
);

/** `metav1.Condition` and its older relatives. */
export const conditions: JsonSchema = keyedList(
  record(
    {
      type: text,
      status: text,
      reason: text,
      message: text,
      lastTransitionTime: time,
      lastUpdateTime: time,
      lastProbeTime: time,
      lastHeartbeatTime: time,
      observedGeneration: long,
    },
    'type',
    'status',
  ),
  'type',
);

export const objectReference: JsonSchema = atomic(
  record({
    apiVersion: text,
    kind: text,
    namespace: text,
    name: text,
    uid: text,
    resourceVersion: text,
    fieldPath: text,
  }),
);

export const localObjectReference: JsonSchema = atomic(record({ name: text }));

export const protocol: JsonSchema = oneOf('TCP', 'UDP', 'SCTP');

export const portNumber: JsonSchema = integer;

/** The schema of a whole object, with its fields beside apiVersion, kind and metadata. */
export function objectSchema(fields: Readonly<Record<string, JsonSchema>>, ...required: string[]): JsonSchema {
  return record({ apiVersion: text, kind: text, metadata: objectMeta, ...fields }, ...required);
}
