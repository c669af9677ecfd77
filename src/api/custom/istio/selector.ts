/** Selection of workloads by labels. The security kinds write matchLabels, the networking kinds labels. */
import { record, text, type JsonSchema } from '../../schema/schema.ts';
import { about, ruled } from './field.ts';

/** A `*` would be taken by its letter and select nothing. */
const labelValue: JsonSchema = { ...text, maxLength: 63 };

const matchLabels: JsonSchema = ruled(
  ruled(
    {
      type: 'object',
      maxProperties: 4096,
      additionalProperties: ruled(labelValue, "!self.contains('*')", 'wildcard not allowed in label value match'),
    },
    "self.all(key, !key.contains('*'))",
    'wildcard not allowed in label key match',
  ),
  'self.all(key, key.size() != 0)',
  'key must not be empty',
);

export const selector: JsonSchema = about(
  'Workloads that the object is for; without it, all of the namespace, or of the mesh in the root namespace.',
  record({ matchLabels: about('Labels that a pod must all have.', matchLabels) }),
);

export const workloadSelector: JsonSchema = about(
  'Workloads that the object is for; without it, all of the namespace.',
  record({
    labels: about('Labels that a workload must all have.', {
      type: 'object',
      maxProperties: 256,
      additionalProperties: ruled(labelValue, "!self.contains('*')", 'wildcard is not supported in selector'),
    }),
  }),
);
