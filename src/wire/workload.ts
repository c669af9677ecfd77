/** `istio.workload.Workload` and its domain form, both directions. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  ApplicationTunnel_Protocol,
  NetworkMode,
  TunnelProtocol,
  WorkloadStatus,
  WorkloadType,
  type PortList,
  type PortListSchema,
  type Workload,
  type WorkloadSchema,
} from '../gen/workload_pb.ts';
import {
  defaultClusterId,
  defaultTrustDomain,
  type ClusterId,
  type NetworkId,
  type PolicyKey,
  type ServiceKey,
  type WorkloadUid,
} from '../api/names.ts';
import type { MeshWorkload, ServicePort } from '../api/workload.ts';
import { wireError } from './errors.ts';
import { decodeOutboundMode, encodeOutboundMode } from './extensions.ts';
import { checkPort, decodeIp, encodeIp, enumTable, requireText } from './fields.ts';
import { decodeGateway, decodePorts, encodeGateway, encodePorts } from './gateway.ts';

const defaultServiceAccount = 'default';
const defaultCapacity = 1;

// LEGACY_ISTIO_MTLS is left out on purpose: we cannot speak it, so such a workload is refused.
const tunnelProtocols = enumTable({ none: TunnelProtocol.NONE, hbone: TunnelProtocol.HBONE });
const workloadTypes = enumTable({
  deployment: WorkloadType.DEPLOYMENT,
  cronjob: WorkloadType.CRONJOB,
  pod: WorkloadType.POD,
  job: WorkloadType.JOB,
});
const applicationProtocols = enumTable({
  none: ApplicationTunnel_Protocol.NONE,
  proxy: ApplicationTunnel_Protocol.PROXY,
});
const statuses = enumTable({ healthy: WorkloadStatus.HEALTHY, unhealthy: WorkloadStatus.UNHEALTHY });
const networkModes = enumTable({ standard: NetworkMode.STANDARD, 'host-network': NetworkMode.HOST_NETWORK });

/** Throws `wire.*`, naming the field. Defaults that the wire leaves out are filled in; extensions of others are left out. */
export function decodeWorkload(message: Workload): MeshWorkload {
  const outboundMode = decodeOutboundMode('workload.extensions', message.extensions);
  return {
    uid: requireText('workload.uid', message.uid) as WorkloadUid,
    name: message.name,
    namespace: message.namespace,
    addresses: message.addresses.map((bytes, i) => decodeIp(`workload.addresses[${i}]`, bytes)),
    hostname: message.hostname,
    network: message.network as NetworkId,
    tunnelProtocol: tunnelProtocols.decode('workload.tunnel_protocol', message.tunnelProtocol),
    nativeTunnel: message.nativeTunnel,
    trustDomain: message.trustDomain || defaultTrustDomain,
    serviceAccount: message.serviceAccount || defaultServiceAccount,
    ...(message.waypoint ? { waypoint: decodeGateway('workload.waypoint', message.waypoint) } : {}),
    ...(message.networkGateway
      ? { networkGateway: decodeGateway('workload.network_gateway', message.networkGateway) }
      : {}),
    node: message.node,
    canonicalName: message.canonicalName,
    canonicalRevision: message.canonicalRevision,
    workloadType: workloadTypes.decode('workload.workload_type', message.workloadType),
    workloadName: message.workloadName,
    ...(message.applicationTunnel
      ? {
          applicationTunnel: {
            protocol: applicationProtocols.decode(
              'workload.application_tunnel.protocol',
              message.applicationTunnel.protocol,
            ),
            port: checkPort('workload.application_tunnel.port', message.applicationTunnel.port),
          },
        }
      : {}),
    services: decodeServices(message.services),
    authorizationPolicies: message.authorizationPolicies.map(decodePolicyKey),
    status: statuses.decode('workload.status', message.status),
    clusterId: (message.clusterId as ClusterId) || defaultClusterId,
    locality: {
      region: message.locality?.region ?? '',
      zone: message.locality?.zone ?? '',
      subzone: message.locality?.subzone ?? '',
    },
    networkMode: networkModes.decode('workload.network_mode', message.networkMode),
    capacity: message.capacity ?? defaultCapacity,
    ...(outboundMode ? { outboundMode } : {}),
  };
}

/** Values that the wire takes for absent are left out, so that equal workloads give equal bytes. */
export function encodeWorkload(workload: MeshWorkload): MessageInitShape<typeof WorkloadSchema> {
  const { locality } = workload;
  return {
    uid: requireText('workload.uid', workload.uid),
    name: workload.name,
    namespace: workload.namespace,
    addresses: workload.addresses.map(encodeIp),
    hostname: workload.hostname,
    network: workload.network,
    tunnelProtocol: tunnelProtocols.encode(workload.tunnelProtocol),
    nativeTunnel: workload.nativeTunnel,
    trustDomain: workload.trustDomain === defaultTrustDomain ? '' : workload.trustDomain,
    serviceAccount: workload.serviceAccount === defaultServiceAccount ? '' : workload.serviceAccount,
    ...(workload.waypoint ? { waypoint: encodeGateway(workload.waypoint) } : {}),
    ...(workload.networkGateway ? { networkGateway: encodeGateway(workload.networkGateway) } : {}),
    node: workload.node,
    canonicalName: workload.canonicalName,
    canonicalRevision: workload.canonicalRevision,
    workloadType: workloadTypes.encode(workload.workloadType),
    workloadName: workload.workloadName,
    ...(workload.applicationTunnel
      ? {
          applicationTunnel: {
            protocol: applicationProtocols.encode(workload.applicationTunnel.protocol),
            port: checkPort('workload.application_tunnel.port', workload.applicationTunnel.port),
          },
        }
      : {}),
    services: encodeServices(workload.services),
    authorizationPolicies: [...workload.authorizationPolicies],
    status: statuses.encode(workload.status),
    clusterId: workload.clusterId === defaultClusterId ? '' : workload.clusterId,
    ...(locality.region || locality.zone || locality.subzone ? { locality } : {}),
    networkMode: networkModes.encode(workload.networkMode),
    ...(workload.capacity === defaultCapacity ? {} : { capacity: workload.capacity }),
    extensions: encodeOutboundMode(workload.outboundMode),
  };
}

function decodeServices(services: Readonly<Record<string, PortList>>): Map<ServiceKey, readonly ServicePort[]> {
  const decoded = new Map<ServiceKey, readonly ServicePort[]>();
  for (const [key, { ports }] of Object.entries(services)) {
    const field = `workload.services[${JSON.stringify(key)}]`;
    if (!/^[^/]+\/[^/]+$/.test(key)) throw wireError('invalid-name', field, 'its key is not <namespace>/<hostname>');
    decoded.set(key as ServiceKey, decodePorts(`${field}.ports`, ports));
  }
  return decoded;
}

function encodeServices(services: MeshWorkload['services']): Record<string, MessageInitShape<typeof PortListSchema>> {
  // Sorted: the order of a map is the order of its entries on the wire.
  const keys = [...services.keys()].toSorted();
  return Object.fromEntries(keys.map((key) => [key, { ports: encodePorts(services.get(key) ?? []) }]));
}

function decodePolicyKey(name: string, i: number): PolicyKey {
  if (!/^[^/]*\/[^/]+$/.test(name)) {
    const field = `workload.authorization_policies[${i}]`;
    throw wireError('invalid-name', field, `${JSON.stringify(name)} is not <namespace>/<name>`);
  }
  return name as PolicyKey;
}
