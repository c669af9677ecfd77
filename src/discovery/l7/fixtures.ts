/** What L7 proxies are told of a world written by hand, for tests. */
import { load } from 'js-yaml';
import type { DestinationRule, VirtualService } from '../../api/istio.ts';
import type { HttpRule, ProxyResource, ProxyResourceKind } from '../../api/l7/index.ts';
import type { ObjectMeta } from '../../api/meta.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { defaultClusterId } from '../../api/names.ts';
import { decodeProxyResource, encodeProxyResource, proxyResourceName } from '../../wire/index.ts';
import { openWorld, service, waypoint, type World, type WorldOptions } from '../fixtures.ts';

export interface ProxyWorld extends World {
  /** `<kind>/<name>` of all that the proxies of a Gateway are told, sorted. */
  names(gateway: string): string[];
  /** Throws when it is not there. */
  resource<K extends ProxyResourceKind>(
    gateway: string,
    kind: K,
    name: string,
  ): Extract<ProxyResource, { readonly kind: K }>;
  /** Keys of what changed since the last call, sorted. */
  proxyChanges(): string[];
  configureMesh(config: Partial<MeshConfig>): void;
}

export function openProxyWorld(options: WorldOptions = {}): ProxyWorld {
  const world = openWorld(options);
  const changed = new Set<string>();
  world.proxyResources.subscribe((changes) => {
    for (const [key, { after }] of changes) {
      changed.add(key);
      // What a proxy refuses, it refuses with everything else.
      if (after) decodeProxyResource(proxyResourceName(after.resource), encodeProxyResource(after.resource));
    }
    for (const name of danglingNames(world)) throw new Error(`There is no ${name}`);
  });
  return {
    ...world,
    names: (gateway) =>
      [...world.proxyResources.entries()]
        .flatMap(([, of]) => (of.gateway === gateway ? [`${of.resource.kind}/${of.resource.name}`] : []))
        .toSorted(),
    resource<K extends ProxyResourceKind>(gateway: string, kind: K, name: string) {
      const found = world.proxyResources.get(`${gateway}|${kind}/${name}`)?.resource;
      if (found?.kind !== kind) throw new Error(`${gateway} is not told of ${kind}/${name}`);
      return found as Extract<ProxyResource, { readonly kind: K }>;
    },
    proxyChanges() {
      const keys = [...changed].toSorted();
      changed.clear();
      return keys;
    },
    configureMesh(config) {
      world.sources.meshConfigs.set(defaultClusterId, { discoverySelectors: [], ...config });
      // Any write flushes.
      world.put(world.sources.nodes);
    },
  };
}

/** Names of routes, backends and secrets that resources give and that their Gateway is not told. */
function danglingNames({ proxyResources }: World): string[] {
  return [...proxyResources.entries()].flatMap(([, { gateway, resource }]) =>
    namesIn(resource).filter((name) => proxyResources.get(`${gateway}|${name}`) === undefined),
  );
}

function namesIn(resource: ProxyResource): string[] {
  if (resource.kind === 'service') return resource.ports.map(({ routes }) => `routes/${routes}`);
  if (resource.kind === 'listener' && resource.type === 'edge')
    return resource.servers.map(({ routes }) => `routes/${routes}`);
  if (resource.kind === 'routes')
    return [...JSON.stringify(resource).matchAll(/"backend":"([^"]+)"/g)].map(([, name]) => `backend/${name}`);
  if (resource.kind !== 'backend') return [];
  const { ca, clientCertificate } = resource.tls ?? {};
  const names = [...(ca?.kind === 'secret' ? [ca.secret] : []), ...(clientCertificate ? [clientCertificate] : [])];
  return names.map((name) => `secret/${name}`);
}

/** With waypoint `shop/wp`, which stands for Services `reviews` (port 80, HTTP), `ratings` (80) and `old` (8080 and 9090). */
export function openShop(options: WorldOptions = {}): ProxyWorld {
  const world = openProxyWorld(options);
  const labels = { 'istio.io/use-waypoint': 'wp' };
  const ports = [
    { name: 'http', port: 8080 },
    { name: 'tcp', port: 9090 },
  ];
  world.put(world.sources.gateways, waypoint('wp'));
  world.put(
    world.sources.services,
    service('reviews', {}, { labels }),
    service('ratings', {}, { labels }),
    service('old', { ports }, { labels }),
    service('plain', {}, { namespace: 'elsewhere' }),
  );
  return world;
}

type Meta = Partial<ObjectMeta>;

/** Of namespace `shop`; its spec in YAML. */
export function virtualService(name: string, spec: string, more: Meta = {}): VirtualService {
  return { metadata: { name, namespace: 'shop', generation: 1, ...more }, spec: load(spec) as object };
}

/** The rules of a port of a Service of namespace `shop` at waypoint `shop/wp`. */
export function rulesOf(world: ProxyWorld, name: string, port = 80): readonly HttpRule[] {
  return (
    world.resource('shop/wp', 'routes', `inbound-vip|${port}|http|${name}.shop.svc.cluster.local`).hosts[0]?.rules ?? []
  );
}

/** Of namespace `shop`; its spec in YAML. */
export function destinationRule(name: string, spec: string, more: Meta = {}): DestinationRule {
  return {
    metadata: { name, namespace: 'shop', generation: 1, ...more },
    spec: load(spec) as NonNullable<DestinationRule['spec']>,
  };
}
