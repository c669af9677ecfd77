/** What L7 proxies are told of a world written by hand, for tests. */
import type { ProxyResource, ProxyResourceKind } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { defaultClusterId } from '../../api/names.ts';
import type { DiscoveryOptions } from '../discovery.ts';
import { openWorld, type World } from '../fixtures.ts';

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

export function openProxyWorld(options: DiscoveryOptions = {}): ProxyWorld {
  const world = openWorld(options);
  const changed = new Set<string>();
  world.proxyResources.subscribe((changes) => {
    for (const key of changes.keys()) changed.add(key);
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
