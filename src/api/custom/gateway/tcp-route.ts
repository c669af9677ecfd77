/** TCPRoute: where the connections of a listener go. */
import { kinds } from '../../kinds.ts';
import type { CustomKind } from '../custom-kind.ts';
import { gatewayKind } from './definition.ts';
import { l4Versions } from './l4-rules.ts';

export const tcpRoute: CustomKind = gatewayKind(kinds.TCPRoute, {
  versions: l4Versions('TCPRoute', 'Sends TCP connections to backends.'),
});
