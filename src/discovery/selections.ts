/** Services and ServiceEntries that choose their endpoints by labels: what a workload belongs to, and with which ports. */
import type { Service } from '../api/core.ts';
import type { ServiceEntry } from '../api/istio.ts';
import { serviceKey, type ServiceKey } from '../api/names.ts';
import { matchesLabels } from '../api/selector.ts';
import type { ServicePort } from '../api/workload.ts';
import type { Collection, Graph, Reader } from '../collection/index.ts';
import type { Selectable } from './derive-policies.ts';
import { isMeshService, serviceHostname } from './mesh-service.ts';
import { clusterOfKey, labelIndexKeys, selectorIndexKey } from './object-key.ts';
import { portsOfEntry, portsOfService, type NamedPort } from './ports.ts';
import { hostsOf, isDynamic, isPassthrough } from './service-entry.ts';

/** As little of a Service as its endpoints need: what else changes of it recomputes none of them. */
export interface ServiceFacts {
  readonly key: ServiceKey;
  readonly name: string;
  readonly namespace: string;
  /** Empty: it selects nothing. */
  readonly selector: Readonly<Record<string, string>>;
  readonly ports: readonly NamedPort[];
}

export interface Selection {
  readonly namespace: string;
  readonly selector: Readonly<Record<string, string>>;
  /** One for each host. */
  readonly keys: readonly ServiceKey[];
  readonly ports: readonly NamedPort[];
}

export type PortMap = Map<ServiceKey, readonly ServicePort[]>;

export interface Selections {
  /** By the key of the Service. */
  readonly services: Collection<ServiceFacts>;
  /** Every service that selects the workload, with its ports there. */
  readonly of: (
    workload: Selectable,
    portsAt: (ports: readonly NamedPort[]) => readonly ServicePort[],
    read: Reader,
  ) => PortMap;
}

export function deriveSelections(
  graph: Graph,
  inputs: {
    readonly services: Collection<Service>;
    readonly entries: Collection<ServiceEntry>;
    readonly clusterDomain: string;
  },
): Selections {
  const services = graph.map('facts of services', inputs.services, (service): ServiceFacts | undefined => {
    if (!isMeshService(service)) return undefined;
    const { name = '', namespace = '' } = service.metadata;
    return {
      key: serviceKey(namespace, serviceHostname(service, inputs.clusterDomain)),
      name,
      namespace,
      selector: service.spec?.selector ?? {},
      ports: portsOfService(service),
    };
  });
  const byServices = graph.flatMap('selections of services', services, ({ key, namespace, selector, ports }, name) =>
    isEmpty(selector) ? [] : [[name, { namespace, selector, keys: [key], ports } satisfies Selection] as const],
  );
  // A Service and a ServiceEntry may have one name.
  const byEntries = graph.flatMap('selections of entries', inputs.entries, (entry, name) => {
    const { namespace = '' } = entry.metadata;
    const { workloadSelector } = entry.spec;
    if (!workloadSelector || isPassthrough(entry) || isDynamic(entry)) return [];
    const keys = hostsOf(entry).map((host) => serviceKey(namespace, host));
    const selection: Selection = {
      namespace,
      selector: workloadSelector.labels ?? {},
      keys,
      ports: portsOfEntry(entry),
    };
    return [[`${name} entry`, selection] as const];
  });
  const all = graph.join('selections', [byServices, byEntries]);
  const bySelector = graph.index('selections by selector', all, ({ namespace, selector }, key) =>
    isEmpty(selector)
      ? [everythingIn(clusterOfKey(key), namespace)]
      : selectorIndexKey(clusterOfKey(key), namespace, selector),
  );
  return {
    services,
    of({ cluster, namespace, labels }, portsAt, read) {
      const found: PortMap = new Map();
      for (const indexKey of [...labelIndexKeys(cluster, namespace, labels), everythingIn(cluster, namespace)]) {
        for (const { selector, keys, ports } of read.lookup(bySelector, indexKey).values()) {
          if (!matchesLabels(labels, selector)) continue;
          const served = portsAt(ports);
          for (const key of keys) found.set(key, joinPorts(found.get(key), served));
        }
      }
      return found;
    },
  };
}

/** A Service and an entry may describe one host: what the first says of a port holds. */
export function joinPorts(
  before: readonly ServicePort[] | undefined,
  more: readonly ServicePort[],
): readonly ServicePort[] {
  if (!before) return more;
  const known = new Set(before.map(({ servicePort }) => servicePort));
  return [...before, ...more.filter(({ servicePort }) => !known.has(servicePort))];
}

/** Equal contents must come out equal, in whatever order services came. */
export function sortedPorts(ports: PortMap): PortMap {
  return new Map([...ports].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isEmpty(selector: Readonly<Record<string, string>>): boolean {
  return Object.keys(selector).length === 0;
}

function everythingIn(cluster: string, namespace: string): string {
  return `${cluster}/${namespace}/*`;
}
