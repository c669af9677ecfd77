/** Route tables of listeners of gateways at the edge: a virtual host for each hostname that routes have there. */
import type { EdgeListener, RouteTable } from '../../api/l7/index.ts';
import type { Collection, Graph } from '../../collection/index.ts';
import type { BackendNeed, BoundRoutes, ProxyResourceOf } from './contracts.ts';
import { backendPlacer, parentKey, type ServiceTablesInputs } from './derive-service-tables.ts';
import { inOrderOfPrecedence } from './http-route-precedence.ts';
import { placeRoutes } from './place-routes.ts';
import { byAge } from './service-routes.ts';

/** One listener's. */
export interface EdgeTables {
  readonly gateway: string;
  readonly tables: readonly RouteTable[];
  /** By their names at the proxy. */
  readonly backends: ReadonlyMap<string, BackendNeed>;
}

export interface EdgeTablesInputs extends Omit<ServiceTablesInputs, 'meshConfigs'> {
  /** By `<gateway>|listener/<name>`. */
  readonly listeners: Collection<ProxyResourceOf>;
}

/** By the key of the listener. */
export function deriveEdgeTables(graph: Graph, inputs: EdgeTablesInputs): Collection<EdgeTables> {
  const { gateways, listeners, routes } = inputs;
  return graph.map('route tables at the edge', listeners, ({ gateway, resource }, _, read) => {
    const at = read.get(gateways, gateway);
    if (!at || !isEdge(resource)) return undefined;
    const place = backendPlacer(at, inputs, read);
    const backends = new Map<string, BackendNeed>();
    const tables = resource.servers.map(({ name, routes: table }) => {
      const bound = [...read.lookup(routes, parentKey({ kind: 'listener', gateway, listener: name })).values()];
      const placed = bound.map((one) => placeRoutes(one, place));
      for (const { backends: more } of placed) for (const [needed, need] of more) backends.set(needed, need);
      return edgeTable(table, placed.map((one) => one.routes).toSorted(byAge));
    });
    return { gateway, tables, backends: new Map([...backends].toSorted(([a], [b]) => (a < b ? -1 : 1))) };
  });
}

function isEdge(resource: ProxyResourceOf['resource']): resource is EdgeListener {
  return resource.kind === 'listener' && resource.type === 'edge';
}

function edgeTable(name: string, bound: readonly BoundRoutes[]): RouteTable {
  const hostnames = new Set(bound.filter(({ http }) => http.length > 0).flatMap((routes) => routes.hostnames));
  return {
    kind: 'routes',
    name,
    hosts: [...hostnames].toSorted().map((hostname) => ({
      domains: [hostname],
      rules: inOrderOfPrecedence(bound.filter((routes) => routes.hostnames.includes(hostname))),
    })),
    tls: bound.flatMap(({ tls }) => tls),
    tcp: bound.flatMap(({ tcp }) => tcp),
  };
}
