/** Inbound HBONE on 15008: TLS with a certificate each way, then CONNECT requests, each authorized by itself. */
import { AmbitError } from '../../lib/errors.ts';
import { canonicalIp, formatHostPort } from '../../lib/ip.ts';
import { spiffeId, type SpiffeId } from '../../api/names.ts';
import { planInboundConnect } from '../../decision/index.ts';
import {
  formatBaggage,
  isFromOtherNetwork,
  parseBaggage,
  parseForwardedHost,
  reasonHeader,
  serveHbone,
  type ConnectRequest,
  type HboneServerSession,
} from '../../hbone/index.ts';
import { acceptTls, spiffeParts } from '../../identity/index.ts';
import { encodeProxyHeader, HandshakeSlots, proxyTlv, tlsChannel, type AcceptedSocket } from '../../net/index.ts';
import type { SourcePrincipal } from '../../policy/index.ts';
import { createTraceContext, tryParseTraceparent } from '../../telemetry/index.ts';
import { overLimit, overloaded } from './connection-limits.ts';
import { ownWorkload, type PodContext } from './data-context.ts';
import { flagsOf } from './failures.ts';
import { authorizeInbound, DeniedError, dialApplication, type InboundTarget } from './inbound.ts';
import { hbonePort, ownPorts } from '../ports.ts';
import { runPump } from './run-pump.ts';

/** A client that comes although we drain has not heard yet that it should not: it gets time to open its tunnel. */
const lateClientMs = 1000;

/** The TLS connections of one pod's 15008. */
export class HboneInbound {
  readonly #pod: PodContext;
  readonly #sessions = new Set<HboneServerSession>();
  readonly #handshakes: HandshakeSlots;
  #draining = false;

  constructor(pod: PodContext) {
    this.#pod = pod;
    this.#handshakes = new HandshakeSlots(pod.limits.maxHandshakes);
  }

  /** Serves one TLS connection to its end. Never throws. */
  async serve(accepted: AcceptedSocket): Promise<void> {
    const { socket, remoteAddress, remotePort } = accepted;
    const localIp = this.#localIp(accepted);
    const src = formatHostPort(remoteAddress, remotePort);
    let ownIdentity: SpiffeId | undefined;
    this.#handshakes.begin(socket);
    try {
      if (this.#sessions.size >= this.#pod.limits.maxPodConnections) throw overloaded('the pod has too many tunnels');
      const own = await ownWorkload(this.#pod, () => this.#pod.ended);
      if (!own) throw inboundError('not-ready', 'own workload is not known to the mesh');
      ownIdentity = spiffeId(own.trustDomain, own.namespace, own.serviceAccount);
      const certificate = await this.#pod.certificates.get(ownIdentity, this.#pod.ended);
      if (socket.destroyed) throw inboundError('abandoned', 'the client gave up');
      const peer = await acceptTls({
        socket,
        certificate,
        signal: this.#pod.ended,
        timeoutMs: this.#pod.limits.handshakeTimeoutMs,
        revocations: this.#pod.revocations,
        allowTls12: this.#pod.limits.allowTls12,
        trustDomainAliases: this.#pod.limits.trustDomainAliases,
      });
      const connection: TunnelConnection = {
        peer: principalOf(peer.identity),
        ownIdentity,
        remoteAddress,
        remotePort,
        src,
        localIp,
      };
      this.#serveTunnels(connection, tlsChannel(peer.socket));
    } catch (error) {
      socket.resetAndDestroy();
      const why = this.#handshakes.wasEvicted(socket) ? tooSlow() : error;
      this.#recordFailure({ src, localIp, ownIdentity }, why);
    } finally {
      this.#handshakes.end(socket);
    }
  }

  /** Handshakes or connections: whoever is here may still ask for a tunnel. */
  get hasClients(): boolean {
    return this.#handshakes.size > 0 || this.#sessions.size > 0;
  }

  /** GOAWAY to every client; running tunnels go on. Connections that come later are served, and sent away a little later. */
  drain(): void {
    this.#draining = true;
    for (const session of this.#sessions) session.drain();
  }

  /** Ends all TLS connections at once. */
  close(error: Error): void {
    for (const session of this.#sessions) session.close(error);
  }

  #serveTunnels(connection: TunnelConnection, channel: ReturnType<typeof tlsChannel>): void {
    const session = serveHbone(channel, {
      clock: this.#pod.clock,
      onConnect: (request) => {
        this.#pod.connections.whenLogged(
          () => {
            if (this.#pod.ended.aborted) request.refuse(503);
            else void serveConnect(request, connection, this.#pod);
          },
          () => request.refuse(503),
        );
      },
      onRefused: (problem) => this.#recordFailure(connection, new RefusedConnect(400, 'bad-request', problem)),
      // It may never have had a tunnel that could tell of it.
      onBroken: (error) => this.#recordFailure(connection, error),
      onClose: () => void this.#sessions.delete(session),
    });
    this.#sessions.add(session);
    if (this.#draining) this.#pod.clock.after(lateClientMs, () => session.drain());
    if (this.#pod.ended.aborted) session.close();
  }

  #localIp({ socket }: AcceptedSocket): string {
    return canonicalIp(socket.localAddress ?? '');
  }

  /** What did not get as far as a tunnel: one refused connection, in metrics and in the log. */
  #recordFailure(client: RefusedClient, error: unknown): void {
    const { mesh, target, connections } = this.#pod;
    const { src, localIp, ownIdentity, remoteAddress, peer } = client;
    if (this.#pod.ended.aborted) return;
    const own = mesh.workloadOfPod(target.pod);
    const actualDst = formatHostPort(localIp, hbonePort);
    const connection = connections.open({ podUid: target.pod.uid, direction: 'inbound', src, originalDst: actualDst });
    connection.describe({
      protocol: 'HBONE',
      actualDst,
      sourceWorkload: own && remoteAddress !== undefined ? mesh.workloadByIp(own.network, remoteAddress) : undefined,
      ...(peer ? { sourceIdentity: peer.id } : {}),
      destinationWorkload: own,
      destinationIdentity: ownIdentity,
      service: undefined,
    });
    connection.finish({ flags: flagsOf(error), error: error as Error });
  }
}

/** A client that is refused, with or without a verified certificate. */
interface RefusedClient {
  readonly src: string;
  readonly localIp: string;
  readonly ownIdentity: SpiffeId | undefined;
  readonly remoteAddress?: string;
  readonly peer?: SourcePrincipal;
}

/** One TLS connection whose peer is known. */
interface TunnelConnection {
  readonly peer: SourcePrincipal;
  readonly ownIdentity: SpiffeId;
  readonly remotePort: number;
  readonly remoteAddress: string;
  readonly src: string;
  readonly localIp: string;
}

async function serveConnect(request: ConnectRequest, tunnel: TunnelConnection, pod: PodContext): Promise<void> {
  const { mesh } = pod;
  const { remoteAddress, localIp, peer, ownIdentity } = tunnel;
  const actualDst = formatHostPort(localIp, hbonePort);
  const connection = pod.connections.open({
    podUid: pod.target.pod.uid,
    direction: 'inbound',
    src: tunnel.src,
    originalDst: request.authority,
  });
  let answered = false;
  // Neither policies nor the application are waited for any longer.
  // Not as a literal: V8 allocates a function that is assigned to a property where it is written in the old generation, and all that it
  // refers to lives until a full collection.
  const onAbandoned = (): void => connection.cut(inboundError('abandoned', 'the client gave up'));
  request.onAbandoned = onAbandoned;
  try {
    if (request.aborted) onAbandoned();
    const overloaded = overLimit(pod);
    if (overloaded) throw overloaded;
    const own = await ownWorkload(pod, () => connection.signal);
    if (!own) throw new RefusedConnect(503, 'not-ready', 'own workload is not known to the mesh');
    const forwardedHost = parseForwardedHost(request.headers.get('forwarded') ?? '');
    const plan = planInboundConnect({ mesh, own, localIp, authority: request.authority, forwardedHost, ownPorts });
    const isForwarded = isFromOtherNetwork(request.headers, pod.network);
    const sourceWorkload = isForwarded ? undefined : mesh.workloadByIp(own.network, remoteAddress);
    const baggage = sourceWorkload ? undefined : request.headers.get('baggage');
    connection.describe({
      protocol: 'HBONE',
      actualDst,
      hboneAddr: request.authority,
      sourceWorkload,
      ...(baggage === undefined ? {} : { sourceLabels: parseBaggage(baggage) }),
      sourceIdentity: peer.id,
      destinationWorkload: own,
      destinationIdentity: ownIdentity,
      service: plan.kind === 'accept' ? plan.service : undefined,
      traceId: (tryParseTraceparent(request.headers.get('traceparent') ?? '') ?? createTraceContext()).traceId,
    });
    if (plan.kind === 'refuse') throw new RefusedConnect(plan.status, plan.reason, plan.message);
    const { policy } = await authorizeInbound({
      pod,
      connection,
      own,
      sourceIp: remoteAddress,
      source: peer,
      target: plan,
    });
    const proxied = plan.applicationTunnel?.protocol === 'proxy';
    const atLoopback = proxied && pod.limits.localhostAppTunnel;
    const application = await dialApplication({ pod, connection, sourceIp: remoteAddress, target: plan, atLoopback });
    answered = true;
    if (connection.cutError || request.aborted) {
      application.reset();
      request.refuse(503);
      throw connection.cutError ?? inboundError('abandoned', 'the client gave up');
    }
    const client = request.accept({ baggage: formatBaggage(own) });
    if (proxied) application.write(proxyHeader(tunnel, plan.asked));
    runPump({ pod, connection, client, server: application, policy });
  } catch (error) {
    if (!answered) refuseConnect(request, error);
    connection.finish({
      flags: flagsOf(error),
      error: error as Error,
      policy: error instanceof DeniedError ? error.policy : undefined,
    });
  }
}

function proxyHeader({ remoteAddress, remotePort, peer }: TunnelConnection, asked: InboundTarget): Uint8Array {
  return encodeProxyHeader({
    source: { address: remoteAddress, port: remotePort },
    destination: { address: asked.ip, port: asked.port },
    tlvs: [{ type: proxyTlv.sourceIdentity, value: peer.id }],
  });
}

/** A CONNECT that is answered with a status of our choice. */
class RefusedConnect extends AmbitError {
  readonly status: number;

  constructor(status: number, reason: string, message: string) {
    super(`CONNECT refused: ${message}`, { code: `inbound.${reason}`, blame: 'downstream' });
    this.status = status;
  }
}

/** 401 by policy, else the status of the plan, else 503: the application could not be reached. */
function refuseConnect(request: ConnectRequest, error: unknown): void {
  if (error instanceof DeniedError) return request.refuse(401, { [reasonHeader]: headerText(error.reason) });
  const status = error instanceof RefusedConnect ? error.status : 503;
  request.refuse(status, error instanceof AmbitError ? { [reasonHeader]: headerText(error.message) } : undefined);
}

function headerText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 200);
}

function principalOf(id: SpiffeId): SourcePrincipal {
  const { namespace, serviceAccount } = spiffeParts(id);
  return { id, namespace, serviceAccount };
}

/** It was the oldest when there was one more than may be. */
function tooSlow(): AmbitError {
  return overloaded('too many handshakes are under way, and none of them longer than this one');
}

function inboundError(reason: string, problem: string): AmbitError {
  return new AmbitError(`Cannot take connection: ${problem}`, { code: `inbound.${reason}`, blame: 'internal' });
}
