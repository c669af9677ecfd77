/** ClusterIPs: allocated at creation by scanning the Services there are, kept through updates. */
import { randomInt } from 'node:crypto';
import { cidrContains, formatIp, parseCidr, tryParseIp, type Cidr } from '../../lib/ip.ts';
import type { ApiObject } from './object-fields.ts';
import { invalid, StatusError } from './status-error.ts';

export const serviceCidr: Cidr = parseCidr('10.96.0.0/16');
/** ClusterIP of the Service `kubernetes`. */
export const kubernetesServiceIp = '10.96.0.1';

/** Before this offset only addresses asked for by name are given out, as Kubernetes does. */
const reservedAddresses = 256;

export interface ClusterIpRequest {
  /** The Service as it will be stored; changed in place. */
  readonly service: ApiObject;
  /** The stored Service, on update. */
  readonly before?: ApiObject;
  /** Every stored Service. */
  readonly services: readonly ApiObject[];
}

/** Keeps the address of `before`, checks one that was asked for, or picks a free one. Throws 422, or 500 when none is left. */
export function assignClusterIp(request: ClusterIpRequest): void {
  const { service, before } = request;
  const spec = (service.spec ??= {});
  if (spec['type'] === 'ExternalName') {
    // Addresses that a Service had before it became an alias are given back.
    if (before?.spec?.['type'] !== 'ExternalName' && spec['clusterIP'] === before?.spec?.['clusterIP']) {
      delete spec['clusterIP'];
      delete spec['clusterIPs'];
    }
    return;
  }
  const wanted = textOf(spec['clusterIP']) || firstOf(spec['clusterIPs']) || textOf(before?.spec?.['clusterIP']);
  if (wanted === 'None') {
    spec['clusterIP'] = 'None';
    spec['clusterIPs'] = ['None'];
    return;
  }
  const used = new Set(
    request.services
      .filter((other) => other.metadata.uid !== service.metadata.uid)
      .map((other) => textOf(other.spec?.['clusterIP'])),
  );
  const address = wanted === '' ? pickFree(used) : checkFree(service, wanted, used);
  spec['clusterIP'] = address;
  spec['clusterIPs'] = [address];
}

function checkFree(service: ApiObject, wanted: string, used: ReadonlySet<string>): string {
  const bytes = tryParseIp(wanted);
  const why =
    bytes === undefined
      ? undefined
      : !cidrContains(serviceCidr, bytes)
        ? 'the provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/16'
        : used.has(wanted)
          ? 'provided IP is already allocated'
          : undefined;
  if (why === undefined) return wanted;
  throw invalid('', 'Service', service.metadata.name ?? '', [
    {
      reason: 'FieldValueInvalid',
      field: 'spec.clusterIPs',
      message: `Invalid value: ${JSON.stringify([wanted])}: failed to allocate IP ${wanted}: ${why}`,
    },
  ]);
}

function pickFree(used: ReadonlySet<string>): string {
  const first = reservedAddresses;
  const last = 2 ** 16 - 2;
  const start = randomInt(first, last + 1);
  for (let i = 0; i <= last - first; i++) {
    const offset = first + ((start - first + i) % (last - first + 1));
    const bytes = Uint8Array.from(serviceCidr.address);
    bytes[2] = offset >> 8;
    bytes[3] = offset & 0xff;
    const address = formatIp(bytes);
    if (!used.has(address)) return address;
  }
  throw new StatusError({
    code: 500,
    reason: 'InternalError',
    message: 'Cannot allocate a ClusterIP: 10.96.0.0/16 is full',
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function firstOf(value: unknown): string {
  return Array.isArray(value) ? textOf(value[0]) : '';
}
