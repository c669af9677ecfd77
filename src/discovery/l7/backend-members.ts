/** Endpoints of a Service that a backend is narrowed to: those of a subset, and whose turn is when (ambient-l7, 2.2). */
import type { Pod } from '../../api/core.ts';
import type { ServiceEntry, WorkloadEntry } from '../../api/istio.ts';
import type { BackendMember } from '../../api/l7/index.ts';
import { matchesLabels } from '../../api/selector.ts';
import type { ServiceKey } from '../../api/names.ts';
import type { MeshAddress, MeshWorkload } from '../../api/workload.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { addressName, workloadEntryLabels } from '../entry-workload.ts';
import { usableEndpoints } from '../service-entry.ts';
import { objectKeyOfUid, type WorkloadSource } from './workload-uid.ts';

type Labels = Readonly<Record<string, string>>;

export interface BackendMembers {
  /** Those with these labels, each with its place among `failoverPriority`; undefined: all of them, as they come. */
  readonly of: (selection: MemberSelection, read: Reader) => readonly BackendMember[] | undefined;
}

export interface MemberSelection {
  readonly service: ServiceKey;
  /** Of the subset. */
  readonly labels: Labels | undefined;
  /** `label` or `label=value`, the most important first. */
  readonly failoverPriority: readonly string[];
  /** `<namespace>/<name>` of the Gateway whose pods are the clients. */
  readonly gateway: string;
}

export interface MemberInputs {
  /** Workloads of the mesh, by uid. */
  readonly workloads: Collection<MeshAddress>;
  readonly pods: Collection<Pod>;
  readonly workloadEntries: Collection<WorkloadEntry>;
  readonly serviceEntries: Collection<ServiceEntry>;
}

const gatewayLabel = 'gateway.networking.k8s.io/gateway-name';

export function deriveBackendMembers(graph: Graph, inputs: MemberInputs): BackendMembers {
  const { workloads, pods } = inputs;
  const byService = graph.index('workloads by service', workloads, (address) =>
    address.kind === 'workload' ? address.workload.services.keys() : [],
  );
  const proxies = graph.index('pods of gateways', pods, ({ metadata }) => {
    const name = metadata.labels?.[gatewayLabel];
    return name === undefined ? [] : [`${metadata.namespace}/${name}`];
  });
  const podUid = (key: string): string => key.replace('/', '//Pod/');

  /** Labels that all pods of the Gateway have alike: which pod will ask is not known. */
  const clientLabels = (gateway: string, read: Reader): Labels => {
    const each = [...read.lookup(proxies, gateway)].map(([key, { metadata }]) => {
      const address = read.get(workloads, podUid(key));
      return { ...metadata.labels, ...(address?.kind === 'workload' ? placeLabels(address.workload) : {}) };
    });
    const [first = {}, ...others] = each;
    return Object.fromEntries(
      Object.entries(first).filter(([name, value]) => others.every((labels) => labels[name] === value)),
    );
  };

  return {
    of({ service, labels: wanted, failoverPriority, gateway }, read) {
      const hasLabels = wanted && Object.keys(wanted).length > 0;
      if (!hasLabels && failoverPriority.length === 0) return undefined;
      const client = failoverPriority.length > 0 ? clientLabels(gateway, read) : {};
      const members: BackendMember[] = [];
      for (const address of read.lookup(byService, service).values()) {
        if (address.kind !== 'workload') continue;
        const { workload } = address;
        const own = ownLabels(workload.uid, inputs, read);
        if (hasLabels && !matchesLabels(own, wanted)) continue;
        const priority = priorityOf(failoverPriority, client, { ...own, ...placeLabels(workload) });
        members.push({ workload: workload.uid, ...(failoverPriority.length > 0 ? { priority } : {}) });
      }
      return members.toSorted((a, b) => (a.workload < b.workload ? -1 : 1));
    },
  };
}

/** How many of the first labels are not alike, from the first that differs on: 0 is nearest. */
function priorityOf(order: readonly string[], client: Labels, endpoint: Labels): number {
  const differing = order.findIndex((entry) => {
    const [label = '', value] = entry.split('=', 2);
    const wanted = value ?? client[label];
    return wanted === undefined || endpoint[label] !== wanted;
  });
  return differing < 0 ? 0 : order.length - differing;
}

/** Where a workload is, as labels. */
function placeLabels({ locality, network, clusterId, node }: MeshWorkload): Labels {
  return {
    'topology.kubernetes.io/region': locality.region,
    'topology.kubernetes.io/zone': locality.zone,
    'topology.istio.io/subzone': locality.subzone,
    'topology.istio.io/network': network,
    'topology.istio.io/cluster': clusterId,
    'kubernetes.io/hostname': node,
  };
}

/** Of the object that the workload comes from. */
function ownLabels(uid: string, inputs: MemberInputs, read: Reader): Labels {
  const source: WorkloadSource | undefined = objectKeyOfUid(uid);
  switch (source?.kind) {
    case 'pod':
      return read.get(inputs.pods, source.key)?.metadata.labels ?? {};
    case 'workload-entry': {
      const entry = read.get(inputs.workloadEntries, source.key);
      return entry ? workloadEntryLabels(entry) : {};
    }
    case 'service-entry': {
      const entry = read.get(inputs.serviceEntries, source.key);
      const same = entry ? usableEndpoints(entry).filter((one) => addressName(one) === source.address) : [];
      return same[source.nth]?.labels ?? {};
    }
    case undefined:
      return {};
  }
}
