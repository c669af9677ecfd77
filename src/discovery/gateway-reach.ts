/** Where a deployed Gateway is reached: the addresses of its Service, once one of its proxies is ready. */
import type { Service } from '../api/core.ts';
import { serviceNameLabel, type EndpointSlice } from '../api/discovery.ts';
import type { Collection, Graph } from '../collection/index.ts';
import type { GatewayObjects } from './gateway-objects.ts';
import { clusterOfKey, objectKey } from './object-key.ts';

export interface GatewayReach {
  /** Of the Service: for a waypoint its IP and its host name, at the edge what the load balancer has. */
  readonly addresses: readonly GatewayStatusAddress[];
  readonly hasReadyProxy: boolean;
  /** `<host>:<port>` of each port that listeners have, for messages. */
  readonly ports: readonly string[];
}

export interface GatewayStatusAddress {
  readonly type: 'IPAddress' | 'Hostname';
  readonly value: string;
}

/** Kubernetes hands the labels of a Service on to its slices. */
const managedLabel = 'gateway.istio.io/managed';
const statusPort = 15021;

export function deriveGatewayReach(
  graph: Graph,
  inputs: {
    readonly objects: Collection<GatewayObjects>;
    readonly services: Collection<Service>;
    readonly endpointSlices: Collection<EndpointSlice>;
    readonly clusterDomain: string;
  },
): Collection<GatewayReach> {
  const { objects, services, endpointSlices, clusterDomain } = inputs;
  const slices = graph.map('slices of gateways', endpointSlices, ({ metadata, endpoints }, key) => {
    const { labels = {}, namespace = '' } = metadata;
    const service = labels[serviceNameLabel];
    if (service === undefined || labels[managedLabel] === undefined) return undefined;
    const isReady = endpoints.some(({ conditions }) => conditions?.ready !== false);
    return { service: objectKey(clusterOfKey(key), namespace, service), isReady };
  });
  const byService = graph.index('slices of gateways by service', slices, ({ service }) => [service]);
  return graph.map('reach of gateways', objects, ({ name, role }, key, read) => {
    const [cluster, namespace = ''] = [clusterOfKey(key), key.split('/').at(-2)];
    const serviceKey = objectKey(cluster, namespace, name);
    const service = read.get(services, serviceKey);
    const hostname = `${name}.${namespace}.svc.${clusterDomain}`;
    return {
      addresses: service ? addressesOf(service, hostname, role === 'waypoint') : [],
      hasReadyProxy: [...read.lookup(byService, serviceKey).values()].some(({ isReady }) => isReady),
      ports: (service?.spec?.ports ?? [])
        .filter(({ port }) => port !== statusPort)
        .map(({ port }) => `${hostname}:${port}`),
    };
  });
}

/** Pure. */
export function addressesOf({ spec, status }: Service, hostname: string, isWaypoint: boolean): GatewayStatusAddress[] {
  const own: GatewayStatusAddress = { type: 'Hostname', value: hostname };
  if (isWaypoint) return [...clusterIps(spec), own];
  if (spec?.type !== 'LoadBalancer') return [own];
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname: name }): GatewayStatusAddress[] =>
    ip ? [{ type: 'IPAddress', value: ip }] : name ? [{ type: 'Hostname', value: name }] : [],
  );
}

function clusterIps(spec: Service['spec']): GatewayStatusAddress[] {
  const all = spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : []);
  return all.filter((ip) => ip !== 'None').map((value) => ({ type: 'IPAddress', value }));
}
