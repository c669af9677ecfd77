/** References from a policy to what it is attached to: a Gateway, a GatewayClass, a Service, a ServiceEntry. */
import { record, text, type JsonSchema } from '../../schema/schema.ts';
import { about, ruled } from './field.ts';

const reference: JsonSchema = record(
  {
    group: about('API group of the target; empty for the core group.', {
      type: 'string',
      maxLength: 253,
      pattern: String.raw`^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`,
    }),
    kind: about('Kind of the target.', {
      type: 'string',
      minLength: 1,
      maxLength: 63,
      pattern: '^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$',
    }),
    name: about('Name of the target.', { type: 'string', minLength: 1, maxLength: 253 }),
    namespace: about(
      'Must be empty: the target is in the namespace of the object.',
      ruled(text, 'self.size() == 0', 'a target in another namespace is not supported'),
    ),
  },
  'kind',
  'name',
);

export const targetRef: JsonSchema = about(
  'The one target of the object; targetRefs says the same for several.',
  reference,
);

export const targetRefs: JsonSchema = about('Targets of the object.', {
  type: 'array',
  maxItems: 16,
  items: reference,
});
