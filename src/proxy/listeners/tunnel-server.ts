/** A port that takes tunnels of the mesh: TLS with a certificate each way, then CONNECT requests, which somebody else serves. */
import type { SpiffeId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import { reasonHeader, serveHbone, type ConnectRequest } from '../../hbone/index.ts';
import { acceptTls } from '../../identity/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { HandshakeSlots, tlsChannel, type AcceptedSocket } from '../../net/index.ts';
import { enginePart, reportException } from '../engine/exceptions.ts';
import type { DownstreamConnection } from '../engine/http-run.ts';
import { fieldText } from '../engine/local-reply.ts';
import { shareOf } from '../workers/share.ts';
import type { ListenerContext } from './listener-context.ts';
import { tellRefusal } from './refusals.ts';

/** Who opened the TLS connection. */
export interface TunnelClient {
  readonly identity: SpiffeId;
  readonly address: string;
  readonly port: number;
}

/** Who serves the tunnels. */
export interface TunnelHandler {
  /** Accepts or refuses; where it rejects, the tunnel is refused. */
  connect(request: ConnectRequest, client: TunnelClient): Promise<void>;
}

/** What a CONNECT is answered with. */
export interface TunnelRefusal {
  readonly status: number;
  readonly reason: string;
}

/** A client that comes although we drain has not heard yet that it should not: it gets time to open its tunnel. */
const lateClientMs = 1000;
/** Handshakes at once: one more, and the oldest has to go. */
const maxHandshakes = 1000;

export class TunnelServer {
  readonly #context: ListenerContext;
  readonly #handler: TunnelHandler;
  readonly #handshakes: HandshakeSlots;

  constructor(context: ListenerContext, handler: TunnelHandler) {
    this.#context = context;
    this.#handshakes = new HandshakeSlots(shareOf(maxHandshakes, context.share));
    this.#handler = handler;
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
      await this.#handler.connect(request, client);
    } catch (error) {
      reportException(this.#context.services, enginePart, error);
      // What comes behind its acceptance never rejects.
      refuseTunnel(this.#context, request, client, proxyFailed);
    }
  }
}

/** The connection inside of a tunnel, as filters see it. */
export function tunnelled(
  { address, port, identity }: TunnelClient,
  { identity: localIdentity }: ListenerContext,
  destination: { readonly address: string; readonly port: number },
  sourceWorkload: MeshWorkload | undefined,
): DownstreamConnection {
  return {
    sourceAddress: address,
    sourcePort: port,
    sourceIdentity: identity,
    sourceWorkload,
    destinationAddress: destination.address,
    destinationPort: destination.port,
    localIdentity,
    sni: undefined,
    isTls: false,
  };
}

const proxyFailed: TunnelRefusal = { status: 503, reason: 'the proxy failed' };

/** Says why, to the client and in the log. */
export function refuseTunnel(
  { services }: ListenerContext,
  request: ConnectRequest,
  client: TunnelClient,
  { status, reason }: TunnelRefusal,
): void {
  request.refuse(status, { [reasonHeader]: fieldText(reason) });
  tellRefusal(services, 'connect', 'refused a CONNECT', {
    client: client.address,
    identity: client.identity,
    authority: request.authority,
    reason,
  });
}
