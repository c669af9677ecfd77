/** Pure: what a name under the cluster's domain means, from Services and EndpointSlices (Kubernetes DNS specification 1.1). */
import type { EndpointSlice, Service } from '../../api/index.ts';
import { formatIp, parseIp, tryParseIp } from '../../lib/ip.ts';

export interface SrvTarget {
  readonly host: string;
  readonly port: number;
}

export type ClusterAnswer =
  /** The name is not the cluster's. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'absent' }
  /** The name exists; each list may be empty. Addresses are of both families. */
  | {
      readonly kind: 'found';
      readonly addresses: readonly string[];
      readonly services: readonly SrvTarget[];
      readonly alias?: string;
    }
  | { readonly kind: 'pointer'; readonly host: string };

export interface ClusterNamesInput {
  readonly clusterDomain: string;
  /** By `namespace/name`; read at each lookup. */
  readonly services: ReadonlyMap<string, Service>;
  readonly slicesOf: (serviceKey: string) => Iterable<EndpointSlice>;
}

/** Looks names up in the cluster as it is now. */
export class ClusterNames {
  readonly #domain: string;
  readonly #services: ReadonlyMap<string, Service>;
  readonly #slicesOfKey: (serviceKey: string) => Iterable<EndpointSlice>;

  constructor(input: ClusterNamesInput) {
    this.#domain = input.clusterDomain;
    this.#services = input.services;
    this.#slicesOfKey = input.slicesOf;
  }

  /** `name` is without the last dot; case does not matter. */
  lookup(name: string): ClusterAnswer {
    const lower = name.toLowerCase();
    if (lower === this.#domain) return empty;
    if (lower.endsWith('.in-addr.arpa') || lower.endsWith('.ip6.arpa')) {
      const ip = addressOfPointer(lower);
      return ip === undefined ? { kind: 'foreign' } : this.#pointer(ip);
    }
    if (!lower.endsWith(`.${this.#domain}`)) return { kind: 'foreign' };
    const labels = lower.slice(0, -this.#domain.length - 1).split('.');
    const type = labels.pop();
    if (type === 'pod') return podAddress(labels);
    if (type !== 'svc') return absent;
    const namespace = labels.pop();
    if (namespace === undefined) return empty;
    const serviceName = labels.pop();
    if (serviceName === undefined) return this.#hasNamespace(namespace) ? empty : absent;
    const service = this.#services.get(`${namespace}/${serviceName}`);
    if (!service) return absent;
    const { clusterIP, clusterIPs, type: serviceType, externalName } = service.spec ?? {};
    if (serviceType === 'ExternalName') {
      return labels.length === 0 && externalName
        ? { kind: 'found', addresses: [], services: [], alias: externalName }
        : absent;
    }
    const isHeadless = clusterIP === undefined || clusterIP === 'None' || clusterIP === '';
    if (labels.length === 0) return found(isHeadless ? this.#addresses(service) : (clusterIPs ?? [clusterIP]));
    if (labels.length === 2) return this.#port(service, labels[0] ?? '', labels[1] ?? '', isHeadless);
    if (labels.length !== 1 || !isHeadless) return absent;
    const addresses = this.#addresses(service, labels[0]);
    return addresses.length > 0 ? found(addresses) : absent;
  }

  /** `_port._protocol.service`: one record for a ClusterIP, one an endpoint for a headless Service. */
  #port(service: Service, portLabel: string, protocolLabel: string, isHeadless: boolean): ClusterAnswer {
    const host = `${service.metadata.name}.${service.metadata.namespace}.svc.${this.#domain}`;
    const name = portLabel.slice(1);
    const protocol = protocolLabel.slice(1);
    if (!portLabel.startsWith('_') || !protocolLabel.startsWith('_')) return absent;
    const port = service.spec?.ports?.find(
      (each) => each.name?.toLowerCase() === name && (each.protocol ?? 'TCP').toLowerCase() === protocol,
    );
    if (!port) return absent;
    if (!isHeadless) return { kind: 'found', addresses: [], services: [{ host, port: port.port }] };
    const services = this.#slicesOf(service).flatMap((slice) => {
      const target = slice.ports?.find((each) => each.name?.toLowerCase() === name)?.port ?? port.port;
      return ready(slice, service).flatMap((endpoint) =>
        endpoint.addresses.map((ip) => ({ host: `${endpoint.hostname ?? dashed(ip)}.${host}`, port: target })),
      );
    });
    return { kind: 'found', addresses: [], services };
  }

  #addresses(service: Service, hostname?: string): string[] {
    const all = this.#slicesOf(service)
      .flatMap((slice) => ready(slice, service))
      .filter(
        (endpoint) =>
          hostname === undefined ||
          endpoint.hostname === hostname ||
          endpoint.addresses.some((ip) => dashed(ip) === hostname),
      )
      .flatMap((endpoint) => endpoint.addresses);
    return [...new Set(all)];
  }

  #slicesOf(service: Service): EndpointSlice[] {
    const slices = [...this.#slicesOfKey(`${service.metadata.namespace}/${service.metadata.name}`)];
    return slices.filter((slice) => slice.addressType !== 'FQDN');
  }

  #hasNamespace(namespace: string): boolean {
    for (const key of this.#services.keys()) if (key.startsWith(`${namespace}/`)) return true;
    return false;
  }

  /** The name of a ClusterIP, or of an endpoint of a headless Service. */
  #pointer(ip: string): ClusterAnswer {
    for (const service of this.#services.values()) {
      const host = `${service.metadata.name}.${service.metadata.namespace}.svc.${this.#domain}`;
      const { clusterIP, clusterIPs } = service.spec ?? {};
      if (clusterIP === ip || clusterIPs?.includes(ip)) return { kind: 'pointer', host };
      if (clusterIP !== 'None') continue;
      for (const slice of this.#slicesOf(service)) {
        const endpoint = slice.endpoints.find((each) => each.addresses.includes(ip));
        if (endpoint) return { kind: 'pointer', host: `${endpoint.hostname ?? dashed(ip)}.${host}` };
      }
    }
    return ip.startsWith('10.') || ip.startsWith('fd00:') ? absent : { kind: 'foreign' };
  }
}

/** The address of `4.3.2.1.in-addr.arpa` or of 32 nibbles under ip6.arpa (RFC 1035, RFC 3596). */
function addressOfPointer(name: string): string | undefined {
  const labels = name.split('.').slice(0, -2).reverse();
  if (name.endsWith('.in-addr.arpa')) return labels.length === 4 ? labels.join('.') : undefined;
  if (labels.length !== 32 || labels.some((label) => !/^[0-9a-f]$/.test(label))) return undefined;
  const groups = labels.join('').match(/.{4}/g) ?? [];
  return formatIp(parseIp(groups.join(':')));
}

const absent: ClusterAnswer = { kind: 'absent' };
const empty: ClusterAnswer = { kind: 'found', addresses: [], services: [] };

function found(addresses: readonly string[]): ClusterAnswer {
  return { kind: 'found', addresses, services: [] };
}

function ready(slice: EndpointSlice, service: Service): EndpointSlice['endpoints'] {
  const all = service.spec?.publishNotReadyAddresses ?? false;
  return slice.endpoints.filter((endpoint) => all || endpoint.conditions?.ready !== false);
}

/** `1-2-3-4.namespace.pod.cluster.local` is the address that it spells; so is `fd00--1`. */
function podAddress(labels: readonly string[]): ClusterAnswer {
  const [host = '', namespace] = labels;
  if (labels.length !== 2 || !namespace) return absent;
  const v4 = /^\d{1,3}(-\d{1,3}){3}$/.test(host);
  const bytes = tryParseIp(v4 ? host.split('-').map(Number).join('.') : host.replaceAll('-', ':'));
  return bytes ? found([formatIp(bytes)]) : absent;
}

function dashed(ip: string): string {
  return ip.replaceAll(/[.:]/g, '-');
}
