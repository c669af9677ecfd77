/** ReferenceGrant: what of a namespace may be named from elsewhere. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { age, gatewayKind, kindSchema } from './definition.ts';
import { group, kind, namespace, objectName } from './names.ts';
import { listOf, object } from './shape.ts';

const schema: JsonSchema = kindSchema(
  'Lets objects of other namespaces name objects of this one.',
  object(
    'Who may name what.',
    {
      from: listOf(
        'Who may: any of these.',
        object(
          'Objects of a kind in a namespace.',
          {
            group: group('API group of the objects; empty for the core group.'),
            kind: kind('Their kind.'),
            namespace: namespace('Their namespace.'),
          },
          'group',
          'kind',
          'namespace',
        ),
        { min: 1, max: 16 },
      ),
      to: listOf(
        'What they may name: any of these.',
        object(
          'Objects of a kind in this namespace.',
          {
            group: group('API group of the objects; empty for the core group.'),
            kind: kind('Their kind.'),
            name: objectName('The one object; all of the kind, if absent.'),
          },
          'group',
          'kind',
        ),
        { min: 1, max: 16 },
      ),
    },
    'from',
    'to',
  ),
);

export const referenceGrant: CustomKind = gatewayKind(kinds.ReferenceGrant, {
  shortNames: ['refgrant'],
  hasStatus: false,
  versions: [
    { name: 'v1', schema, columns: [age] },
    { name: 'v1beta1', storage: true, schema, columns: [age] },
  ],
});
