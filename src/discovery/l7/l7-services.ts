/** Services and hosts of ServiceEntries, as routes and proxies see them: ports with protocols, and who stands for them. */
import type { Service } from '../../api/core.ts';
import type { ServiceEntry } from '../../api/istio.ts';
import type { L7Protocol, Origin } from '../../api/l7/index.ts';
import type { KubeObject } from '../../api/meta.ts';
import { serviceKey, type ServiceKey } from '../../api/names.ts';
import type { MeshAddress, MeshService } from '../../api/workload.ts';
import type { Collection, Graph, Index, Reader } from '../../collection/index.ts';
import type { DerivedEntries } from '../derive-entries.ts';
import { isMeshService, serviceHostname } from '../mesh-service.ts';
import { hostsOf, isDynamic, isDynamicHost, isPassthrough } from '../service-entry.ts';
import type { WaypointBinding } from '../waypoint-binding.ts';
import { coversHost } from './host-names.ts';
import { portProtocol, type DeclaredPort } from './port-protocol.ts';

export interface L7Service {
  readonly key: ServiceKey;
  readonly namespace: string;
  readonly hostname: string;
  readonly ports: readonly L7Port[];
  /** `<namespace>/<name>` of the Gateways whose waypoints stand for it. */
  readonly waypoints: readonly string[];
  /** Namespaces that see it; undefined: all. */
  readonly exportTo: readonly string[] | undefined;
  /** The one that is meant by its hostname where a namespace has none of its own. */
  readonly canonical: boolean;
  /** Connections go where the client wanted to go (ServiceEntry without resolution). */
  readonly isPassthrough: boolean;
  /** There are no endpoints: the host that a request names is resolved (ServiceEntry with DYNAMIC_DNS). */
  readonly isDynamic: boolean;
  readonly loadBalancing: MeshService['loadBalancing'];
  /** That the servers may have. */
  readonly subjectAltNames: readonly string[];
  readonly ingressUseWaypoint: boolean;
  readonly origin: Origin;
}

export interface L7Port {
  readonly port: number;
  readonly name: string;
  readonly protocol: L7Protocol;
  /** Of the hosts, where that is declared and there are no endpoints that have ports of their own. */
  readonly targetPort?: number;
}

export interface L7Services {
  /** By `ServiceKey`. */
  readonly all: Collection<L7Service>;
  /** The one that `hostname` means in `namespace`: its own, else what is seen from there. */
  readonly find: (hostname: string, namespace: string, read: Reader) => L7Service | undefined;
  /** All of that name. */
  readonly byHostname: Index<L7Service>;
  /** Those of the most special wildcard that covers the name. */
  readonly covering: (hostname: string, read: Reader) => L7Service[];
}

export interface L7ServiceInputs {
  readonly services: Collection<Service>;
  readonly entries: Collection<ServiceEntry>;
  readonly serviceBindings: Collection<WaypointBinding>;
  readonly entryBindings: Collection<WaypointBinding>;
  readonly derivedEntries: DerivedEntries;
  /** By `ServiceKey`: Services and entries. */
  readonly addresses: Collection<MeshAddress>;
  readonly clusterDomain: string;
}

export function deriveL7Services(graph: Graph, inputs: L7ServiceInputs): L7Services {
  const { serviceBindings, entryBindings, derivedEntries, addresses, clusterDomain } = inputs;
  const facts = (key: ServiceKey, read: Reader): MeshService | undefined => {
    const address = read.get(addresses, key);
    return address?.kind === 'service' ? address.service : undefined;
  };
  const ofServices = graph.flatMap('L7 services', inputs.services, (service, objectKey, read) => {
    if (!isMeshService(service)) return [];
    const key = serviceKey(service.metadata.namespace ?? '', serviceHostname(service, clusterDomain));
    const mesh = facts(key, read);
    if (!mesh) return [];
    const ports = (service.spec?.ports ?? []).filter(({ protocol = 'TCP' }) => protocol === 'TCP');
    const origin = originOf('Service', service);
    return [
      [key, l7Service(mesh, { key, ports: l7Ports(ports), binding: read.get(serviceBindings, objectKey), origin })],
    ];
  });
  const ofEntries = graph.flatMap('L7 services of entries', inputs.entries, (entry, objectKey, read) => {
    const namespace = entry.metadata.namespace ?? '';
    const ports = (entry.spec.ports ?? []).map(({ number, name, protocol }) => ({
      port: number,
      name,
      appProtocol: protocol,
    }));
    return hostsOf(entry).flatMap((host) => {
      const key = serviceKey(namespace, host);
      const mesh = derivedEntries.describes(entry, objectKey, host, read) ? facts(key, read) : undefined;
      if (!mesh) return [];
      const binding = read.get(entryBindings, objectKey);
      const origin = originOf('ServiceEntry', entry);
      const found = l7Service(mesh, { key, ports: l7Ports(ports), binding, origin });
      if (isPassthrough(entry)) return [[key, { ...found, isPassthrough: true }] as const];
      if (isDynamic(entry)) return [[key, dynamicService(found, entry)] as const];
      return [[key, found] as const];
    });
  });
  const all = graph.join<L7Service>('all L7 services', [ofServices, ofEntries]);
  const byHostname = graph.index('L7 services by hostname', all, ({ hostname }) => [hostname]);
  const wildcards = graph.index('L7 services with wildcards', all, ({ hostname }) =>
    hostname.startsWith('*') ? ['all'] : [],
  );
  return {
    all,
    byHostname,
    covering(hostname, read) {
      const found = [...read.lookup(wildcards, 'all').values()].filter((one) => coversHost(one.hostname, hostname));
      const longest = Math.max(...found.map((one) => one.hostname.length));
      return found.filter((one) => one.hostname.length === longest);
    },
    find(hostname, namespace, read) {
      const own = read.get(all, serviceKey(namespace, hostname));
      if (own) return own;
      const seen = [...read.lookup(byHostname, hostname).values()].filter(
        ({ exportTo }) => !exportTo || exportTo.includes(namespace),
      );
      return seen.find(({ canonical }) => canonical) ?? seen[0];
    },
  };
}

interface L7Facts {
  readonly key: ServiceKey;
  readonly ports: readonly L7Port[];
  readonly binding: WaypointBinding | undefined;
  readonly origin: Origin;
}

function l7Service(mesh: MeshService, { key, ports, binding, origin }: L7Facts): L7Service {
  const { namespace, hostname, canonical, visibility, exportTo } = mesh;
  const { loadBalancing, subjectAltNames, ingressUseWaypoint } = mesh;
  return {
    key,
    namespace,
    hostname,
    ports,
    waypoints: binding?.gateways ?? [],
    exportTo: exportTo ?? (visibility === 'namespace' ? [namespace] : undefined),
    canonical,
    isPassthrough: false,
    isDynamic: false,
    loadBalancing,
    subjectAltNames,
    ingressUseWaypoint,
    origin,
  };
}

function dynamicService(service: L7Service, { spec }: ServiceEntry): L7Service {
  const ports = service.ports.flatMap((port) => {
    if (port.protocol === 'tcp') return [];
    const targetPort = spec.ports?.find(({ number }) => number === port.port)?.targetPort;
    return [targetPort ? { ...port, targetPort } : port];
  });
  return { ...service, ports, isDynamic: isDynamicHost(service.hostname) };
}

function l7Ports(ports: readonly DeclaredPort[]): L7Port[] {
  return ports.flatMap((declared) => {
    const protocol = portProtocol(declared);
    return protocol === 'udp' ? [] : [{ port: declared.port, name: declared.name ?? '', protocol }];
  });
}

export function originOf(kind: string, { metadata }: KubeObject, path?: string): Origin {
  const { namespace = '', name = '', generation = 0 } = metadata;
  return { kind, namespace, name, generation, ...(path === undefined ? {} : { path }) };
}
