/** Route tables of listeners of gateways at the edge: a virtual host for each hostname that routes have there. */
import type { EdgeListener, RouteTable } from '../../api/l7/index.ts';
import type { Collection, Graph, Index } from '../../collection/index.ts';
import type { BackendNeed, BoundRoutes, ProxyResourceOf } from './contracts.ts';
import { placedKey, type PlacedAt } from './derive-placed-routes.ts';
import { inOrderOfPrecedence } from './http-route-precedence.ts';
import { byAge } from './service-routes.ts';

/** One listener's. */
export interface EdgeTables {
  readonly gateway: string;
  readonly tables: readonly RouteTable[];
  /** By their names at the proxy. */
  readonly backends: ReadonlyMap<string, BackendNeed>;
}

export interface EdgeTablesInputs {
  /** By `placedKey`. */
  readonly placed: Index<PlacedAt>;
  /** By `<gateway>|listener/<name>`. */
  readonly listeners: Collection<ProxyResourceOf>;
}

/** By the key of the listener. */
export function deriveEdgeTables(graph: Graph, inputs: EdgeTablesInputs): Collection<EdgeTables> {
  const { listeners, placed } = inputs;
  return graph.map('route tables at the edge', listeners, ({ gateway, resource }, _, read) => {
    if (!isEdge(resource)) return undefined;
    const backends = new Map<string, BackendNeed>();
    const tables = resource.servers.map(({ name, routes: table }) => {
      const here = [...read.lookup(placed, placedKey(gateway, { kind: 'listener', gateway, listener: name })).values()];
      for (const { backends: more } of here) for (const [needed, need] of more) backends.set(needed, need);
      return edgeTable(table, here.map((one) => one.routes).toSorted(byAge));
    });
    return { gateway, tables, backends: new Map([...backends].toSorted(([a], [b]) => (a < b ? -1 : 1))) };
  });
}

function isEdge(resource: ProxyResourceOf['resource']): resource is EdgeListener {
  return resource.kind === 'listener' && resource.type === 'edge';
}

function edgeTable(name: string, bound: readonly BoundRoutes[]): RouteTable {
  const byHostname = new Map<string, BoundRoutes[]>();
  for (const routes of bound) {
    if (routes.http.length === 0) continue;
    for (const hostname of new Set(routes.hostnames)) {
      const some = byHostname.get(hostname);
      if (some) some.push(routes);
      else byHostname.set(hostname, [routes]);
    }
  }
  return {
    kind: 'routes',
    name,
    hosts: [...byHostname.keys()].toSorted().map((hostname) => ({
      domains: [hostname],
      rules: inOrderOfPrecedence(byHostname.get(hostname) ?? []),
    })),
    tls: bound.flatMap(({ tls }) => tls),
    tcp: bound.flatMap(({ tcp }) => tcp),
  };
}
