/** Endpoints of a Service that a backend is narrowed to: those of a subset, and whose turn is when (ambient-l7, 2.2). */
import type { Pod } from '../../api/core.ts';
import type { ServiceEntry, WorkloadEntry } from '../../api/istio.ts';
import type { BackendMember, FailoverStep } from '../../api/l7/index.ts';
import { matchesLabels } from '../../api/selector.ts';
import type { ServiceKey, WorkloadUid } from '../../api/names.ts';
import type { MeshAddress, RoutingScope } from '../../api/workload.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { addressName, workloadEntryLabels } from '../entry-workload.ts';
import { usableEndpoints } from '../service-entry.ts';
import { objectKeyOfUid, type WorkloadSource } from './workload-uid.ts';

type Labels = Readonly<Record<string, string>>;

export interface BackendMembers {
  /** Those with these labels; undefined: all. */
  readonly of: (service: ServiceKey, labels: Labels | undefined, read: Reader) => readonly BackendMember[] | undefined;
  /** `failoverPriority`, entries of which are `label` or `label=value`, for the pods of a Gateway (`<namespace>/<name>`). */
  readonly steps: (entries: readonly string[], of: StepsOf, read: Reader) => readonly FailoverStep[];
}

export interface StepsOf {
  readonly service: ServiceKey;
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
  /** Labels that all pods of the Gateway have alike: which pod will ask is not known. */
  const clientLabels = (gateway: string, read: Reader): Labels => {
    const [first = {}, ...others] = [...read.lookup(proxies, gateway).values()].map(
      ({ metadata }) => metadata.labels ?? {},
    );
    return Object.fromEntries(
      Object.entries(first).filter(([name, value]) => others.every((labels) => labels[name] === value)),
    );
  };
  const having = (service: ServiceKey, labels: Labels, read: Reader): WorkloadUid[] =>
    [...read.lookup(byService, service).values()]
      .flatMap((address) => (address.kind === 'workload' ? address.workload.uid : []))
      .filter((uid) => matchesLabels(ownLabels(uid, inputs, read), labels))
      .toSorted();

  return {
    of: (service, labels, read) =>
      labels && Object.keys(labels).length > 0
        ? having(service, labels, read).map((workload) => ({ workload }))
        : undefined,
    steps: (entries, { service, gateway }, read) =>
      entries.map((entry): FailoverStep => {
        const [label = '', value] = entry.split('=', 2);
        const scope = scopes[label];
        if (scope) return { kind: 'place', scope, ...(value === undefined ? {} : { value }) };
        const wanted = value ?? clientLabels(gateway, read)[label];
        return { kind: 'label', members: wanted === undefined ? [] : having(service, { [label]: wanted }, read) };
      }),
  };
}

/** Where a workload is, as labels have it. */
const scopes: Readonly<Record<string, RoutingScope>> = {
  'topology.kubernetes.io/region': 'region',
  'topology.kubernetes.io/zone': 'zone',
  'topology.istio.io/subzone': 'subzone',
  'topology.istio.io/network': 'network',
  'topology.istio.io/cluster': 'cluster',
  'kubernetes.io/hostname': 'node',
};

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
