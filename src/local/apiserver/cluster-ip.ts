/** What a Service is given at admission: IP families, ClusterIPs and node ports; kept through updates. */
import { randomInt } from 'node:crypto';
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { cidrContains, formatIp, parseCidr, tryParseIp, type Cidr } from '../../lib/ip.ts';
import { assignNodePorts } from './node-ports.ts';
import type { ApiObject } from './object-fields.ts';
import { chooseFamilies, dualStack, type ServiceFamily } from './service-families.ts';
import { invalid, StatusError } from './status-error.ts';

export const serviceCidr: Cidr = parseCidr('10.96.0.0/16');
const ranges: Readonly<Record<ServiceFamily, { readonly cidr: Cidr; readonly text: string }>> = {
  IPv4: { cidr: serviceCidr, text: '10.96.0.0/16' },
  IPv6: { cidr: parseCidr('fd00:10:96::/112'), text: 'fd00:10:96::/112' },
};
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
  /** Families of the cluster; default both. */
  readonly families?: readonly ServiceFamily[];
}

/** Keeps what `before` has, checks what was asked for, picks what is free. Throws 422, or 500 when none is left. */
export function admitService(request: ClusterIpRequest): void {
  const { service, before } = request;
  const others = request.services.filter((other) => other.metadata.uid !== service.metadata.uid);
  assignClusterIps(request, others);
  assignNodePorts(service, before, others);
  if (before) dropLeftovers(service, before);
}

/** Takes out what only the type, or the affinity, of before gave a meaning to, unless the update says something new there. */
function dropLeftovers(service: ApiObject, before: ApiObject): void {
  const spec = (service.spec ??= {});
  const type = spec['type'];
  const drop = (...fields: string[]): void => {
    for (const field of fields) if (isDeepStrictEqual(spec[field], before.spec?.[field])) delete spec[field];
  };
  if (type !== 'LoadBalancer') {
    drop('allocateLoadBalancerNodePorts', 'loadBalancerClass');
    if (before.spec?.['type'] === 'LoadBalancer') service.status = { ...service.status, loadBalancer: {} };
  }
  if (type !== 'LoadBalancer' && type !== 'NodePort') drop('externalTrafficPolicy');
  if (type !== 'LoadBalancer' || spec['externalTrafficPolicy'] !== 'Local') drop('healthCheckNodePort');
  if (type === 'ExternalName') drop('internalTrafficPolicy', 'ipFamilies', 'ipFamilyPolicy');
  if (spec['sessionAffinity'] === 'None') drop('sessionAffinityConfig');
}

function assignClusterIps(request: ClusterIpRequest, others: readonly ApiObject[]): void {
  const { service, before, families: available = dualStack } = request;
  const spec = (service.spec ??= {});
  if (spec['type'] === 'ExternalName') {
    // Addresses that a Service had before it became an alias are given back.
    if (before?.spec?.['type'] !== 'ExternalName' && spec['clusterIP'] === before?.spec?.['clusterIP']) {
      delete spec['clusterIP'];
      delete spec['clusterIPs'];
    }
    return;
  }
  const given = givenAddresses(spec, before?.spec?.['type'] === 'ExternalName' ? undefined : before?.spec);
  if (given.length > 0) spec['clusterIPs'] = given;
  else delete spec['clusterIPs'];
  if (given[0] === 'None') spec['clusterIP'] = 'None';
  // What names no address is told by the validation that follows.
  if (given.some((ip) => ip !== 'None' && isIP(ip) === 0)) return;
  const { families } = chooseFamilies(service, before, available);
  const kept = textsOf(spec['clusterIPs']);
  if (given[0] === 'None') {
    spec['clusterIPs'] = ['None'];
    return;
  }
  const used = new Set(
    others.flatMap(({ spec: other }) => [textOf(other?.['clusterIP']), ...textsOf(other?.['clusterIPs'])]),
  );
  const addresses = families.map((family) => {
    const own = kept.find((ip) => (isIP(ip) === 6 ? 'IPv6' : 'IPv4') === family);
    return own === undefined ? pickFree(family, used) : checkFree(service, family, own, used);
  });
  spec['clusterIP'] = addresses[0] ?? '';
  spec['clusterIPs'] = addresses;
}

/** Those of the Service as sent; where it leaves them out, those that it had. */
function givenAddresses(spec: Record<string, unknown>, before: Record<string, unknown> | undefined): string[] {
  const first = textOf(spec['clusterIP']);
  const listed = textsOf(spec['clusterIPs']);
  if (listed.length > 0 && (first === '' || listed[0] === first)) return listed;
  const had = textsOf(before?.['clusterIPs']);
  const [old = textOf(before?.['clusterIP'])] = had;
  if (first === '' || first === old) return (had.length > 0 ? had : [old]).filter((ip) => ip !== '');
  return [first];
}

function checkFree(service: ApiObject, family: ServiceFamily, wanted: string, used: ReadonlySet<string>): string {
  const bytes = tryParseIp(wanted);
  const { cidr } = ranges[family];
  const why =
    bytes === undefined
      ? undefined
      : !cidrContains(cidr, bytes)
        ? 'the provided network does not match the current range'
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

function pickFree(family: ServiceFamily, used: ReadonlySet<string>): string {
  const first = reservedAddresses;
  const last = 2 ** 16 - 2;
  const start = randomInt(first, last + 1);
  const { cidr, text } = ranges[family];
  for (let i = 0; i <= last - first; i++) {
    const offset = first + ((start - first + i) % (last - first + 1));
    const bytes = Uint8Array.from(cidr.address);
    bytes[bytes.length - 2] = offset >> 8;
    bytes[bytes.length - 1] = offset & 0xff;
    const address = formatIp(bytes);
    if (!used.has(address)) return address;
  }
  throw new StatusError({
    code: 500,
    reason: 'InternalError',
    message: `Cannot allocate a ClusterIP: ${text} is full`,
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(textOf) : [];
}
