/** The part of a proxy that serves traffic, put together: what runs in the one thread of a process, or in each of its workers. */
import { MeshState } from '../mesh/index.ts';
import type { Revocations } from '../identity/index.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { NameResolver, systemNameQuery } from '../net/index.ts';
import type { MetricsRegistry } from '../telemetry/index.ts';
import type { DeltaClientType } from '../xds/index.ts';
import { meshFeed } from './config/mesh-feed.ts';
import { ownIdentity, type ProxyProcessConfig } from './config/proxy-config.ts';
import { filterKinds } from './filters/index.ts';
import { createProxy, type Proxy } from './proxy.ts';
import { createProxyTelemetry, type ProxyTelemetry, type ProxyTelemetryOptions } from './telemetry/index.ts';
import { createUpstreams, type ProxyCertificates, type Upstreams } from './upstream/index.ts';
import type { WorkerShare } from './workers/share.ts';

export interface EnginePartOptions {
  readonly config: ProxyProcessConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: MetricsRegistry;
  readonly certificates: ProxyCertificates;
  readonly revocations: Revocations;
  readonly openAccessLog: ProxyTelemetryOptions['openAccessLog'];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  /** As `ProxyServices.askForKeys`. */
  readonly askForKeys?: (keySet: string) => void;
  /** Listeners of the configuration are open, or not any more. */
  readonly onReady: (isReady: boolean) => void;
  /** Most connections of clients at once; absent: as many as the process's descriptors allow. */
  readonly maxConnections?: number;
  /** Absent: there is no other engine in this process. */
  readonly share?: WorkerShare;
}

export interface EnginePart {
  /** In the order in which they are subscribed: what others refer to comes first. */
  readonly feeds: { readonly mesh: DeltaClientType; readonly config: DeltaClientType };
  readonly proxy: Proxy;
  readonly upstreams: Upstreams;
  readonly telemetry: ProxyTelemetry;
}

const nameTimeoutMs = 5000;
const maxRequestedNames = 256;

export function nodeIdOf({ role, instanceIp, podName, namespace }: ProxyProcessConfig): string {
  return `${role}~${instanceIp}~${podName}.${namespace}~${namespace}.svc.cluster.local`;
}

export function createEnginePart(options: EnginePartOptions): EnginePart {
  const { config, clock, log, metrics, certificates, revocations, share, environment, version, maxConnections } =
    options;
  const identity = ownIdentity(config);
  const mesh = new MeshState();
  const names = new NameResolver({ query: systemNameQuery(), clock, random: Math.random, timeoutMs: nameTimeoutMs });
  // Apart from the names that were configured: these are the clients' choice.
  const requested = new NameResolver({
    query: systemNameQuery(),
    clock,
    random: Math.random,
    timeoutMs: nameTimeoutMs,
    maxQuestions: maxRequestedNames,
  });
  const pod = { namespace: config.namespace, name: config.podName, serviceAccount: config.serviceAccount };
  const upstreams = createUpstreams({
    mesh,
    clock,
    log: log.child('upstream'),
    random: Math.random,
    metrics,
    own: () => mesh.workloadOfPod(pod),
    address: config.instanceIp,
    network: config.network,
    identity,
    certificates,
    revocations,
    trustDomainAliases: () => proxy.snapshot?.settings.trustDomainAliases ?? [],
    source: config.role === 'waypoint' ? 'waypoint' : 'gateway',
    resolve: (hostname, allowed, preferred) => names.resolve(hostname, allowed, preferred),
    addressesOf: (hostname, allowed, preferred) => requested.addresses(hostname, allowed, preferred),
    ...(share ? { share } : {}),
  });
  const telemetry = createProxyTelemetry({
    clock,
    mesh,
    metrics,
    log: log.child('telemetry'),
    openAccessLog: options.openAccessLog,
    environment,
    own: () => ({ workload: mesh.workloadOfPod(pod), identity }),
    upstreams,
    random: Math.random,
    node: {
      id: nodeIdOf(config),
      meshId: config.metadata['MESH_ID'] ?? '',
      serviceName: `${config.metadata['WORKLOAD_NAME'] ?? config.serviceAccount}.${config.namespace}`,
      address: config.instanceIp,
      version,
    },
  });
  const proxy = createProxy({
    services: {
      clock,
      log: log.child('proxy'),
      mesh,
      metrics,
      random: Math.random,
      upstreams,
      ...(share ? { bucketsOf: (rule, shape) => share.bucketsOf(rule, shape) } : {}),
      ...(options.askForKeys ? { askForKeys: options.askForKeys } : {}),
    },
    filters: [telemetry.filter, ...filterKinds],
    identity,
    own: () => mesh.workloadOfPod(pod),
    certificate: (abort) => certificates.certificate(identity, abort),
    revocations,
    host: '::',
    ...(maxConnections === undefined ? {} : { maxConnections }),
    onReady: options.onReady,
    ...(share ? { share } : {}),
  });
  return { feeds: { mesh: meshFeed(mesh), config: proxy.feed }, proxy, upstreams, telemetry };
}
