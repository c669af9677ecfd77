/** The waypoint's 15008: CONNECT requests, each a connection to a Service or a workload. */
import { isWaypointOf } from '../../decision/index.ts';
import type { ConnectRequest } from '../../hbone/index.ts';
import { spiffeParts } from '../../identity/index.ts';
import type { HttpPlace } from '../engine/place.ts';
import { serveApplication } from './application-connection.ts';
import type { ListenerContext } from './listener-context.ts';
import { sourceWorkload } from './source-workload.ts';
import { refuseTunnel, tunnelled, TunnelServer, type TunnelClient, type TunnelHandler } from './tunnel-server.ts';
import { unservedRefusal, waypointTarget, type TargetRefusal, type WaypointTarget } from './waypoint-target.ts';

export function createWaypointServer(context: ListenerContext, name: string): TunnelServer {
  return new TunnelServer(context, new WaypointTunnels(context, name));
}

class WaypointTunnels implements TunnelHandler {
  readonly #context: ListenerContext;
  readonly #name: string;

  constructor(context: ListenerContext, name: string) {
    this.#context = context;
    this.#name = name;
  }

  async connect(request: ConnectRequest, client: TunnelClient): Promise<void> {
    const now = this.#find(request.authority, client);
    const found = now.kind === 'found' || now.status === 400 ? now : await this.#findLater(request, client, now);
    if (request.aborted) return;
    if (found.kind === 'refused') return refuseTunnel(this.#context, request, client, found);
    const { target, place } = found;
    const { mesh } = this.#context.services;
    const placeOf = (): HttpPlace | undefined => this.#placeOf(target);
    const source = sourceWorkload(request.headers, client, { mesh, network: place.settings.network });
    await serveApplication({
      context: this.#context,
      channel: request.accept(),
      connection: tunnelled(client, this.#context, target, source),
      protocol: place.protocol,
      place,
      placeOf,
      tcpPlace: placeOf,
      isWanted: () => this.#isWanted(target),
      trust: 'mesh',
    });
  }

  /** What is not ours by what we know may be by what ztunnels know: they may be told a moment before we are. */
  async #findLater(
    request: ConnectRequest,
    client: TunnelClient,
    refusal: TargetRefusal,
  ): Promise<Found | TargetRefusal> {
    let last = refusal;
    const later = await this.#context.late.wait(() => {
      const found = this.#find(request.authority, client);
      if (found.kind === 'found') return found;
      last = found;
      return undefined;
    }, request.signal);
    return later ?? last;
  }

  #find(authority: string, client: TunnelClient): Found | TargetRefusal {
    const config = this.#context.config();
    const listener = config?.snapshot.listeners.get(this.#name);
    if (!config || listener?.type !== 'waypoint') return goingAway;
    const context = {
      mesh: this.#context.services.mesh,
      network: config.snapshot.settings.network,
      listener,
      clientNamespace: spiffeParts(client.identity).namespace,
      own: this.#context.own(),
      left: this.#context.left,
    };
    const target = waypointTarget(authority, context);
    if (target.kind === 'refused') return target;
    const place = this.#placeOf(target);
    if (place) return { kind: 'found', target, place };
    return target.kind === 'service' ? unservedRefusal(target, context) : goingAway;
  }

  #placeOf(target: ServedTarget): HttpPlace | undefined {
    const config = this.#context.config();
    return target.kind === 'service'
      ? config?.servicePlace(this.#name, target.service, target.port)
      : config?.directPlace(this.#name);
  }

  /** Whether connections to the target are to go on coming here. */
  #isWanted(target: ServedTarget): boolean {
    const place = this.#placeOf(target);
    if (!place || target.kind === 'service') return place !== undefined && place.service?.leaving !== true;
    const { mesh } = this.#context.services;
    const own = this.#context.own();
    const workload = mesh.workloadByIp(place.settings.network, target.address);
    return workload !== undefined && own !== undefined && isWaypointOf(own, workload, mesh);
  }
}

const goingAway: TargetRefusal = { kind: 'refused', status: 503, reason: 'the waypoint is going away' };

type ServedTarget = Exclude<WaypointTarget, TargetRefusal>;

interface Found {
  readonly kind: 'found';
  readonly target: ServedTarget;
  readonly place: HttpPlace;
}
