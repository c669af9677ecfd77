/** A place with policies, and requests on their way through it, for tests of filters. */
import type { Backend, HttpRule, PolicyAttachment, Provider, ProxyPolicy } from '../../api/l7/index.ts';
import { defaultNetwork } from '../../mesh/fixtures.ts';
import { spiffeId } from '../../api/names.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { Clock } from '../../lib/clock.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { silentLog, type Log, type LogFields } from '../../lib/log.ts';
import { MeshState } from '../../mesh/index.ts';
import { MetricsRegistry } from '../../telemetry/index.ts';
import type { PoliciesByKind, ProxySnapshot } from '../config/snapshot.ts';
import type { FilterPlace } from '../engine/filter.ts';
import type { DownstreamConnection, HttpRun } from '../engine/http-run.ts';
import type { TcpRun } from '../engine/tcp-run.ts';
import type { Upstreams } from '../upstream/upstream.ts';

type PolicyOf<K extends ProxyPolicy['kind']> = Extract<ProxyPolicy, { readonly kind: K }>;

export interface PlacePolicies {
  readonly authorization?: readonly PolicyOf<'authorization'>[];
  readonly authentication?: readonly PolicyOf<'authentication'>[];
  readonly rateLimits?: readonly PolicyOf<'rate-limit'>[];
  readonly providers?: readonly Provider[];
}

export interface PlaceOptions {
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly upstreams?: Upstreams;
  readonly backends?: readonly Backend[];
  readonly onInfo?: (message: string, fields: LogFields | undefined) => void;
}

/** A place to which all of these policies are attached, in their order. */
export function placeFor(policies: PlacePolicies, options: PlaceOptions = {}): FilterPlace {
  const { authorization = [], authentication = [], rateLimits = [], providers = [] } = policies;
  const clock = options.clock ?? createFakeClock();
  const log: Log = { ...silentLog(), info: (message, fields) => options.onInfo?.(message, fields) };
  const names = (list: readonly ProxyPolicy[]): string[] => list.map(({ name }) => name);
  const attachment: PolicyAttachment = {
    authorization: names(authorization),
    authentication: names(authentication),
    rateLimits: names(rateLimits),
    telemetry: [],
    extensions: [],
  };
  const byKind: PoliciesByKind = {
    authorization: byName(authorization),
    authentication: byName(authentication),
    'rate-limit': byName(rateLimits),
    telemetry: new Map(),
    extension: new Map(),
  };
  const snapshot: ProxySnapshot = {
    settings: {
      kind: 'settings',
      name: 'default',
      role: 'waypoint',
      gateway: 'shop/waypoint',
      trustDomain: 'cluster.local',
      trustDomainAliases: [],
      clusterDomain: 'cluster.local',
      network: defaultNetwork,
      pathNormalization: 'base',
      numTrustedProxies: 0,
      accessLog: { kind: 'off' },
      tracingSamplingPercent: 0,
      protocolDetectionTimeoutMs: 5000,
      drainMs: 5000,
    },
    listeners: new Map(),
    services: new Map(),
    routes: new Map(),
    backends: byName(options.backends ?? []),
    policies: byKind,
    providers: byName(providers),
    secrets: new Map(),
  };
  return {
    policies: attachment,
    service: 'shop/web.shop.svc.cluster.local',
    snapshot,
    services: {
      clock,
      log,
      mesh: new MeshState(),
      metrics: new MetricsRegistry({ clock, log }),
      random: options.random ?? (() => 0.5),
      upstreams: options.upstreams ?? noUpstreams,
    },
  };
}

export interface RunOptions {
  readonly method?: string;
  readonly authority?: string;
  readonly path?: string;
  /** Name in lower case, value, name, value. */
  readonly headers?: readonly string[];
  readonly connection?: Partial<DownstreamConnection>;
  readonly route?: Partial<HttpRule>;
  readonly remoteAddress?: string;
  readonly isGrpc?: boolean;
  readonly body?: string;
}

/** A run that records how often it was routed again. */
export interface TestRun extends HttpRun {
  readonly reroutes: number;
}

export function runFor(options: RunOptions): TestRun {
  const { method = 'GET', authority = 'web.shop:80', path = '/', headers = [], isGrpc = false } = options;
  const connection = downstream(options.connection);
  const run = {
    connection,
    request: {
      method,
      scheme: 'http' as const,
      authority,
      path,
      headers: new HeaderList([...headers]),
      version: 'http/1.1' as const,
    },
    originalPath: path,
    originalAuthority: authority,
    remoteAddress: options.remoteAddress ?? connection.sourceAddress,
    service: undefined,
    route: { ...defaultRule, ...options.route },
    destination: undefined,
    token: undefined,
    reroutes: 0,
    reroute() {
      run.reroutes++;
    },
    bufferBody(maxBytes: number) {
      const bytes = Buffer.from(options.body ?? '');
      return Promise.resolve({ bytes: bytes.subarray(0, maxBytes), whole: bytes.length <= maxBytes });
    },
    requestId: '8f2f0f5e-0000-4000-8000-000000000000',
    times: { startMs: 0, start: 0, upstreamStart: 0, firstResponseByte: 0, end: 0 },
    state: new Map<object, unknown>(),
    flags: new Set<string>(),
    addFlag(flag: string) {
      run.flags.add(flag);
    },
    responseDetails: '',
    reason: '',
    responseStatus: 0,
    responseHead: undefined,
    requestMessages: undefined,
    responseMessages: undefined,
    grpcStatus: undefined,
    isGrpc,
    host: undefined,
    backend: undefined,
    failure: undefined,
    attempts: 0,
    bytesReceived: 0,
    bytesSent: 0,
    upstreamBytesSent: 0,
    upstreamBytesReceived: 0,
  };
  return run;
}

export function connectionFor(change: Partial<DownstreamConnection>): TcpRun {
  return {
    connection: downstream(change),
    service: undefined,
    times: { startMs: 0, start: 0, upstreamStart: 0, firstResponseByte: 0, end: 0 },
    routeName: '',
    host: undefined,
    backend: undefined,
    failure: undefined,
    bytesReceived: 0,
    bytesSent: 0,
    flags: new Set(),
    details: '',
    reason: '',
  };
}

function downstream(change: Partial<DownstreamConnection> = {}): DownstreamConnection {
  return {
    sourceAddress: '10.244.1.5',
    sourcePort: 40_000,
    sourceIdentity: spiffeId('cluster.local', 'web', 'front'),
    sourceWorkload: undefined,
    destinationAddress: '10.96.0.9',
    destinationPort: 80,
    localIdentity: spiffeId('cluster.local', 'shop', 'waypoint'),
    sni: undefined,
    isTls: false,
    ...change,
  };
}

const defaultRule: HttpRule = {
  name: 'default',
  origin: { kind: 'HTTPRoute', namespace: 'shop', name: 'web', generation: 1 },
  matches: [],
  action: { kind: 'forward', destinations: [] },
};

function byName<T extends { readonly name: string }>(list: readonly T[]): Map<string, T> {
  return new Map(list.map((item) => [item.name, item]));
}

const unexpected = (): never => {
  throw new Error('No upstream is expected here');
};

const noUpstreams: Upstreams = {
  apply: unexpected,
  open: unexpected,
  connect: unexpected,
  describe: unexpected,
  startRetry: unexpected,
  drain: unexpected,
  close: unexpected,
};
