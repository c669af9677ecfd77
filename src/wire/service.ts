/** `istio.workload.Service` and its domain form, both directions. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  IPFamilies,
  LoadBalancing_HealthPolicy,
  LoadBalancing_Mode,
  LoadBalancing_Scope,
  Service_Visibility,
  type LoadBalancing as GenLoadBalancing,
  type LoadBalancingSchema,
  type Service,
  type ServiceSchema,
  type WeightedWaypoint,
} from '../gen/workload_pb.ts';
import type { GatewayAddress, LoadBalancing, MeshService } from '../api/workload.ts';
import { wireError } from './errors.ts';
import { decodeExportTo, encodeExportTo } from './extensions.ts';
import { enumTable, requireText } from './fields.ts';
import {
  decodeGateway,
  decodeNetworkAddress,
  decodePorts,
  encodeGateway,
  encodeNetworkAddress,
  encodePorts,
} from './gateway.ts';

const scopes = enumTable({
  region: LoadBalancing_Scope.REGION,
  zone: LoadBalancing_Scope.ZONE,
  subzone: LoadBalancing_Scope.SUBZONE,
  node: LoadBalancing_Scope.NODE,
  cluster: LoadBalancing_Scope.CLUSTER,
  network: LoadBalancing_Scope.NETWORK,
});
const modes = enumTable({
  unspecified: LoadBalancing_Mode.UNSPECIFIED_MODE,
  strict: LoadBalancing_Mode.STRICT,
  failover: LoadBalancing_Mode.FAILOVER,
  passthrough: LoadBalancing_Mode.PASSTHROUGH,
});
const healthPolicies = enumTable({
  'only-healthy': LoadBalancing_HealthPolicy.ONLY_HEALTHY,
  'allow-all': LoadBalancing_HealthPolicy.ALLOW_ALL,
});
const families = enumTable({
  automatic: IPFamilies.AUTOMATIC,
  ipv4: IPFamilies.IPV4_ONLY,
  ipv6: IPFamilies.IPV6_ONLY,
  dual: IPFamilies.DUAL,
});
const visibilities = enumTable({ public: Service_Visibility.PUBLIC, namespace: Service_Visibility.NAMESPACE });

/** Throws `wire.*`, naming the field. Extensions of others are left out: they carry nothing for L4. */
export function decodeService(message: Service): MeshService {
  const exportTo = decodeExportTo('service.extensions', message.extensions);
  return {
    name: message.name,
    namespace: requireText('service.namespace', message.namespace),
    hostname: requireText('service.hostname', message.hostname),
    addresses: message.addresses.map((address, i) => decodeNetworkAddress(`service.addresses[${i}]`, address)),
    ports: decodePorts('service.ports', message.ports),
    subjectAltNames: message.subjectAltNames,
    ...(message.waypoint ? { waypoint: decodeGateway('service.waypoint', message.waypoint) } : {}),
    weightedWaypoints: message.weightedWaypoints.map(decodeWeightedWaypoint),
    ...(message.loadBalancing ? { loadBalancing: decodeLoadBalancing(message.loadBalancing) } : {}),
    ipFamilies: families.decode('service.ip_families', message.ipFamilies),
    canonical: message.canonical,
    ingressUseWaypoint: message.ingressUseWaypoint,
    visibility: visibilities.decode('service.visibility', message.visibility),
    ...(exportTo ? { exportTo } : {}),
  };
}

export function encodeService(service: MeshService): MessageInitShape<typeof ServiceSchema> {
  return {
    name: service.name,
    namespace: requireText('service.namespace', service.namespace),
    hostname: requireText('service.hostname', service.hostname),
    addresses: service.addresses.map(encodeNetworkAddress),
    ports: encodePorts(service.ports),
    subjectAltNames: [...service.subjectAltNames],
    ...(service.waypoint ? { waypoint: encodeGateway(service.waypoint) } : {}),
    weightedWaypoints: service.weightedWaypoints.map(({ destination, weight }) => ({
      destination: encodeGateway(destination),
      weight,
    })),
    ...(service.loadBalancing ? { loadBalancing: encodeLoadBalancing(service.loadBalancing) } : {}),
    ipFamilies: families.encode(service.ipFamilies),
    canonical: service.canonical,
    ingressUseWaypoint: service.ingressUseWaypoint,
    visibility: visibilities.encode(service.visibility),
    extensions: encodeExportTo(service.exportTo),
  };
}

function decodeWeightedWaypoint(message: WeightedWaypoint, i: number): { destination: GatewayAddress; weight: number } {
  const field = `service.weighted_waypoints[${i}].destination`;
  if (!message.destination) throw wireError('missing-field', field, 'it is absent');
  return { destination: decodeGateway(field, message.destination), weight: message.weight };
}

function decodeLoadBalancing(message: GenLoadBalancing): LoadBalancing {
  const field = 'service.load_balancing';
  return {
    routingPreference: message.routingPreference.map((scope, i) =>
      scopes.decode(`${field}.routing_preference[${i}]`, scope),
    ),
    mode: modes.decode(`${field}.mode`, message.mode),
    healthPolicy: healthPolicies.decode(`${field}.health_policy`, message.healthPolicy),
  };
}

function encodeLoadBalancing(loadBalancing: LoadBalancing): MessageInitShape<typeof LoadBalancingSchema> {
  return {
    routingPreference: loadBalancing.routingPreference.map((scope) => scopes.encode(scope)),
    mode: modes.encode(loadBalancing.mode),
    healthPolicy: healthPolicies.encode(loadBalancing.healthPolicy),
  };
}
