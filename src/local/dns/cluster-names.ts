/** Pure: what a name under the cluster's domain means, from Services and EndpointSlices (Kubernetes DNS specification 1.1). */
import { serviceNameLabel, type EndpointSlice, type Service } from '../../api/index.ts';

export interface SrvTarget {
  readonly host: string;
  readonly port: number;
}

export type ClusterAnswer =
  /** The name is not the cluster's. */
  | { readonly kind: 'foreign' }
  | { readonly kind: 'absent' }
  /** The name exists; each list may be empty. */
  | {
      readonly kind: 'found';
      readonly addresses: readonly string[];
      readonly services: readonly SrvTarget[];
      readonly alias?: string;
    }
  | { readonly kind: 'pointer'; readonly host: string };

export interface ClusterNamesInput {
  readonly clusterDomain: string;
  readonly services: ReadonlyMap<string, Service>;
  readonly slices: Iterable<EndpointSlice>;
}

/** Looks names up in one state of the cluster. */
export class ClusterNames {
  readonly #domain: string;
  readonly #services: ReadonlyMap<string, Service>;
  readonly #slices = new Map<string, EndpointSlice[]>();

  constructor(input: ClusterNamesInput) {
    this.#domain = input.clusterDomain;
    this.#services = input.services;
    for (const slice of input.slices) {
      const key = `${slice.metadata.namespace}/${slice.metadata.labels?.[serviceNameLabel]}`;
      const known = this.#slices.get(key);
      if (known) known.push(slice);
      else this.#slices.set(key, [slice]);
    }
  }

  /** `name` is without the last dot; case does not matter. */
  lookup(name: string): ClusterAnswer {
    const lower = name.toLowerCase();
    if (lower === this.#domain) return empty;
    if (lower.endsWith('.in-addr.arpa')) return this.#pointer(lower);
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
    const { clusterIP, type: serviceType, externalName } = service.spec ?? {};
    if (serviceType === 'ExternalName') {
      return labels.length === 0 && externalName
        ? { kind: 'found', addresses: [], services: [], alias: externalName }
        : absent;
    }
    const isHeadless = clusterIP === undefined || clusterIP === 'None' || clusterIP === '';
    if (labels.length === 0) return found(isHeadless ? this.#addresses(service) : [clusterIP]);
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
    const key = `${service.metadata.namespace}/${service.metadata.name}`;
    return (this.#slices.get(key) ?? []).filter((slice) => slice.addressType === 'IPv4');
  }

  #hasNamespace(namespace: string): boolean {
    for (const key of this.#services.keys()) if (key.startsWith(`${namespace}/`)) return true;
    return false;
  }

  /** `4.3.2.1.in-addr.arpa` of a ClusterIP, or of an endpoint of a headless Service. */
  #pointer(name: string): ClusterAnswer {
    const ip = name.slice(0, -'.in-addr.arpa'.length).split('.').reverse().join('.');
    for (const service of this.#services.values()) {
      const host = `${service.metadata.name}.${service.metadata.namespace}.svc.${this.#domain}`;
      if (service.spec?.clusterIP === ip) return { kind: 'pointer', host };
      if (service.spec?.clusterIP !== 'None') continue;
      for (const slice of this.#slicesOf(service)) {
        const endpoint = slice.endpoints.find((each) => each.addresses.includes(ip));
        if (endpoint) return { kind: 'pointer', host: `${endpoint.hostname ?? dashed(ip)}.${host}` };
      }
    }
    return ip.startsWith('10.') ? absent : { kind: 'foreign' };
  }
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

/** `1-2-3-4.namespace.pod.cluster.local` is the address that it spells. */
function podAddress(labels: readonly string[]): ClusterAnswer {
  const [host = '', namespace] = labels;
  if (labels.length !== 2 || !namespace || !/^\d{1,3}(-\d{1,3}){3}$/.test(host)) return absent;
  const parts = host.split('-').map(Number);
  return parts.every((part) => part <= 255) ? found([parts.join('.')]) : absent;
}

function dashed(ip: string): string {
  return ip.replaceAll('.', '-');
}
