/** Gateways as one part of the graph: waypoints, and the ways into other networks. */
import type { Gateway, GatewayClass } from '../api/gateway.ts';
import type { NetworkId } from '../api/names.ts';
import type { ApplicationTunnel, GatewayAddress, MeshAddress } from '../api/workload.ts';
import type { Collection, Graph, Reader } from '../collection/index.ts';
import { addressName } from '../wire/address.ts';
import { gatewayObjects, type GatewayObjects } from './gateway-objects.ts';
import { gatewayRole } from './gateway-role.ts';
import type { MeshScope } from './mesh-scope.ts';
import { gatewayAddress, gatewayResources, networkGatewaysOf } from './network-gateway.ts';
import { clusterOfKey } from './object-key.ts';
import { waypointOf, type Waypoint } from './waypoint.ts';

export interface DerivedGateways {
  /** By the key of the Gateway. Every Gateway is in it: those that are no waypoints say so. */
  readonly waypoints: Collection<Waypoint>;
  /** What is deployed for Gateways of our controllers, by the key of the Gateway. */
  readonly objects: Collection<GatewayObjects>;
  /** Network gateways, by their names on the wire. */
  readonly addresses: Collection<MeshAddress>;
  /** How clients of other networks enter this one. */
  readonly gatewayOf: (cluster: string, network: NetworkId, read: Reader) => GatewayAddress | undefined;
  /** How a ztunnel hands traffic to this pod, if it is of a Gateway that says so. */
  readonly tunnelOf: (pod: PodOfGateway, read: Reader) => ApplicationTunnel | undefined;
}

interface PodOfGateway {
  readonly cluster: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export function deriveGateways(
  graph: Graph,
  { gateways, gatewayClasses }: MeshScope,
  options: {
    readonly clusterDomain: string;
    readonly trustDomain: string;
    readonly networkOf: (cluster: string, read: Reader) => NetworkId;
  },
): DerivedGateways {
  const { clusterDomain, trustDomain, networkOf } = options;
  const classOf = (gateway: Gateway, cluster: string, read: Reader): GatewayClass | undefined =>
    read.get(gatewayClasses, `${cluster}//${gateway.spec.gatewayClassName}`);

  const waypoints = graph.map('waypoints', gateways, (gateway, key, read) => {
    const cluster = clusterOfKey(key);
    const gatewayClass = classOf(gateway, cluster, read);
    return waypointOf(gateway, { gatewayClass, clusterDomain, network: networkOf(cluster, read) });
  });

  const objects = graph.map('objects of gateways', gateways, (gateway, key, read) =>
    gatewayObjects(gateway, classOf(gateway, clusterOfKey(key), read)),
  );

  const networkGateways = graph.flatMap('network gateways', gateways, (gateway, key, read) => {
    const cluster = clusterOfKey(key);
    const role = gatewayRole(gateway, classOf(gateway, cluster, read));
    return networkGatewaysOf(gateway, role, { ownNetwork: networkOf(cluster, read), clusterDomain }).map(
      (one) => [`${key}/${one.host}/${one.port}`, one] as const,
    );
  });
  const addresses = graph.flatMap('addresses of network gateways', networkGateways, (gateway, key) =>
    gatewayResources(gateway, { cluster: clusterOfKey(key), trustDomain }).map(
      (address) => [addressName(address), address] as const,
    ),
  );
  const byNetwork = graph.index('gateways by network', networkGateways, ({ network }, key) => [
    `${clusterOfKey(key)}/${network}`,
  ]);

  return {
    waypoints,
    objects,
    addresses,
    gatewayOf(cluster, network, read) {
      if (network === '') return undefined;
      const [first] = read.lookup(byNetwork, `${cluster}/${network}`).values();
      return first && gatewayAddress(first);
    },
    tunnelOf({ cluster, namespace, labels }, read) {
      const name = labels['gateway.networking.k8s.io/gateway-name'];
      return name === undefined ? undefined : read.get(waypoints, `${cluster}/${namespace}/${name}`)?.inboundBinding;
    },
  };
}
