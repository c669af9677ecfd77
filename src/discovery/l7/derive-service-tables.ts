/** What a waypoint is told of each Service that it stands for: route tables, and the backends that these need. */
import type { DestinationService, RouteTable } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Collection, Graph, Index, Reader } from '../../collection/index.ts';
import { backendNameAt } from './backend-names.ts';
import type { BackendNeed, BoundRoutes } from './contracts.ts';
import type { L7Port, L7Service, L7Services } from './l7-services.ts';
import { placeRoutes, type PlaceBackend } from './place-routes.ts';
import type { ProxyGateway } from './proxy-gateways.ts';
import { inboundRetry, retryPolicy } from './retries.ts';
import { serviceRoutes } from './service-routes.ts';

/** One Service at one waypoint. */
export interface ServiceTables {
  readonly gateway: string;
  /** Policies come later. */
  readonly service: Omit<DestinationService, 'policies'>;
  readonly tables: readonly RouteTable[];
  /** By their names at the proxy. */
  readonly backends: ReadonlyMap<string, BackendNeed>;
}

/** Whether a rule of somebody names the subset, as seen from the namespace of a proxy. */
export type HasSubset = (need: BackendNeed, gateway: ProxyGateway, read: Reader) => boolean;

export interface ServiceTablesInputs {
  /** By `<namespace>/<name>`. */
  readonly gateways: Collection<ProxyGateway>;
  readonly services: L7Services;
  /** By `parentKey`. */
  readonly routes: Index<BoundRoutes>;
  readonly meshConfigs: Collection<MeshConfig>;
  readonly hasSubset: HasSubset;
}

/** By `<gateway>|<service key>`. */
export function deriveServiceTables(graph: Graph, inputs: ServiceTablesInputs): Collection<ServiceTables> {
  const { gateways, services, routes } = inputs;
  return graph.flatMap('services at waypoints', services.all, (service, key, read) =>
    service.waypoints.flatMap((name) => {
      const gateway = read.get(gateways, name);
      if (gateway?.role !== 'waypoint') return [];
      const bound = [...read.lookup(routes, parentKey({ kind: 'service', service: service.key })).values()];
      const tables = tablesOf(service, gateway, bound, inputs, read);
      return [[`${name}|${key}`, tables] as const];
    }),
  );
}

export function parentKey(parent: BoundRoutes['parent']): string {
  return parent.kind === 'service' ? `service ${parent.service}` : `listener ${parent.gateway}/${parent.listener}`;
}

function tablesOf(
  service: L7Service,
  gateway: ProxyGateway,
  bound: readonly BoundRoutes[],
  inputs: ServiceTablesInputs,
  read: Reader,
): ServiceTables {
  const backends = new Map<string, BackendNeed>();
  const place = backendPlacer(gateway, inputs, read);
  const heard = bound.filter((routes) => isHeard(routes, service, gateway));
  const inbound = read.get(inputs.meshConfigs, gateway.cluster)?.defaultInboundHttpRetryPolicy;
  const tables = service.ports.map((port: L7Port) => {
    const placed = heard
      .filter(({ parent }) => parent.kind === 'service' && (parent.port ?? port.port) === port.port)
      .map((routes) => placeRoutes(routes, place));
    for (const { backends: more } of placed) for (const [name, need] of more) backends.set(name, need);
    return serviceRoutes({
      service,
      port,
      bound: placed.map(({ routes }) => routes),
      retry: inbound ? retryPolicy(inbound) : inboundRetry,
      backend(use) {
        const need: BackendNeed = { service: service.key, hostname: service.hostname, port: port.port };
        const name = backendNameAt(gateway.gateway, service, need, use);
        backends.set(name, need);
        return name;
      },
    });
  });
  const { key: name, namespace, hostname, origin } = service;
  return {
    gateway: gateway.gateway,
    service: {
      kind: 'service',
      name,
      namespace,
      hostname,
      ports: service.ports.map(({ port, protocol }, index) => ({
        port,
        protocol,
        routes: tables[index]?.name ?? '',
      })),
      origin,
    },
    tables,
    backends: new Map([...backends].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** Istio's resources are heard from the namespaces of the Service and of the waypoint. */
function isHeard({ api, route }: BoundRoutes, service: L7Service, gateway: ProxyGateway): boolean {
  return api === 'gateway' || route.namespace === service.namespace || route.namespace === gateway.namespace;
}

/** Finds backends as one proxy has them. */
export function backendPlacer(
  gateway: ProxyGateway,
  { services, hasSubset }: Pick<ServiceTablesInputs, 'services' | 'hasSubset'>,
  read: Reader,
): PlaceBackend {
  return (need, use) => {
    const service = read.get(services.all, need.service);
    if (!service) return { kind: 'missing', reason: `host ${need.hostname} is not known` };
    if (!service.ports.some(({ port }) => port === need.port)) {
      return { kind: 'missing', reason: `host ${need.hostname} has no port ${need.port}` };
    }
    if (need.subset !== undefined && !hasSubset(need, gateway, read)) {
      return { kind: 'missing', reason: `no DestinationRule has subset ${need.subset} of host ${need.hostname}` };
    }
    return { kind: 'backend', name: backendNameAt(gateway.gateway, service, need, use), need };
  };
}
