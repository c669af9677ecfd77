/** Network addresses, gateways and ports: the parts that workloads and services share. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  AppProtocol,
  type GatewayAddressSchema,
  type NetworkAddressSchema,
  type PortSchema,
  type GatewayAddress as GenGatewayAddress,
  type NetworkAddress as GenNetworkAddress,
  type Port as GenPort,
} from '../gen/workload_pb.ts';
import type { NetworkId } from '../api/names.ts';
import type { GatewayAddress, GatewayDestination, NetworkAddress, ServicePort } from '../api/workload.ts';
import { wireError } from './errors.ts';
import { checkPort, decodeIp, encodeIp, enumTable, foldPrefixLength, requireText } from './fields.ts';

const appProtocols = enumTable({
  unknown: AppProtocol.UNKNOWN,
  http11: AppProtocol.HTTP11,
  http2: AppProtocol.HTTP2,
  grpc: AppProtocol.GRPC,
  tcp: AppProtocol.TCP,
  tls: AppProtocol.TLS,
});

export function decodePorts(field: string, ports: readonly GenPort[]): ServicePort[] {
  return ports.map((port, i) => ({
    servicePort: checkPort(`${field}[${i}].service_port`, port.servicePort),
    targetPort: checkPort(`${field}[${i}].target_port`, port.targetPort),
    appProtocol: appProtocols.decode(`${field}[${i}].app_protocol`, port.appProtocol),
  }));
}

export function encodePorts(ports: readonly ServicePort[]): MessageInitShape<typeof PortSchema>[] {
  return ports.map((port) => ({
    servicePort: checkPort('service_port', port.servicePort),
    targetPort: checkPort('target_port', port.targetPort),
    appProtocol: appProtocols.encode(port.appProtocol),
  }));
}

export function decodeNetworkAddress(field: string, message: GenNetworkAddress): NetworkAddress {
  const ip = decodeIp(`${field}.address`, message.address);
  const network = message.network as NetworkId;
  if (message.length === undefined) return { network, ip };
  const prefixLength = foldPrefixLength(message.address, ip, message.length);
  if (prefixLength === undefined) {
    throw wireError('invalid-cidr', `${field}.length`, `${ip} has no prefix of length ${message.length}`);
  }
  // A block of one address is that address (an istiod keeps the length that somebody wrote), and no workload comes before it.
  return prefixLength === (ip.includes(':') ? 128 : 32) ? { network, ip } : { network, ip, prefixLength };
}

export function encodeNetworkAddress(address: NetworkAddress): MessageInitShape<typeof NetworkAddressSchema> {
  const bytes = { network: address.network as string, address: encodeIp(address.ip) };
  if (address.prefixLength === undefined) return bytes;
  if (address.prefixLength < 0 || address.prefixLength > 8 * bytes.address.length) {
    throw wireError('invalid-cidr', 'length', `${address.ip} has no prefix of length ${address.prefixLength}`);
  }
  return { ...bytes, length: address.prefixLength };
}

export function decodeGateway(field: string, message: GenGatewayAddress): GatewayAddress {
  return {
    destination: decodeDestination(`${field}.destination`, message.destination),
    hboneMtlsPort: checkPort(`${field}.hbone_mtls_port`, message.hboneMtlsPort),
  };
}

export function encodeGateway(gateway: GatewayAddress): MessageInitShape<typeof GatewayAddressSchema> {
  const { destination } = gateway;
  return {
    destination:
      destination.kind === 'hostname'
        ? { case: 'hostname', value: { namespace: destination.namespace, hostname: destination.hostname } }
        : { case: 'address', value: encodeNetworkAddress(destination.address) },
    hboneMtlsPort: checkPort('hbone_mtls_port', gateway.hboneMtlsPort),
  };
}

function decodeDestination(field: string, destination: GenGatewayAddress['destination']): GatewayDestination {
  switch (destination.case) {
    case 'hostname': {
      const { namespace, hostname } = destination.value;
      return { kind: 'hostname', namespace, hostname: requireText(`${field}.hostname`, hostname) };
    }
    case 'address':
      return { kind: 'address', address: decodeNetworkAddress(`${field}.address`, destination.value) };
    case undefined:
      throw wireError('missing-field', field, 'it names neither a host nor an address');
  }
}
