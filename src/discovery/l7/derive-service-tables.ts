/** What a waypoint is told of each Service that it stands for: route tables, and the backends that these need. */
import type { DestinationService, RouteTable } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import type { Collection, Graph, Index, Reader } from '../../collection/index.ts';
import { backendNameAt } from './backend-names.ts';
import type { BackendNeed, BoundRoutes } from './contracts.ts';
import { placedKey, type PlacedAt } from './derive-placed-routes.ts';
import type { L7Port, L7Service, L7Services } from './l7-services.ts';
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

export interface ServiceTablesInputs {
  /** By `<namespace>/<name>`. */
  readonly gateways: Collection<ProxyGateway>;
  readonly services: L7Services;
  /** By `placedKey`. */
  readonly placed: Index<PlacedAt>;
  readonly meshConfigs: Collection<MeshConfig>;
}

/** By `<gateway>|<service key>`. */
export function deriveServiceTables(graph: Graph, inputs: ServiceTablesInputs): Collection<ServiceTables> {
  const { gateways, services, placed } = inputs;
  return graph.flatMap('services at waypoints', services.all, (service, key, read) =>
    service.waypoints.flatMap((name) => {
      const gateway = read.get(gateways, name);
      if (gateway?.role !== 'waypoint') return [];
      const at = placedKey(name, { kind: 'service', service: service.key });
      const tables = tablesOf(service, gateway, [...read.lookup(placed, at).values()], inputs, read);
      return [[`${name}|${key}`, tables] as const];
    }),
  );
}

function tablesOf(
  service: L7Service,
  gateway: ProxyGateway,
  placed: readonly PlacedAt[],
  inputs: ServiceTablesInputs,
  read: Reader,
): ServiceTables {
  const backends = new Map<string, BackendNeed>();
  const heard = placed.filter(({ routes }) => isHeard(routes, service, gateway));
  const inbound = read.get(inputs.meshConfigs, gateway.cluster)?.defaultInboundHttpRetryPolicy;
  const tables = service.ports.map((port: L7Port) => {
    const ofPort = heard.filter(
      ({ routes: { parent } }) => parent.kind === 'service' && (parent.port ?? port.port) === port.port,
    );
    for (const { backends: more } of ofPort) for (const [name, need] of more) backends.set(name, need);
    return serviceRoutes({
      service,
      port,
      bound: ofPort.map(({ routes }) => routes),
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
