/** ListenerSet: listeners that are added to a Gateway from beside it. */
import { kinds } from '../../kinds.ts';
import type { JsonSchema } from '../../schema/schema.ts';
import type { CustomKind } from '../custom-kind.ts';
import { pendingConditions, pendingStatus } from './conditions.ts';
import { accepted, age, gatewayKind, kindSchema, programmed } from './definition.ts';
import { listeners, listenerStatus } from './listener.ts';
import { parentGateway } from './parents.ts';
import { object } from './shape.ts';

const pending = ['Accepted', 'Programmed'];

const schema: JsonSchema = kindSchema(
  'Adds listeners to a Gateway, so that teams bring their own.',
  object(
    'Which listeners a Gateway gets.',
    { parentRef: parentGateway, listeners: listeners('Ports that take connections.', true) },
    'listeners',
    'parentRef',
  ),
  pendingStatus(
    object('What became of the listeners.', {
      conditions: pendingConditions('Whether the Gateway takes the listeners, and they serve.', ...pending),
      listeners: listenerStatus,
    }),
    ...pending,
  ),
);

export const listenerSet: CustomKind = gatewayKind(kinds.ListenerSet, {
  shortNames: ['lset'],
  versions: [{ name: 'v1', storage: true, schema, columns: [accepted, programmed, age] }],
});
