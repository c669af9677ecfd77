/** Tunnels of the proxy's own: with its own certificate, to peers that must prove to be the workload that they stand for. */
import { setMaxListeners } from 'node:events';
import { spiffeId, type NetworkId, type SpiffeId, type WorkloadUid } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import { familiesOf, planGateway, vouchedBy, type HbonePlan, type OutboundPlan } from '../../decision/index.ts';
import {
  createHbonePool,
  formatBaggage,
  formatForwarded,
  HboneRefusedError,
  openInnerTunnel,
  poolKeyId,
  sourceHeader,
  tunnelDialer,
  type HbonePool,
  type TunnelKey,
} from '../../hbone/index.ts';
import { spiffeParts, type Revocations, type WorkloadCertificate } from '../../identity/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { AmbitError } from '../../lib/errors.ts';
import type { IpFamilies } from '../../lib/ip-families.ts';
import { formatHostPort } from '../../lib/ip.ts';
import type { Log } from '../../lib/log.ts';
import type { MeshState } from '../../mesh/index.ts';
import type { ByteChannel } from '../../net/channel.ts';
import { createTraceContext, formatTraceparent } from '../../telemetry/index.ts';
import type { Host } from './host.ts';
import type { UpstreamClient, UpstreamHost } from './upstream.ts';

/** What we are to the gateway of another network: past the waypoint of a Service goes that waypoint alone (ambient-l7, 9). */
export type TunnelSource = 'waypoint' | 'gateway';

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
  readonly mesh: MeshState;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly own: () => MeshWorkload | undefined;
  readonly ownAddress: string;
  readonly network: NetworkId;
  /** Finds an address of a gateway that is known by name alone. */
  readonly resolve: (hostname: string, allowed: IpFamilies, preferred: IpFamilies) => Promise<string>;
  readonly source: TunnelSource;
  /** 15008. */
  readonly hbonePort: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly from?: () => { readonly netns: number; readonly mark: number };
}

export interface TunnelTarget {
  readonly host: Host;
  /** Of the workload; not heeded where that is in another network. */
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

export interface OpenedTunnel {
  readonly channel: ByteChannel;
  readonly peer?: SpiffeId;
  /** The gateway, of another network. */
  readonly dialled?: Pick<UpstreamHost, 'address' | 'port'>;
}

/** Pods of a gateway: nothing of the client's was sent before there is a tunnel, so that another one repeats nothing. */
const maxGateways = 3;
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

  async connect(target: TunnelTarget, signal: AbortSignal): Promise<OpenedTunnel> {
    const { host, ip } = target;
    const headers = this.#headersOf(target);
    if (host.spec.throughGateway) return this.#connectRemote(host, headers, signal);
    const key = this.#keyOf(host, ip);
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

  #headersOf({ client, service }: TunnelTarget): Readonly<Record<string, string>> {
    const own = this.#options.own();
    // A connection that many clients share is ours; for one client alone it is that client's.
    const from = client ? formatHostPort(client.address, client.port) : this.#options.ownAddress;
    return {
      ...(own ? { baggage: formatBaggage(own) } : {}),
      forwarded: formatForwarded(from, service),
      traceparent: formatTraceparent(createTraceContext()),
    };
  }

  /** A tunnel to a gateway of the host's network, and inside of it one to whoever serves there. */
  async #connectRemote(
    host: Host,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<OpenedTunnel> {
    const { source, identity, certificates, revocations, clock } = this.#options;
    const network = this.#options.own()?.network ?? this.#options.network;
    const told = { ...headers, [sourceHeader]: source };
    const { plan, outer } = await this.#reachGateway(host, told, signal);
    const inner = await openInnerTunnel({
      outer,
      certificate: (abort) => certificates.certificate(identity, abort),
      // Never empty: a plan without them is a refusal.
      expected: plan.innerExpected ?? [],
      authority: plan.authority,
      headers: told,
      network,
      handshakeTimeoutMs: connectTimeoutMs,
      answerTimeoutMs: connectTimeoutMs,
      revocations,
      allowTls12: false,
      signal,
      clock,
    });
    return { channel: inner.channel, peer: inner.identity, dialled: { address: plan.ip, port: plan.port } };
  }

  /** Another pod of the gateway where one cannot be reached. */
  async #reachGateway(
    host: Host,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ readonly plan: HbonePlan; readonly outer: ByteChannel }> {
    const tried = new Set<WorkloadUid>();
    let last: unknown;
    for (;;) {
      const plan = await this.#planRemote(host, tried);
      if (plan.kind !== 'hbone') throw last ?? unreachable(host, plan.message);
      try {
        const outer = await this.#pool.connect(this.#gatewayKey(plan), { authority: plan.authority, headers }, signal);
        return { plan, outer };
      } catch (error) {
        last = error;
        const { drawn } = plan;
        // One that answers is a gateway that works.
        const isFinal = drawn === undefined || tried.has(drawn) || error instanceof HboneRefusedError;
        if (isFinal || signal.aborted || tried.size + 1 >= maxGateways) throw error;
        tried.add(drawn);
      }
    }
  }

  async #planRemote(
    { spec }: Host,
    tried: ReadonlySet<WorkloadUid>,
  ): Promise<HbonePlan | { readonly kind: 'refuse'; readonly message: string }> {
    const { mesh, random, own, ownAddress, resolve } = this.#options;
    const { throughGateway: reach, workload } = spec;
    const self = own();
    if (!reach || !workload || !self) return { kind: 'refuse', message: 'the mesh does not know us any more' };
    let plan: OutboundPlan = planGateway(
      { ...reach, workload, drawn: false },
      {
        mesh,
        own: self,
        clientFamilies: familiesOf(self, ownAddress),
        random,
        avoid: { tried, isSuspect: () => false, anySuspect: false },
        destinationIp: ownAddress,
        destinationPort: reach.port,
      },
    );
    if (plan.kind === 'resolve') {
      plan = plan.withAddress(await resolve(plan.hostname, plan.allowed, plan.preferred));
    }
    if (plan.kind === 'hbone' || plan.kind === 'refuse') return plan;
    throw new Error(`a gateway is not reached by ${plan.kind}`);
  }

  #gatewayKey({ ip, port, expected, workload }: HbonePlan): TunnelKey {
    const { identity, ownAddress } = this.#options;
    const aliases = this.#options.trustDomainAliases();
    const named = [...new Set([...expected, ...this.#namesOf(workload, aliases)])];
    const id = poolKeyId({
      sourcePod: '',
      sourceIp: ownAddress,
      sourceIdentity: identity,
      network: workload.network,
      destination: formatHostPort(ip, port),
      expectedIdentities: named,
      trustGeneration: this.#generation,
      worker: 0,
    });
    return { id, ip, port, identity, expected: named };
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
    const vouched = vouchedBy(service);
    if (!workload) return vouched;
    return [...new Set([...this.#namesOf(workload, aliases), ...vouched])];
  }

  /** Its identity under every name of its trust domain. */
  #namesOf({ trustDomain, namespace, serviceAccount }: MeshWorkload, aliases: readonly string[]): readonly SpiffeId[] {
    const ours = [spiffeParts(this.#options.identity).trustDomain, ...aliases];
    const domains = ours.includes(trustDomain) ? [trustDomain, ...ours] : [trustDomain];
    return domains.map((domain) => spiffeId(domain, namespace, serviceAccount));
  }

  #notePeer({ id }: TunnelKey, peer: SpiffeId): void {
    if (this.#peers.size >= maxPeers) this.#peers.clear();
    this.#peers.set(id, peer);
  }
}

function unreachable({ key }: Host, reason: string): AmbitError {
  return new AmbitError(`Cannot connect to ${key}: ${reason}`, { code: 'upstream.remote-network', blame: 'upstream' });
}
