/**
 * `node bench/micro/route-change.ts`: milliseconds of what a change of one HTTPRoute costs where a gateway's listener, or a Service behind a waypoint, has 2,500, step by
 * step, medians of several changes: discovery derives, the resources are encoded, the proxy decodes and compiles them.
 */
import type { Gateway, HTTPRoute } from '../../src/api/gateway.ts';
import type { ProxyResource } from '../../src/api/l7/index.ts';
import { defaultClusterId } from '../../src/api/names.ts';
import { createGraph } from '../../src/collection/index.ts';
import { createProxySources } from '../../src/control/proxy-source.ts';
import { createDiscovery, keyOfObject } from '../../src/discovery/index.ts';
import { service, waypoint } from '../../src/discovery/fixtures.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { MeshState } from '../../src/mesh/index.ts';
import { createConfigStore } from '../../src/proxy/config/store.ts';
import { compileConfig, type CompiledConfig } from '../../src/proxy/engine/compiled-config.ts';
import { filterKinds } from '../../src/proxy/filters/index.ts';
import type { ProxyServices } from '../../src/proxy/proxy-services.ts';
import type { Upstreams } from '../../src/proxy/upstream/upstream.ts';
import { MetricsRegistry } from '../../src/telemetry/index.ts';
import { encodeProxyResource } from '../../src/wire/index.ts';
import type { DeltaClientType } from '../../src/xds/index.ts';

const routeCount = 2500;
const changeCount = 15;

const gateway: Gateway = {
  metadata: { name: 'edge', namespace: 'shop', generation: 1 },
  spec: { gatewayClassName: 'istio', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
};

interface Shape {
  readonly name: string;
  readonly told: string;
  readonly placeOf: (n: number) => Pick<HTTPRoute['spec'], 'parentRefs' | 'hostnames'>;
}

const toGateway = [{ name: 'edge' }];
const toService = [{ group: '', kind: 'Service', name: 'web' }];

const shapes: readonly Shape[] = [
  { name: 'one host', told: 'shop/edge', placeOf: () => ({ parentRefs: toGateway, hostnames: ['shop.example'] }) },
  {
    name: 'a host a route',
    told: 'shop/edge',
    placeOf: (n) => ({ parentRefs: toGateway, hostnames: [`shop-${n}.example`] }),
  },
  {
    name: '25 hosts',
    told: 'shop/edge',
    placeOf: (n) => ({ parentRefs: toGateway, hostnames: [`shop-${n % 25}.example`] }),
  },
  { name: 'a Service', told: 'shop/wp', placeOf: () => ({ parentRefs: toService }) },
];

for (const shape of shapes) measure(shape);

function measure(shape: Shape): void {
  const graph = createGraph();
  const { sources, proxyResources } = createDiscovery(graph);
  const log = silentLog();
  const times = { derive: 0, encode: 0, decode: 0, compile: 0 };
  const encode = (resource: ProxyResource): Uint8Array => {
    const startMs = performance.now();
    const bytes = encodeProxyResource(resource);
    times.encode += performance.now() - startMs;
    return bytes;
  };
  const told = createProxySources({ collection: proxyResources, encode, log });
  const services = {
    clock: systemClock,
    log,
    mesh: new MeshState(),
    metrics: new MetricsRegistry({ clock: systemClock, log }),
    random: Math.random,
    upstreams: {} as Upstreams,
  } satisfies ProxyServices;
  let compiled: CompiledConfig | undefined;
  const store = createConfigStore({
    clock: systemClock,
    check(next) {
      const startMs = performance.now();
      compiled = compileConfig(next, { services, filters: filterKinds, previous: compiled });
      times.compile += performance.now() - startMs;
    },
  });
  const source = told.of(shape.told);
  const pending = new Set<string>();
  source.subscribe((names) => {
    for (const name of names ?? []) pending.add(name);
  });
  const put = (n: number, path: string): void => {
    const route = routeOf(n, path, shape);
    sources.httpRoutes.set(keyOfObject(defaultClusterId, route), route);
  };
  const round = (): { readonly sent: number; readonly steps: readonly number[] } => {
    times.encode = times.compile = 0;
    const startMs = performance.now();
    graph.flush();
    times.derive = performance.now() - startMs - times.encode;
    told.publish();
    const publishedMs = performance.now();
    const update = updateOf(source.snapshot(), pending);
    pending.clear();
    const verdict = store.type.apply(update);
    if (verdict.rejected.length > 0) throw new Error(verdict.rejected[0]?.reason);
    times.decode = performance.now() - publishedMs - times.compile;
    const sent = update.added.reduce((sum, { body }) => sum + body.length, 0);
    return { sent, steps: [times.derive, times.encode, times.decode, times.compile] };
  };
  for (const one of [gateway, waypoint('wp')]) sources.gateways.set(keyOfObject(defaultClusterId, one), one);
  const web = service('web', {}, { labels: { 'istio.io/use-waypoint': 'wp' } });
  sources.services.set(keyOfObject(defaultClusterId, web), web);
  for (let n = 0; n < routeCount; n++) put(n, `/${n}`);
  const first = round();
  const changes = Array.from({ length: changeCount }, (_, i) => {
    put((i * 977) % routeCount, `/${(i * 977) % routeCount}/changed`);
    return round();
  });
  const medians = [0, 1, 2, 3].map((step) => median(changes.map(({ steps }) => steps[step] ?? 0)).toFixed(1));
  const bytes = median(changes.map(({ sent }) => sent));
  const [derive, encoded, decode, compile] = medians;
  console.log(
    `${shape.name.padEnd(16)} all at once ${first.steps.reduce((a, b) => a + b).toFixed(0)} ms; one: derive ${derive} ms, ` +
      `encode and hash ${encoded} ms, decode and check ${decode} ms, compile ${compile} ms, ${(bytes / 1024).toFixed(0)} KiB`,
  );
}

function updateOf(
  snapshot: ReadonlyMap<string, { readonly version: string; readonly body: Uint8Array }>,
  names: ReadonlySet<string>,
): Parameters<DeltaClientType['apply']>[0] {
  const added = [...names].flatMap((name) => {
    const found = snapshot.get(name);
    return found ? [{ name, ...found }] : [];
  });
  return { added, removed: [...names].filter((name) => !snapshot.has(name)) };
}

function routeOf(n: number, path: string, { placeOf }: Shape): HTTPRoute {
  return {
    metadata: { name: `route-${n}`, namespace: 'shop', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      ...placeOf(n),
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: path } }], backendRefs: [{ name: 'web', port: 80 }] }],
    },
  };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
