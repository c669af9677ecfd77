/**
 * The port of a gateway between networks: ends tunnels of clients in other networks, and carries what is inside, which it cannot
 * read, to who serves the Service that they ask for (ambient-l7, 9).
 */
import type { ServiceKey } from '../../api/names.ts';
import { sourceHeader, type ConnectRequest } from '../../hbone/index.ts';
import { spiffeParts } from '../../identity/index.ts';
import type { HttpPlace } from '../engine/place.ts';
import { serveApplication } from './application-connection.ts';
import { eastWestTarget } from './east-west-target.ts';
import type { ListenerContext } from './listener-context.ts';
import { PendingTunnel } from './pending-tunnel.ts';
import {
  refuseTunnel,
  tunnelled,
  TunnelServer,
  type TunnelClient,
  type TunnelHandler,
  type TunnelRefusal,
} from './tunnel-server.ts';

/** Clients give us 10 s, the way to us included: they should hear why before they give up. */
const answerTimeoutMs = 8000;

export function createEastWestServer(context: ListenerContext, name: string): TunnelServer {
  return new TunnelServer(context, new EastWestTunnels(context, name));
}

class EastWestTunnels implements TunnelHandler {
  readonly #context: ListenerContext;
  readonly #name: string;

  constructor(context: ListenerContext, name: string) {
    this.#context = context;
    this.#name = name;
  }

  async connect(request: ConnectRequest, client: TunnelClient): Promise<void> {
    const found = this.#find(request, client);
    if (found.kind === 'refused') return refuseTunnel(this.#context, request, client, found);
    const { place, port, placeOf } = found;
    const { mesh, clock } = this.#context.services;
    const [vip] = mesh.service(found.service)?.addresses ?? [];
    // It is in another network: whoever has its address in ours is somebody else.
    const source = undefined;
    const channel = new PendingTunnel({ request, clock, timeoutMs: answerTimeoutMs });
    await serveApplication({
      context: this.#context,
      channel,
      signal: channel.signal,
      connection: tunnelled(client, this.#context, { address: vip?.ip ?? '', port }, source),
      protocol: 'tcp',
      place,
      placeOf,
      tcpPlace: placeOf,
      trust: 'mesh',
    });
  }

  #find({ authority, headers }: ConnectRequest, client: TunnelClient): Found | (TunnelRefusal & { kind: 'refused' }) {
    const { mesh } = this.#context.services;
    const config = this.#context.config();
    const target = eastWestTarget(authority, {
      mesh,
      isShared: (service) => config?.snapshot.services.has(service) ?? false,
      clientNamespace: spiffeParts(client.identity).namespace,
    });
    if (target.kind === 'refused') return target;
    const { service, port } = target;
    const known = mesh.service(service);
    const source = headers.get(sourceHeader);
    // A waypoint has done what there is to do, and a gateway at the edge goes through one only where it is told to.
    const isPastWaypoint = source === 'waypoint' || (source === 'gateway' && known?.ingressUseWaypoint !== true);
    const placeOf = (): HttpPlace | undefined => {
      const now = this.#context.config();
      return isPastWaypoint
        ? now?.pastWaypointPlace(this.#name, service, port)
        : now?.servicePlace(this.#name, service, port);
    };
    const place = placeOf();
    if (!place) return { kind: 'refused', status: 404, reason: `${service} has no port ${port}` };
    return { kind: 'found', service, port, place, placeOf };
  }
}

interface Found {
  readonly kind: 'found';
  readonly service: ServiceKey;
  readonly port: number;
  readonly place: HttpPlace;
  readonly placeOf: () => HttpPlace | undefined;
}
