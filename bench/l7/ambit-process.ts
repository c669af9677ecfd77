/**
 * An L7 proxy of ours for the benchmark, without a control plane: one route to one backend, policy and metrics on.
 * `ambit-process.ts gateway|waypoint DIR LISTEN_PORT ORIGIN_PORT http1|http2 [HBONE_PORT]`: a gateway with a plain port, or a waypoint
 * with HBONE in, and out to HBONE_PORT.
 */
import { once } from 'node:events';
import type { Backend, HttpAuthorization, ProxyResource } from '../../src/api/l7/index.ts';
import { serviceKey, type NetworkId, type SpiffeId } from '../../src/api/names.ts';
import type { WorkloadCertificate } from '../../src/identity/index.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { MeshState } from '../../src/mesh/index.ts';
import { createProxy } from '../../src/proxy/proxy.ts';
import { filterKinds } from '../../src/proxy/filters/index.ts';
import { createProxyTelemetry } from '../../src/proxy/telemetry/index.ts';
import { createUpstreams } from '../../src/proxy/upstream/index.ts';
import { MetricsRegistry } from '../../src/telemetry/index.ts';
import { encodeProxyResource, proxyResourceName } from '../../src/wire/index.ts';
import { issueCertificate } from '../lib/pki.ts';

const [, , role = 'gateway', dir = '', listenPort = '0', originPort = '0', protocol = 'http1', hbonePort = '0'] =
  process.argv;
const isWaypoint = role === 'waypoint';
const network = '' as NetworkId;
const hostname = 'origin.bench.svc.cluster.local';
const key = serviceKey('bench', hostname);
const origin = { kind: 'HTTPRoute', namespace: 'bench', name: 'origin', generation: 1 };
const noPolicies = { authorization: [], authentication: [], rateLimits: [], telemetry: [], extensions: [] };

const backend: Backend = {
  kind: 'backend',
  name: `outbound|80||${hostname}`,
  service: key,
  hostname,
  port: 80,
  protocol: protocol === 'http2' ? 'http2' : 'http1',
  throughWaypoint: false,
  loadBalancer: { kind: 'least-request' },
  locality: { enabled: false, distribute: [], failover: [], forced: false },
  connectionPool: { connectTimeoutMs: 10_000, idleTimeoutMs: 3_600_000 },
};

const policy: HttpAuthorization = {
  kind: 'authorization',
  name: 'bench/allow',
  origin: { ...origin, kind: 'AuthorizationPolicy', name: 'allow' },
  action: 'allow',
  dryRun: false,
  rules: [
    {
      from: [],
      to: [
        [
          {
            attribute: { kind: 'method' },
            values: [{ kind: 'text', match: { kind: 'exact', value: 'GET' } }],
            notValues: [],
          },
          {
            attribute: { kind: 'path' },
            values: [{ kind: 'text', match: { kind: 'prefix', value: '/' } }],
            notValues: [],
          },
        ],
      ],
      when: [],
    },
  ],
};

const resources: ProxyResource[] = [
  {
    kind: 'settings',
    name: 'default',
    role: isWaypoint ? 'waypoint' : 'gateway',
    gateway: 'bench/gateway',
    trustDomain: 'cluster.local',
    trustDomainAliases: [],
    clusterDomain: 'cluster.local',
    network,
    pathNormalization: 'base',
    numTrustedProxies: 0,
    accessLog: { kind: 'off' },
    tracingSamplingPercent: 0,
    protocolDetectionTimeoutMs: 0,
    drainMs: 0,
  },
  ...(isWaypoint ? waypointResources() : [edgeListener()]),
  {
    kind: 'routes',
    name: 'gateway',
    hosts: [
      {
        domains: ['*'],
        rules: [
          {
            name: 'bench.origin.0',
            origin,
            matches: [{ path: { kind: 'path-prefix', value: '/never' } }],
            action: { kind: 'respond', status: 404 },
          },
          {
            name: 'bench.origin.1',
            origin,
            matches: [{ path: { kind: 'path-prefix', value: '/' } }],
            action: {
              kind: 'forward',
              destinations: [{ weight: 1, target: { kind: 'backend', backend: backend.name } }],
            },
          },
        ],
      },
    ],
    tls: [],
    tcp: [],
  },
  backend,
  policy,
];

function edgeListener(): ProxyResource {
  return {
    kind: 'listener',
    type: 'edge',
    name: 'bench/gateway/80',
    port: Number(listenPort),
    policies: { ...noPolicies, authorization: [policy.name] },
    servers: [{ name: 'http', protocol: 'http', hostname: '*', routes: 'gateway', policies: noPolicies, origin }],
    origin,
  };
}

function waypointResources(): ProxyResource[] {
  return [
    {
      kind: 'listener',
      type: 'waypoint',
      name: 'mesh',
      port: Number(listenPort),
      trafficType: 'service',
      policies: noPolicies,
      includesClientIdentity: false,
      origin,
    },
    {
      kind: 'service',
      name: key,
      namespace: 'bench',
      hostname,
      ports: [{ port: 80, protocol: protocol === 'http2' ? 'grpc' : 'http', routes: 'gateway' }],
      policies: { ...noPolicies, authorization: [policy.name] },
      origin,
    },
  ];
}

const clock = systemClock;
const log = silentLog();
const mesh = new MeshState();
mesh.applyAddresses({
  updated: [
    {
      kind: 'service',
      service: meshService({
        name: 'origin',
        namespace: 'bench',
        hostname,
        addresses: [{ network, ip: '10.96.0.1' }],
        ports: [{ servicePort: 80, targetPort: Number(originPort), appProtocol: 'http11' }],
      }),
    },
    {
      kind: 'workload',
      workload: meshWorkload({
        name: 'origin-1',
        namespace: 'bench',
        addresses: ['127.0.0.1'],
        network,
        tunnelProtocol: isWaypoint ? 'hbone' : 'none',
        serviceAccount: 'server',
        services: new Map([[key, [{ servicePort: 80, targetPort: Number(originPort), appProtocol: 'http11' }]]]),
      }),
    },
  ],
  removed: [],
});
const identity = 'spiffe://cluster.local/ns/bench/sa/waypoint' as SpiffeId;
const issued = isWaypoint ? issueCertificate(dir, identity) : Promise.reject(new Error('a gateway has no certificate'));
issued.catch(() => {});
const certificate = (): Promise<WorkloadCertificate> => issued;
const upstreams = createUpstreams({
  mesh,
  clock,
  log,
  random: Math.random,
  own: () => undefined,
  address: '127.0.0.1',
  network,
  identity,
  certificates: { certificate, onRotate: () => () => {} },
  ...(isWaypoint ? { hbonePort: Number(hbonePort) } : {}),
  resolve: () => Promise.reject(new Error('the benchmark has no names')),
});
const metrics = new MetricsRegistry({ clock, log });
const telemetry = createProxyTelemetry({
  clock,
  mesh,
  metrics,
  log,
  openAccessLog: () => () => {},
  environment: {},
  own: () => ({ workload: undefined, identity }),
  upstreams,
  random: Math.random,
  node: { id: 'bench', meshId: '', serviceName: 'gateway.bench', address: '127.0.0.1', version: '' },
});
const proxy = createProxy({
  services: { clock, log, mesh, metrics, random: Math.random, upstreams },
  filters: [telemetry.filter, ...filterKinds],
  identity,
  own: () => undefined,
  certificate,
  host: '127.0.0.1',
  onReady: () => process.stdout.write('listening\n'),
});
const { rejected } = proxy.feed.apply({
  added: resources.map((resource) => ({
    name: proxyResourceName(resource),
    version: '1',
    body: encodeProxyResource(resource),
  })),
  removed: [],
});
if (rejected.length > 0) throw new Error(rejected.map(({ name, reason }) => `${name}: ${reason}`).join('; '));
await once(process, 'SIGTERM');
