/** The waypoint's 15008: TLS with a certificate each way, then CONNECT requests, each a connection to a Service or a workload. */
import type { SpiffeId } from '../../api/names.ts';
import { isWaypointOf } from '../../decision/index.ts';
import { reasonHeader, serveHbone, type ConnectRequest } from '../../hbone/index.ts';
import { acceptTls, spiffeParts } from '../../identity/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { HandshakeSlots, tlsChannel, type AcceptedSocket } from '../../net/index.ts';
import type { DownstreamConnection } from '../engine/http-run.ts';
import { enginePart, reportException } from '../engine/exceptions.ts';
import type { HttpPlace } from '../engine/place.ts';
import { serveApplication } from './application-connection.ts';
import type { ListenerContext } from './listener-context.ts';
import { tellRefusal } from './refusals.ts';
import { unservedRefusal, waypointTarget, type TargetRefusal, type WaypointTarget } from './waypoint-target.ts';

/** A client that comes although we drain has not heard yet that it should not: it gets time to open its tunnel. */
const lateClientMs = 1000;
/** Handshakes at once: one more, and the oldest has to go. */
const maxHandshakes = 1000;

export class WaypointServer {
  readonly #context: ListenerContext;
  readonly #name: string;
  readonly #handshakes: HandshakeSlots;

  constructor(context: ListenerContext, name: string) {
    this.#context = context;
    this.#handshakes = new HandshakeSlots(maxHandshakes);
    this.#name = name;
  }

  /** Serves one TLS connection to its end. Never throws. */
  async serve({ socket, remoteAddress, remotePort }: AcceptedSocket): Promise<void> {
    const { services, ended, live } = this.#context;
    const config = this.#context.config();
    if (!config) {
      const reason = 'there is no configuration yet';
      tellRefusal(services, 'configuration', 'refused a connection', { client: remoteAddress, reason });
      socket.resetAndDestroy();
      return;
    }
    this.#handshakes.begin(socket);
    try {
      const certificate = await this.#context.certificate(ended);
      if (socket.destroyed) throw new Error('the client gave up');
      const peer = await acceptTls({
        socket,
        certificate,
        signal: ended,
        ...(this.#context.revocations ? { revocations: this.#context.revocations } : {}),
        trustDomainAliases: config.snapshot.settings.trustDomainAliases,
      });
      const client: TunnelClient = { identity: peer.identity, address: remoteAddress, port: remotePort };
      const who = { client: remoteAddress, identity: peer.identity };
      let remove: (() => void) | undefined;
      const session = serveHbone(tlsChannel(peer.socket), {
        clock: services.clock,
        onConnect: (request) => void this.#serveConnect(request, client),
        onRefused: (reason) => tellRefusal(services, 'connect', 'refused a CONNECT', { ...who, reason }),
        onBroken: (error) =>
          tellRefusal(services, 'protocol', 'ended a connection', { ...who, reason: messageOf(error) }),
        onClose: () => remove?.(),
      });
      const drain = (): void => session.drain();
      remove = live.draining
        ? live.add({ drain: () => void services.clock.after(lateClientMs, drain) })
        : live.add({ drain });
    } catch (error) {
      socket.resetAndDestroy();
      if (ended.aborted) return;
      const reason = this.#handshakes.wasEvicted(socket)
        ? 'too many handshakes are under way, and none of them longer than this one'
        : messageOf(error);
      tellRefusal(services, 'handshake', 'refused a connection', { client: remoteAddress, reason });
    } finally {
      this.#handshakes.end(socket);
    }
  }

  /** Never rejects: an exception is the end of this tunnel alone. */
  async #serveConnect(request: ConnectRequest, client: TunnelClient): Promise<void> {
    try {
      await this.#connect(request, client);
    } catch (error) {
      reportException(this.#context.services, enginePart, error);
      // What comes behind its acceptance never rejects.
      this.#refuse(request, client, waypointFailed);
    }
  }

  async #connect(request: ConnectRequest, client: TunnelClient): Promise<void> {
    const now = this.#find(request.authority, client);
    const found = now.kind === 'found' || now.status === 400 ? now : await this.#findLater(request, client, now);
    if (request.aborted) return;
    if (found.kind === 'refused') return this.#refuse(request, client, found);
    const { target, place } = found;
    const { mesh } = this.#context.services;
    const placeOf = (): HttpPlace | undefined => this.#placeOf(target);
    const connection: DownstreamConnection = {
      sourceAddress: client.address,
      sourcePort: client.port,
      sourceIdentity: client.identity,
      sourceWorkload: mesh.workloadByIp(place.settings.network, client.address),
      destinationAddress: target.address,
      destinationPort: target.port,
      localIdentity: this.#context.identity,
      sni: undefined,
      isTls: false,
    };
    await serveApplication({
      context: this.#context,
      channel: request.accept(),
      connection,
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

  #refuse(request: ConnectRequest, client: TunnelClient, { status, reason }: TargetRefusal): void {
    request.refuse(status, { [reasonHeader]: reason });
    tellRefusal(this.#context.services, 'connect', 'refused a CONNECT', {
      client: client.address,
      identity: client.identity,
      authority: request.authority,
      reason,
    });
  }
}

const waypointFailed: TargetRefusal = { kind: 'refused', status: 503, reason: 'the waypoint failed' };
const goingAway: TargetRefusal = { kind: 'refused', status: 503, reason: 'the waypoint is going away' };

type ServedTarget = Exclude<WaypointTarget, TargetRefusal>;

interface Found {
  readonly kind: 'found';
  readonly target: ServedTarget;
  readonly place: HttpPlace;
}

interface TunnelClient {
  readonly identity: SpiffeId;
  readonly address: string;
  readonly port: number;
}
