/** `istio.workload.Address`: a workload or a service, as one resource of WDS. */
import { formatIp, parseIp } from '../lib/ip.ts';
import { serviceKey } from '../api/names.ts';
import type { MeshAddress, NetworkAddress } from '../api/workload.ts';
import { AddressSchema } from '../gen/workload_pb.ts';
import { wireError } from './errors.ts';
import { parseMessage, serializeMessage } from './message.ts';
import { decodeService, encodeService } from './service.ts';
import { decodeWorkload, encodeWorkload } from './workload.ts';

/**
 * Throws `wire.*`, naming the field: unknown enum values, addresses that are not 4 or 16 bytes, ports above 65535, and
 * prefixes that do not fit are refused, never guessed. Fields that we do not know are skipped.
 */
export function decodeAddress(bytes: Uint8Array): MeshAddress {
  const { type } = parseMessage(AddressSchema, bytes);
  switch (type.case) {
    case 'workload':
      return { kind: 'workload', workload: decodeWorkload(type.value) };
    case 'service':
      return { kind: 'service', service: decodeService(type.value) };
    case undefined:
      throw wireError('missing-field', 'istio.workload.Address', 'it is neither a workload nor a service');
  }
}

/** The same value always gives the same bytes. */
export function encodeAddress(address: MeshAddress): Uint8Array {
  return serializeMessage(AddressSchema, {
    type:
      address.kind === 'workload'
        ? { case: 'workload', value: encodeWorkload(address.workload) }
        : { case: 'service', value: encodeService(address.service) },
  });
}

/** The resource's name: the uid of a workload, `<namespace>/<hostname>` of a service. */
export function addressName(address: MeshAddress): string {
  return address.kind === 'workload'
    ? address.workload.uid
    : serviceKey(address.service.namespace, address.service.hostname);
}

/** Further names that on-demand clients ask by: `<network>/<ip>`, and `<network>/<ip>/<length>` for blocks. */
export function addressAliases(address: MeshAddress): string[] {
  if (address.kind === 'service') return address.service.addresses.map(networkAddressName);
  const { network, addresses, networkMode } = address.workload;
  return networkMode === 'host-network' ? [] : addresses.map((ip) => networkAddressName({ network, ip }));
}

function networkAddressName({ network, ip, prefixLength }: NetworkAddress): string {
  const name = `${network}/${formatIp(parseIp(ip))}`;
  return prefixLength === undefined ? name : `${name}/${prefixLength}`;
}
