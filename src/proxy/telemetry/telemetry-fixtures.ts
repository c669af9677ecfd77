/** A waypoint's place with telemetry, and requests and connections through it (tests only). */
import type { DestinationService, Provider, ProxySettings, TelemetryPolicy } from '../../api/l7/index.ts';
import { serviceKey, spiffeId } from '../../api/names.ts';
import type { MeshWorkload } from '../../api/workload.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { FakeClock } from '../../lib/fake-clock.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { meshService, meshWorkload } from '../../mesh/fixtures.ts';
import { MeshState } from '../../mesh/index.ts';
import { MetricsRegistry } from '../../telemetry/index.ts';
import type { FilterPlace } from '../engine/filter.ts';
import type { DownstreamConnection, HttpRun } from '../engine/http-run.ts';
import { placeFor, runFor } from '../filters/filter-fixtures.ts';
import { createProxyTelemetry, type ProxyTelemetry, type ProxyTelemetryOptions } from './proxy-telemetry.ts';

export const front: MeshWorkload = meshWorkload({ namespace: 'web', name: 'front', canonicalRevision: 'v2' });
export const reviews: MeshWorkload = meshWorkload({
  name: 'reviews-v1',
  canonicalName: 'reviews',
  serviceAccount: 'reviews',
});
const hostname = 'reviews.shop.svc.cluster.local';
export const reviewsService: DestinationService = {
  kind: 'service',
  name: serviceKey('shop', hostname),
  namespace: 'shop',
  hostname,
  ports: [],
  policies: { authorization: [], authentication: [], rateLimits: [], telemetry: [], extensions: [] },
  origin: { kind: 'Service', namespace: 'shop', name: 'reviews', generation: 0 },
};

export const connection: DownstreamConnection = {
  sourceAddress: '10.244.1.5',
  sourcePort: 40_000,
  sourceIdentity: spiffeId('cluster.local', 'web', 'front'),
  sourceWorkload: front,
  destinationAddress: '10.96.0.9',
  destinationPort: 80,
  localIdentity: spiffeId('cluster.local', 'shop', 'waypoint'),
  sni: undefined,
  isTls: false,
};

export interface Bench {
  readonly clock: FakeClock;
  readonly registry: MetricsRegistry;
  readonly telemetry: ProxyTelemetry;
  place(options?: PlaceChanges): FilterPlace;
  /** What access logs have written: batches, those of files behind their path. */
  logged(): Promise<string[]>;
  /** Lines of the exposition whose metric begins with `prefix`. */
  lines(prefix: string): string[];
}

export interface PlaceChanges {
  readonly policies?: readonly TelemetryPolicy[];
  readonly providers?: readonly Provider[];
  readonly settings?: Partial<ProxySettings>;
}

export function openBench(more: Partial<ProxyTelemetryOptions> = {}): Bench {
  const clock = createFakeClock();
  const mesh = new MeshState();
  mesh.applyAddresses({
    updated: [
      { kind: 'workload', workload: front },
      { kind: 'workload', workload: reviews },
      { kind: 'service', service: meshService({ name: 'reviews' }) },
    ],
    removed: [],
  });
  const registry = new MetricsRegistry({ clock, log: silentLog() });
  const own = (): { workload: undefined; identity: undefined } => ({ workload: undefined, identity: undefined });
  const written: string[] = [];
  const telemetry = createProxyTelemetry({
    clock,
    mesh,
    metrics: registry,
    own,
    log: silentLog(),
    openAccessLog: (path) => (text, done) => {
      written.push(path === '/dev/stdout' ? text : `${path}: ${text}`);
      done();
    },
    environment: { CITY: 'Oslo' },
    upstreams: placeFor({}).services.upstreams,
    random: () => 0.5,
    node: {
      id: 'waypoint~10.244.9.9',
      meshId: 'mesh1',
      serviceName: 'waypoint.shop',
      address: '10.244.9.9',
      version: '1',
    },
    ...more,
  });
  return {
    clock,
    registry,
    telemetry,
    place({ policies = [], providers = [], settings = {} } = {}) {
      const place = placeFor({ providers }, { clock });
      return {
        ...place,
        policies: { ...place.policies, telemetry: policies.map(({ name }) => name) },
        snapshot: {
          ...place.snapshot,
          settings: { ...place.snapshot.settings, ...settings },
          policies: { ...place.snapshot.policies, telemetry: new Map(policies.map((policy) => [policy.name, policy])) },
        },
      };
    },
    async logged() {
      await telemetry.close();
      return written;
    },
    lines: (prefix) =>
      registry
        .write('text')
        .split('\n')
        .filter((line) => line.startsWith(prefix)),
  };
}

/** A request of `front` that `reviews` answered, 25 ms long; as `more` says otherwise. */
export function answeredRun(more: Partial<HttpRun> = {}): HttpRun {
  return {
    ...runFor({
      path: '/reviews/1?full=true',
      authority: 'reviews:80',
      headers: ['user-agent', 'curl/8', 'x-request-id', 'a-b-c'],
      connection,
    }),
    service: reviewsService,
    backend: `inbound-vip|80|http|${hostname}`,
    host: {
      address: '10.244.2.7',
      port: 9080,
      workload: reviews,
      tunnelled: true,
      localAddress: '10.244.9.9:33333',
    },
    responseStatus: 200,
    responseHead: {
      status: 200,
      headers: new HeaderList(['content-type', 'text/plain', 'x-envoy-upstream-service-time', '20']),
    },
    responseDetails: 'via_upstream',
    requestId: 'a-b-c',
    attempts: 1,
    bytesReceived: 10,
    bytesSent: 2000,
    times: { startMs: 1_700_000_000_123, start: 1000, upstreamStart: 1004, firstResponseByte: 1024, end: 1025 },
    ...more,
  };
}
