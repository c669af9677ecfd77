/** Tunnels of the proxy's own: with its own certificate, to peers that must prove to be the workload that they stand for. */
import { setMaxListeners } from 'node:events';
import { spiffeId, type NetworkId, type SpiffeId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import {
  createHbonePool,
  formatBaggage,
  formatForwarded,
  poolKeyId,
  tunnelDialer,
  type HbonePool,
  type TunnelKey,
} from '../../hbone/index.ts';
import { spiffeParts, tryParseSpiffeId, type Revocations, type WorkloadCertificate } from '../../identity/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { formatHostPort } from '../../lib/ip.ts';
import type { Log } from '../../lib/log.ts';
import type { ByteChannel } from '../../net/channel.ts';
import { createTraceContext, formatTraceparent } from '../../telemetry/index.ts';
import type { Host } from './host.ts';
import type { UpstreamClient } from './upstream.ts';

/** Where the proxy's own certificate comes from; a `CertificateManager` is one. */
export interface ProxyCertificates {
  certificate(identity: SpiffeId, signal: AbortSignal): Promise<WorkloadCertificate>;
  /** Returns the removal. */
  onRotate(listener: (certificate: WorkloadCertificate) => void): () => void;
}

export interface HboneConnectorOptions {
  readonly identity: SpiffeId;
  readonly certificates: ProxyCertificates;
  readonly revocations?: Revocations;
  /** Other names of our own trust domain: peers of either count as of the other. */
  readonly trustDomainAliases: () => readonly string[];
  readonly own: () => MeshWorkload | undefined;
  readonly ownAddress: string;
  readonly network: NetworkId;
  /** 15008. */
  readonly hbonePort: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly from?: () => { readonly netns: number; readonly mark: number };
}

export interface TunnelTarget {
  readonly host: Host;
  /** Of the workload. */
  readonly ip: string;
  /** Of which client alone the connection is. */
  readonly client: UpstreamClient | undefined;
  /** Host name of the Service. */
  readonly service: string;
}

/** A key, and what it was made of. */
interface KnownKey {
  readonly spec: Host['spec'];
  readonly ip: string;
  readonly aliases: readonly string[];
  readonly key: TunnelKey;
}

const connectTimeoutMs = 10_000;
const keepAliveMs = 180_000;
const maxPeers = 10_000;

export class HboneConnector {
  readonly #options: HboneConnectorOptions;
  readonly #pool: HbonePool<TunnelKey>;
  readonly #ended = new AbortController();
  readonly #stopFollowing: () => void;
  /** Who proved to be there, by the key's id. */
  readonly #peers = new Map<string, SpiffeId>();
  #keys = new WeakMap<Host, KnownKey>();
  #generation = 0;

  /** `onRotated`: new tunnels are with another certificate, or trust other roots. */
  constructor(options: HboneConnectorOptions, onRotated: () => void) {
    this.#options = options;
    const { certificates, identity, clock, log, revocations, from } = options;
    // Each dial listens for the end.
    setMaxListeners(0, this.#ended.signal);
    this.#pool = createHbonePool({
      dial: tunnelDialer({
        certificate: (wanted, signal) => certificates.certificate(wanted, signal),
        ended: this.#ended.signal,
        ...(from ? { from } : {}),
        connectTimeoutMs,
        handshakeTimeoutMs: connectTimeoutMs,
        keepAliveMs,
        ...(revocations ? { revocations } : {}),
        onPeer: (key, peer) => this.#notePeer(key, peer),
      }),
      clock,
      log: log.child('hbone', {}),
      limits: { dialTimeoutMs: connectTimeoutMs },
    });
    this.#stopFollowing = certificates.onRotate((certificate) => {
      if (certificate.identity !== identity || certificate.generation === this.#generation) return;
      const isFirst = this.#generation === 0;
      this.#generation = certificate.generation;
      this.#keys = new WeakMap();
      if (!isFirst) onRotated();
    });
  }

  async connect(
    target: TunnelTarget,
    signal: AbortSignal,
  ): Promise<{ readonly channel: ByteChannel; readonly peer?: SpiffeId }> {
    const { host, ip, client, service } = target;
    const key = this.#keyOf(host, ip);
    const own = this.#options.own();
    // A connection that many clients share is ours; for one client alone it is that client's.
    const from = client ? formatHostPort(client.address, client.port) : this.#options.ownAddress;
    const headers = {
      ...(own ? { baggage: formatBaggage(own) } : {}),
      forwarded: formatForwarded(from, service),
      traceparent: formatTraceparent(createTraceContext()),
    };
    const authority = host.spec.throughWaypoint ?? formatHostPort(ip, host.spec.port);
    const channel = await this.#pool.connect(key, { authority, headers }, signal);
    const peer = this.#peers.get(key.id) ?? (key.expected.length === 1 ? key.expected[0] : undefined);
    return { channel, ...(peer === undefined ? {} : { peer }) };
  }

  close(): void {
    this.#stopFollowing();
    this.#ended.abort();
    this.#pool.close();
  }

  #keyOf(host: Host, ip: string): TunnelKey {
    const known = this.#keys.get(host);
    const aliases = this.#options.trustDomainAliases();
    if (known && known.spec === host.spec && known.ip === ip && known.aliases === aliases) return known.key;
    const { identity, network, ownAddress, hbonePort } = this.#options;
    const port = host.spec.throughWaypoint === undefined ? hbonePort : host.spec.port;
    const expected = this.#expectedOf(host, aliases);
    const id = poolKeyId({
      sourcePod: '',
      sourceIp: ownAddress,
      sourceIdentity: identity,
      network,
      destination: formatHostPort(ip, port),
      expectedIdentities: expected,
      trustGeneration: this.#generation,
      worker: 0,
    });
    const key = { id, ip, port, identity, expected };
    this.#keys.set(host, { spec: host.spec, ip, aliases, key });
    return key;
  }

  /** The workload's own identity, under every name of our trust domain if it is of that; and those that the Service vouches for. */
  #expectedOf({ spec }: Host, aliases: readonly string[]): readonly SpiffeId[] {
    const { workload, service } = spec;
    const vouched = (service?.subjectAltNames ?? []).flatMap((name) => tryParseSpiffeId(name) ?? []);
    if (!workload) return vouched;
    const { trustDomain, namespace, serviceAccount } = workload;
    const ours = [spiffeParts(this.#options.identity).trustDomain, ...aliases];
    const domains = ours.includes(trustDomain) ? [trustDomain, ...ours] : [trustDomain];
    const own = domains.map((domain) => spiffeId(domain, namespace, serviceAccount));
    return [...new Set([...own, ...vouched])];
  }

  #notePeer({ id }: TunnelKey, peer: SpiffeId): void {
    if (this.#peers.size >= maxPeers) this.#peers.clear();
    this.#peers.set(id, peer);
  }
}
