/** Connections through the mesh: plain or by HBONE, to the host or its waypoint, with the PROXY protocol and TLS inside where asked for. */
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { ConnectionPool, TlsSecret, UpstreamTls } from '../../api/l7/index.ts';
import type { IpFamilies } from '../../lib/ip-families.ts';
import { canonicalIp, formatHostPort } from '../../lib/ip.ts';
import {
  channelDuplex,
  dial,
  encodeProxyHeader,
  encodeProxyHeaderV1,
  tcpChannel,
  tlsChannel,
  type ByteChannel,
  type FoundAddress,
} from '../../net/index.ts';
import type { Connected, Connector, ConnectRequest } from './connector.ts';
import type { Host } from './host.ts';
import type { HboneConnector } from './hbone-connector.ts';
import { dialRequested } from './requested-dial.ts';
import type { ServerRevocations } from './server-revocations.ts';
import type { UpstreamHost } from './upstream.ts';
import { connectUpstreamTls, upstreamTlsContext } from './upstream-tls.ts';

export interface MeshConnectorOptions {
  readonly hbone: HboneConnector;
  readonly ownAddress: string;
  /** Finds an address of a workload that is known by name alone, of a family of `allowed`, of `preferred` where it can be. */
  readonly resolve: (hostname: string, allowed: IpFamilies, preferred: IpFamilies) => Promise<string>;
  /** All addresses of a host that a client named; and why one of them must not be dialled. Absent: such hosts are not dialled. */
  readonly requested?: {
    readonly addresses: (hostname: string) => AsyncIterable<FoundAddress>;
    readonly refusal: (address: string) => string | undefined;
  };
  /** Of servers whose authorities are in a secret; absent: nobody's. */
  readonly serverRevocations?: ServerRevocations;
  /** Where plain connections are dialled from; absent: the process's own namespace, without a mark. */
  readonly from?: () => { readonly netns: number; readonly mark: number };
}

/** Making one reads all the certificates that it trusts: it is kept as long as its secrets are the same. */
interface KnownContext {
  readonly context: SecureContext;
  readonly ca: TlsSecret | undefined;
  readonly own: TlsSecret | undefined;
}

export class MeshConnector implements Connector {
  readonly #options: MeshConnectorOptions;
  #secrets: ReadonlyMap<string, TlsSecret> = new Map();
  readonly #contexts = new WeakMap<UpstreamTls, KnownContext>();

  constructor(options: MeshConnectorOptions) {
    this.#options = options;
  }

  /** What comes next uses these. */
  useSecrets(secrets: ReadonlyMap<string, TlsSecret>): void {
    this.#secrets = secrets;
    this.#options.serverRevocations?.apply(secrets);
  }

  async connect(request: ConnectRequest, signal: AbortSignal): Promise<Connected> {
    const { backend, host } = request;
    // A waypoint gets the plain request: what it does with it, and by which TLS, is its own matter.
    const isPlain = host.spec.throughWaypoint !== undefined;
    const tls = isPlain ? undefined : backend.tls;
    // Before anything is dialled: a secret that is missing is no fault of the host.
    const context = tls && this.#contextOf(tls);
    const named = await this.#dialRequested(request, signal);
    // The address of who is in another network means nothing here: its gateway is dialled.
    const ip = named?.ip ?? (host.spec.throughGateway ? '' : (host.spec.address ?? (await this.#resolve(host))));
    const header = isPlain ? undefined : proxyHeader(request, this.#options.ownAddress, ip);
    const to = named ? overSocket(named.socket) : await this.#reach(request, ip, signal);
    const connectedHost: UpstreamHost = {
      ...host.describe(),
      ...(to.dialled ?? { address: ip }),
      ...(to.peer === undefined ? {} : { peer: to.peer }),
      ...(to.localAddress === undefined ? {} : { localAddress: to.localAddress }),
    };
    if (!tls || !context) {
      const channel = to.channel ?? tcpChannel(to.socket as Socket);
      if (header) channel.write(header);
      return { channel, host: connectedHost };
    }
    to.socket?.write(header ?? '');
    if (header) to.channel?.write(header);
    const stream = to.socket ?? channelDuplex(to.channel as ByteChannel);
    // The handshake says why it failed; a late error of the stream below it has nobody to be told.
    stream.on('error', () => undefined);
    const { serverName, use } = request;
    const protocols = { http1: ['http/1.1'], http2: ['h2'], raw: [] }[use];
    const { address } = connectedHost;
    const socket = await connectUpstreamTls({ stream, tls, context, serverName, address, protocols, signal });
    this.#options.serverRevocations?.check(socket, tls);
    return { channel: tlsChannel(socket), host: connectedHost };
  }

  close(): void {
    this.#options.hbone.close();
  }

  #resolve({ spec }: Host): Promise<string> {
    const hostname = spec.workload?.hostname ?? '';
    return this.#options.resolve(hostname, spec.families, spec.families);
  }

  #contextOf(tls: UpstreamTls): SecureContext {
    const secrets = this.#secrets;
    const ca = tls.ca.kind === 'secret' ? secrets.get(tls.ca.secret) : undefined;
    const own = tls.clientCertificate === undefined ? undefined : secrets.get(tls.clientCertificate);
    const known = this.#contexts.get(tls);
    if (known && known.ca === ca && known.own === own) return known.context;
    const context = upstreamTlsContext(tls, secrets);
    this.#contexts.set(tls, { context, ca, own });
    return context;
  }

  async #reach({ backend, host, client }: ConnectRequest, ip: string, signal: AbortSignal): Promise<Reached> {
    if (host.isTunnelled) return this.#options.hbone.connect({ host, ip, client, service: backend.hostname }, signal);
    return overSocket(await this.#dial({ backend, host }, ip, backend.connectionPool.connectTimeoutMs, signal));
  }

  /** Undefined: the host is not one that a client named. */
  async #dialRequested(
    { backend, host }: ConnectRequest,
    signal: AbortSignal,
  ): Promise<{ readonly socket: Socket; readonly ip: string } | undefined> {
    const { requestedName: hostname } = host.spec;
    if (hostname === undefined) return undefined;
    const { requested } = this.#options;
    if (!requested) throw new Error(`nothing here resolves ${hostname}`);
    return dialRequested({
      hostname,
      addresses: requested.addresses(hostname),
      refusal: requested.refusal,
      dial: (address, timeoutMs) => this.#dial({ backend, host }, address, timeoutMs, signal),
      timeoutMs: backend.connectionPool.connectTimeoutMs,
      signal,
    });
  }

  #dial(
    { backend, host }: Pick<ConnectRequest, 'backend' | 'host'>,
    ip: string,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Socket> {
    const { tcpKeepalive } = backend.connectionPool;
    return dial({
      ...this.#options.from?.(),
      host: ip,
      port: host.spec.port,
      timeoutMs,
      ...(tcpKeepalive ? keepAliveOf(tcpKeepalive) : {}),
      signal,
    });
  }
}

interface Reached {
  readonly channel?: ByteChannel;
  readonly socket?: Socket;
  readonly peer?: UpstreamHost['peer'];
  readonly localAddress?: string;
  readonly dialled?: Pick<UpstreamHost, 'address' | 'port'>;
}

function overSocket(socket: Socket): Reached {
  return { socket, localAddress: formatHostPort(canonicalIp(socket.localAddress ?? ''), socket.localPort ?? 0) };
}

function keepAliveOf({ timeMs, intervalMs, probes }: NonNullable<ConnectionPool['tcpKeepalive']>): {
  readonly keepAliveMs: number;
  readonly keepAliveProbes: { readonly intervalMs: number; readonly count: number };
} {
  return { keepAliveMs: timeMs, keepAliveProbes: { intervalMs, count: probes } };
}

/** Who the client is, and what it asked for. */
function proxyHeader({ backend, client }: ConnectRequest, ownAddress: string, ip: string): Uint8Array | undefined {
  const { proxyProtocol } = backend;
  if (!proxyProtocol) return undefined;
  const source = client ?? { address: ownAddress, port: 0 };
  const destination = client?.destination ?? { address: ip, port: backend.port };
  return proxyProtocol === 'v1'
    ? encodeProxyHeaderV1({ source, destination })
    : encodeProxyHeader({ source, destination });
}
