/** UDPRoute: where the datagrams of a listener go. */
import { kinds } from '../../kinds.ts';
import type { CustomKind } from '../custom-kind.ts';
import { gatewayKind } from './definition.ts';
import { l4Versions } from './l4-rules.ts';

export const udpRoute: CustomKind = gatewayKind(kinds.UDPRoute, {
  versions: l4Versions('UDPRoute', 'Sends UDP datagrams to backends.'),
});
