/** The waypoint's 15008: TLS with a certificate each way, then CONNECT requests, each a connection to a Service or a workload. */
import type { SpiffeId } from '../../api/names.ts';
import { reasonHeader, serveHbone, type ConnectRequest } from '../../hbone/index.ts';
import { acceptTls, spiffeParts } from '../../identity/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { tlsChannel, type AcceptedSocket } from '../../net/index.ts';
import type { CompiledConfig } from '../engine/compiled-config.ts';
import type { DownstreamConnection } from '../engine/http-run.ts';
import type { HttpPlace } from '../engine/place.ts';
import { serveApplication } from './application-connection.ts';
import type { ListenerContext } from './listener-context.ts';
import { waypointTarget } from './waypoint-target.ts';

/** A client that comes although we drain has not heard yet that it should not: it gets time to open its tunnel. */
const lateClientMs = 1000;
/** How long a tunnel waits for a Service that we are not told of yet, and how often it looks. */
const lateConfigMs = 2000;
const lateStepMs = 20;
/** Handshakes at once: more wait in the kernel's backlog, or are turned away. */
const maxHandshakes = 1000;

export class WaypointServer {
  readonly #context: ListenerContext;
  readonly #name: string;
  #handshakes = 0;

  constructor(context: ListenerContext, name: string) {
    this.#context = context;
    this.#name = name;
  }

  /** Serves one TLS connection to its end. Never throws. */
  async serve({ socket, remoteAddress, remotePort }: AcceptedSocket): Promise<void> {
    const { services, ended, live } = this.#context;
    const config = this.#context.config();
    if (!config || this.#handshakes >= maxHandshakes) {
      services.log.warn('refused a connection', {
        client: remoteAddress,
        reason: config ? 'too many handshakes are under way' : 'there is no configuration yet',
      });
      socket.resetAndDestroy();
      return;
    }
    this.#handshakes++;
    try {
      const certificate = await this.#context.certificate(ended);
      const peer = await acceptTls({
        socket,
        certificate,
        signal: ended,
        ...(this.#context.revocations ? { revocations: this.#context.revocations } : {}),
        trustDomainAliases: config.snapshot.settings.trustDomainAliases,
      });
      const client: TunnelClient = { identity: peer.identity, address: remoteAddress, port: remotePort };
      let remove: (() => void) | undefined;
      const session = serveHbone(tlsChannel(peer.socket), {
        clock: services.clock,
        onConnect: (request) => void this.#connect(request, client),
        onRefused: (problem) => services.log.warn('refused a CONNECT', { client: remoteAddress, reason: problem }),
        onClose: () => remove?.(),
      });
      const drain = (): void => session.drain();
      remove = live.draining
        ? live.add({ drain: () => void services.clock.after(lateClientMs, drain) })
        : live.add({ drain });
    } catch (error) {
      socket.resetAndDestroy();
      if (!ended.aborted) {
        services.log.warn('refused a connection', { client: remoteAddress, reason: messageOf(error) });
      }
    } finally {
      this.#handshakes--;
    }
  }

  async #connect(request: ConnectRequest, client: TunnelClient): Promise<void> {
    const config = this.#context.config();
    const listener = config?.snapshot.listeners.get(this.#name);
    if (!config || listener?.type !== 'waypoint')
      return this.#refuse(request, client, 503, 'the waypoint is going away');
    const { mesh } = this.#context.services;
    const { network } = config.snapshot.settings;
    const clientNamespace = spiffeParts(client.identity).namespace;
    const own = this.#context.own();
    const target = waypointTarget(request.authority, { mesh, network, listener, clientNamespace, own });
    if (target.kind === 'refused') return this.#refuse(request, client, target.status, target.reason);
    const placeIn = (now: CompiledConfig | undefined): HttpPlace | undefined =>
      target.kind === 'service'
        ? now?.servicePlace(this.#name, target.service, target.port)
        : now?.directPlace(this.#name);
    const place = placeIn(config) ?? (await this.#laterPlace(placeIn));
    if (!place) {
      const what = target.kind === 'service' ? `${target.service} port ${target.port}` : target.address;
      return this.#refuse(
        request,
        client,
        404,
        `waypoint ${listener.origin.namespace}/${listener.origin.name} does not stand for ${what}`,
      );
    }
    const connection: DownstreamConnection = {
      sourceAddress: client.address,
      sourcePort: client.port,
      sourceIdentity: client.identity,
      sourceWorkload: mesh.workloadByIp(network, client.address),
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
      placeOf: () => placeIn(this.#context.config()),
      tcpPlace: () => placeIn(this.#context.config()),
      isWanted: () => {
        const now = placeIn(this.#context.config());
        return now !== undefined && now.service?.leaving !== true;
      },
      trust: 'mesh',
    });
  }

  /** Ztunnels may be told that a Service uses this waypoint a moment before the waypoint is. */
  async #laterPlace(
    placeIn: (now: CompiledConfig | undefined) => HttpPlace | undefined,
  ): Promise<HttpPlace | undefined> {
    const { clock } = this.#context.services;
    for (let waitedMs = 0; waitedMs < lateConfigMs; waitedMs += lateStepMs) {
      await new Promise<void>((resolve) => void clock.after(lateStepMs, resolve));
      const place = placeIn(this.#context.config());
      if (place || this.#context.ended.aborted) return place;
    }
    return undefined;
  }

  #refuse(request: ConnectRequest, client: TunnelClient, status: number, reason: string): void {
    request.refuse(status, { [reasonHeader]: reason });
    this.#context.services.log.warn('refused a CONNECT', {
      client: client.address,
      identity: client.identity,
      authority: request.authority,
      reason,
    });
  }
}

interface TunnelClient {
  readonly identity: SpiffeId;
  readonly address: string;
  readonly port: number;
}
