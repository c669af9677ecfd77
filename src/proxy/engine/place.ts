/** Where requests are handled: one Service's port at a waypoint, one server at a gateway; all that a request needs, compiled. */
import type { DestinationService, L7Protocol, ProxySettings, RouteTable } from '../../api/l7/index.ts';
import type { CompiledRoutes } from '../../decision/routes/index.ts';
import type { ProxyServices } from '../proxy-services.ts';
import type { HttpFilter } from './filter.ts';
import type { TcpFilter } from './tcp-run.ts';

export interface HttpPlace {
  readonly routes: CompiledRoutes;
  /** In the order of requests. */
  readonly filters: readonly HttpFilter[];
  readonly tcpFilters: readonly TcpFilter[];
  readonly table: RouteTable;
  readonly service: DestinationService | undefined;
  /** What clients speak. */
  readonly protocol: L7Protocol;
  readonly settings: ProxySettings;
  /** Whether a client on it may be told why it was refused: at waypoints, whose clients are in the mesh. */
  readonly tellsReason: boolean;
  /** Whether backends are told who the client proved to be (`x-forwarded-client-cert`). */
  readonly tellsIdentity: boolean;
  readonly services: ProxyServices;
}
