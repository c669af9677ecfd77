/** What gateways between networks are told of each Service that other networks may reach: where its tunnels are carried (ambient-l7, 9). */
import type { Namespace, Service } from '../../api/core.ts';
import type { RouteTable } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { serviceKey } from '../../api/names.ts';
import type { Collection, Graph } from '../../collection/index.ts';
import { serviceHostname } from '../mesh-service.ts';
import { clusterOfKey, objectKey } from '../object-key.ts';
import { isGlobalService } from '../service-scope.ts';
import type { BackendNeed } from './contracts.ts';
import type { ServiceTables } from './derive-service-tables.ts';
import type { L7Service, L7Services } from './l7-services.ts';
import type { ProxyGateway } from './proxy-gateways.ts';

export interface EastWestInputs {
  readonly namespaces: Collection<Namespace>;
  readonly kubeServices: Collection<Service>;
  readonly meshConfigs: Collection<MeshConfig>;
  readonly services: L7Services;
  /** By `<namespace>/<name>`. */
  readonly gateways: Collection<ProxyGateway>;
  readonly clusterDomain: string;
}

/** By `<gateway>|<service key>`. */
export function deriveEastWestTables(graph: Graph, inputs: EastWestInputs): Collection<ServiceTables> {
  const { namespaces, kubeServices, meshConfigs, services, gateways, clusterDomain } = inputs;
  const byCluster = graph.index('gateways between networks', gateways, ({ role, cluster, listener }) =>
    role === 'east-west' && listener ? [cluster] : [],
  );
  return graph.flatMap('services for other networks', kubeServices, (service, key, read) => {
    const cluster = clusterOfKey(key);
    const { namespace = '' } = service.metadata;
    const ofNamespace = read.get(namespaces, objectKey(cluster, '', namespace));
    if (!isGlobalService(service, ofNamespace, read.get(meshConfigs, cluster))) return [];
    const found = read.get(services.all, serviceKey(namespace, serviceHostname(service, clusterDomain)));
    if (!found) return [];
    return [...read.lookup(byCluster, cluster).values()].map(
      ({ gateway }) => [`${gateway}|${found.key}`, tablesOf(gateway, found)] as const,
    );
  });
}

function tablesOf(gateway: string, service: L7Service): ServiceTables {
  const { key: name, namespace, hostname, origin, waypoints } = service;
  const backends = new Map<string, BackendNeed>();
  const tables: RouteTable[] = [];
  /** Adds the table, and its backend of the same name. */
  const tableTo = (port: number, tunnels: NonNullable<BackendNeed['tunnels']>): string => {
    const table = `east-west|${port}|${tunnels === 'to-waypoint' ? 'waypoint' : ''}|${hostname}`;
    const destinations = [{ weight: 1, target: { kind: 'backend', backend: table } as const }];
    backends.set(table, { service: name, hostname, port, tunnels });
    const tcp = [{ name: 'default', origin, destinationSubnets: [], destinations }];
    tables.push({ kind: 'routes', name: table, hosts: [], tls: [], tcp });
    return table;
  };
  const ports = service.ports.map(({ port }) => {
    const straight = tableTo(port, 'to-endpoints');
    if (waypoints.length === 0) return { port, protocol: 'tcp' as const, routes: straight };
    return {
      port,
      protocol: 'tcp' as const,
      routes: tableTo(port, 'to-waypoint'),
      routesPastWaypoint: straight,
    };
  });
  return { gateway, service: { kind: 'service', name, namespace, hostname, ports, origin }, tables, backends };
}
