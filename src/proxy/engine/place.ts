/** Where requests are handled: one Service's port at a waypoint, one server at a gateway; all that a request needs, compiled. */
import type { DestinationService, ProxySettings } from '../../api/l7/index.ts';
import type { CompiledRoutes } from '../../decision/routes/index.ts';
import type { ProxyServices } from '../proxy-services.ts';
import type { HttpFilter } from './filter.ts';

export interface HttpPlace {
  readonly routes: CompiledRoutes;
  /** In the order of requests. */
  readonly filters: readonly HttpFilter[];
  readonly service: DestinationService | undefined;
  readonly settings: ProxySettings;
  /** Whether a client on it may be told why it was refused: at waypoints, whose clients are in the mesh. */
  readonly tellsReason: boolean;
  readonly services: ProxyServices;
}
