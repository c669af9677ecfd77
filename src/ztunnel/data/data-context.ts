/** What every part of the data path of one data part shares. */
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { NetworkId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import { IdleBound } from '../../hbone/index.ts';
import type { Revocations } from '../../identity/index.ts';
import type { MeshState } from '../../mesh/index.ts';
import { NameResolver, systemNameQuery, type NameQuery } from '../../net/index.ts';
import type { registerOnDemandDns } from '../../telemetry/index.ts';
import type { DnsShared } from '../dns/responder.ts';
import type { Authorizer } from './authorize.ts';
import type { CertificateStore } from './certificate-store.ts';
import type { ConnectionRegistry } from './connections.ts';
import { HalfClosedConnections } from './half-closed.ts';
import type { PodToServe } from '../messages.ts';
import { OutboundWatch } from './outbound-watch.ts';
import { SuspectEndpoints } from './suspect-endpoints.ts';
import { waitForMesh } from './wait-for-mesh.ts';

/** Limits, times and choices of the data path, with their defaults in `dataDefaults`. */
export interface DataLimits {
  readonly connectTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  /** How long a connection waits for the mesh to know its own pod. */
  readonly ownWorkloadTimeoutMs: number;
  /** Handshakes under way at once, per pod; more are refused. */
  readonly maxHandshakes: number;
  readonly keepAliveMs: number;
  /** Connections at once, of the data part and of one pod; more are refused. */
  readonly maxConnections: number;
  readonly maxPodConnections: number;
  /** Connections to peers that no tunnel uses, of all pods together: who has most gives up first. */
  readonly maxIdleTunnels: number;
  /** Endpoints that one connection tries at most, where a service has several. */
  readonly maxTries: number;
  /** After this long without success another endpoint is tried, where there is one. */
  readonly tryTimeoutMs: number;
  /** For the answer to a CONNECT, everything included. */
  readonly answerTimeoutMs: number;
  /** An endpoint that could not be reached is avoided for this long, where there is another. */
  readonly suspectMs: number;
  /** A connection of which one side ended is cut when the other is silent for this long. */
  readonly halfCloseTimeoutMs: number;
  /** Connections that go past a waypoint which became required end within this time. */
  readonly waypointDrainMs: number;
  readonly resolveTimeoutMs: number;
  /** An application that is reached by the PROXY protocol is dialled at its loopback address. */
  readonly localhostAppTunnel: boolean;
  /** Tunnels over TLS 1.2 too. */
  readonly allowTls12: boolean;
  /** Trust domains whose clients count as of our own. */
  readonly trustDomainAliases: readonly string[];
}

export const dataDefaults: DataLimits = {
  connectTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  ownWorkloadTimeoutMs: 5000,
  maxHandshakes: 1024,
  keepAliveMs: 180_000,
  maxConnections: 100_000,
  maxPodConnections: 50_000,
  maxIdleTunnels: 4096,
  maxTries: 3,
  tryTimeoutMs: 3000,
  answerTimeoutMs: 30_000,
  suspectMs: 10_000,
  halfCloseTimeoutMs: 3600_000,
  waypointDrainMs: 60_000,
  resolveTimeoutMs: 5000,
  localhostAppTunnel: true,
  allowTls12: false,
  trustDomainAliases: [],
};

/** What a data part is made of. */
export interface DataContextParts {
  readonly mesh: MeshState;
  readonly network: NetworkId;
  /** Which of the data parts this is: tunnels are never shared between them. */
  readonly worker: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly connections: ConnectionRegistry;
  readonly authorizer: Authorizer;
  readonly certificates: CertificateStore;
  /** Counts a look-up of an endpoint that is known by name alone. */
  readonly countNameLookup: ReturnType<typeof registerOnDemandDns>;
  readonly revocations: Revocations;
  readonly random: () => number;
  readonly limits: DataLimits;
  /** Absent: DNS is not captured. */
  readonly dns?: DnsShared | undefined;
}

export interface DataContext extends DataContextParts {
  readonly halfClosed: HalfClosedConnections;
  readonly idleTunnels: IdleBound;
  readonly outboundWatch: OutboundWatch;
  readonly suspects: SuspectEndpoints;
  readonly names: NameResolver;
}

export function createDataContext(parts: DataContextParts, nameQuery: NameQuery = systemNameQuery()): DataContext {
  const { mesh, clock, random, limits } = parts;
  return {
    ...parts,
    halfClosed: new HalfClosedConnections(clock, limits.halfCloseTimeoutMs),
    idleTunnels: new IdleBound(limits.maxIdleTunnels),
    outboundWatch: new OutboundWatch({ mesh, clock, random, waypointDrainMs: limits.waypointDrainMs }),
    suspects: new SuspectEndpoints(clock, limits.suspectMs),
    names: new NameResolver({ query: nameQuery, clock, random, timeoutMs: limits.resolveTimeoutMs }),
  };
}

/** One served pod, as its three listeners see it. */
export interface PodContext extends DataContext {
  readonly target: PodToServe;
  /** Aborts when the pod goes away. */
  readonly ended: AbortSignal;
}

/** The pod's workload in the mesh; waits a moment for a pod that is new. */
export function ownWorkload(
  pod: PodContext,
  signal: () => AbortSignal,
): MeshWorkload | Promise<MeshWorkload | undefined> {
  const { mesh, clock, limits } = pod;
  const known = mesh.workloadOfPod(pod.target.pod);
  if (known) return known;
  const probe = (): MeshWorkload | undefined => mesh.workloadOfPod(pod.target.pod);
  return waitForMesh({ mesh, clock, timeoutMs: limits.ownWorkloadTimeoutMs, signal: signal(), probe });
}
