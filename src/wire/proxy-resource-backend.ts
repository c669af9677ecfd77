/** Decoder of backends. */
import type {
  Backend,
  BackendMember,
  ConnectionPool,
  FailoverStep,
  HashSource,
  HashTable,
  LoadBalancer,
  LocalityPolicy,
  OutlierDetection,
  RequestedHosts,
  UpstreamTls,
  Warmup,
} from '../api/l7/index.ts';
import type { ServiceKey, WorkloadUid } from '../api/names.ts';
import {
  branded,
  duration,
  flag,
  integer,
  list,
  name,
  number,
  object,
  oneOf,
  optional,
  percent,
  port,
  text,
  union,
  type Decoder,
  type Member,
} from './proxy-resource-fields.ts';
import { names, origin } from './proxy-resource-matches.ts';

const warmup = object<Warmup>({ durationMs: duration, minimumPercent: percent, aggression: number(0) });

const hashField = object<Member<HashSource, 'header'>>({ kind: oneOf('header', 'query'), name });

const hashSource = union<HashSource, 'kind'>('kind', {
  header: hashField,
  query: hashField,
  'source-ip': object<Member<HashSource, 'source-ip'>>({ kind: oneOf('source-ip') }),
  cookie: object<Member<HashSource, 'cookie'>>({
    kind: oneOf('cookie'),
    name,
    path: optional(text),
    ttlSeconds: optional(number(0)),
  }),
});

const hashTable = union<HashTable, 'kind'>('kind', {
  ring: object<Member<HashTable, 'ring'>>({ kind: oneOf('ring'), minimumSize: integer() }),
  maglev: object<Member<HashTable, 'maglev'>>({ kind: oneOf('maglev'), tableSize: integer(1) }),
});

const spreading = object<Member<LoadBalancer, 'round-robin'>>({
  kind: oneOf('round-robin', 'least-request'),
  warmup: optional(warmup),
});

const loadBalancer = union<LoadBalancer, 'kind'>('kind', {
  'round-robin': spreading,
  'least-request': spreading,
  random: object<Member<LoadBalancer, 'random'>>({ kind: oneOf('random') }),
  passthrough: object<Member<LoadBalancer, 'passthrough'>>({ kind: oneOf('passthrough') }),
  'consistent-hash': object<Member<LoadBalancer, 'consistent-hash'>>({
    kind: oneOf('consistent-hash'),
    on: hashSource,
    table: hashTable,
  }),
});

type Share = LocalityPolicy['distribute'][number];

const failoverStep = union<FailoverStep, 'kind'>('kind', {
  place: object<Member<FailoverStep, 'place'>>({
    kind: oneOf('place'),
    scope: oneOf('region', 'zone', 'subzone', 'node', 'cluster', 'network'),
    value: optional(text),
  }),
  label: object<Member<FailoverStep, 'label'>>({ kind: oneOf('label'), members: list(branded<WorkloadUid>()) }),
});

const locality = object<LocalityPolicy>({
  enabled: flag,
  distribute: list(
    object<Share>({ from: name, to: list(object<Share['to'][number]>({ locality: name, weight: number(0) })) }),
  ),
  failover: list(object<LocalityPolicy['failover'][number]>({ from: text, to: text })),
  failoverPriority: optional(list(failoverStep)),
  forced: flag,
});

const outlierDetection = object<OutlierDetection>({
  consecutive5xx: integer(),
  consecutiveGatewayErrors: integer(),
  consecutiveLocalOriginFailures: integer(),
  splitsLocalOrigin: flag,
  intervalMs: duration,
  baseEjectionMs: duration,
  maxEjectionPercent: percent,
  minHealthPercent: percent,
});

const connectionPool = object<ConnectionPool>({
  maxConnections: optional(integer()),
  connectTimeoutMs: duration,
  tcpKeepalive: optional(
    object<NonNullable<ConnectionPool['tcpKeepalive']>>({ timeMs: duration, intervalMs: duration, probes: integer() }),
  ),
  maxConnectionDurationMs: optional(duration),
  maxPendingRequests: optional(integer()),
  maxRequests: optional(integer()),
  maxRequestsPerConnection: optional(integer()),
  maxRetries: optional(integer()),
  maxConcurrentStreams: optional(integer()),
  idleTimeoutMs: duration,
});

const tls = object<UpstreamTls>({
  mode: oneOf('simple', 'mutual'),
  sni: optional(text),
  subjectAltNames: names,
  ca: union<UpstreamTls['ca'], 'kind'>('kind', {
    system: object<Member<UpstreamTls['ca'], 'system'>>({ kind: oneOf('system') }),
    secret: object<Member<UpstreamTls['ca'], 'secret'>>({ kind: oneOf('secret'), secret: name }),
    none: object<Member<UpstreamTls['ca'], 'none'>>({ kind: oneOf('none') }),
  }),
  clientCertificate: optional(name),
});

export const backend: Decoder<Backend> = object<Backend>({
  kind: oneOf('backend'),
  name,
  service: branded<ServiceKey>(),
  hostname: name,
  port,
  subset: optional(text),
  requestedHosts: optional(object<RequestedHosts>({ pattern: name, port })),
  members: optional(list(object<BackendMember>({ workload: branded<WorkloadUid>() }))),
  protocol: oneOf('http1', 'http2', 'auto', 'tcp'),
  throughWaypoint: flag,
  tunnelPort: optional(port),
  loadBalancer,
  locality,
  outlierDetection: optional(outlierDetection),
  connectionPool,
  retryBudget: optional(
    object<NonNullable<Backend['retryBudget']>>({
      percent: number(0),
      minConcurrency: integer(),
      intervalMs: duration,
    }),
  ),
  tls: optional(tls),
  proxyProtocol: optional(oneOf('v1', 'v2')),
  origin: optional(origin),
});
