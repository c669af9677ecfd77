/** Workloads as one part of the graph: pods, WorkloadEntries, endpoints that entries and slices name. */
import type { Node, Pod } from '../api/core.ts';
import { serviceNameLabel, type EndpointSlice } from '../api/discovery.ts';
import { serviceKey, type NetworkId, type PolicyKey } from '../api/names.ts';
import type { Locality, MeshAddress, MeshWorkload } from '../api/workload.ts';
import type { Collection, Graph, Reader } from '../collection/index.ts';
import type { Bindings } from './derive-bindings.ts';
import type { Enforcement } from './derive-enforcement.ts';
import type { DerivedEntries, EntryVerdict } from './derive-entries.ts';
import type { DerivedGateways } from './derive-gateways.ts';
import type { DerivedPolicies, Selectable } from './derive-policies.ts';
import { endpointWorkloads, isPodEndpoint } from './endpoint-workload.ts';
import {
  addressName,
  inlineEndpointWorkload,
  workloadEntryLabels,
  workloadEntryNetwork,
  workloadEntryProblem,
  workloadEntryWorkload,
  type EndpointSpec,
} from './entry-workload.ts';
import type { MeshScope } from './mesh-scope.ts';
import type { NamespaceProfiles } from './namespace-profile.ts';
import { clusterOfKey, objectKey } from './object-key.ts';
import { isLivePod, podWorkload } from './pod-workload.ts';
import { entryServicePorts, podServicePorts, portsOfEntry, sliceServicePorts } from './ports.ts';
import { joinPorts, sortedPorts, type PortMap, type Selections, type ServiceFacts } from './selections.ts';
import { hostsOf, isPassthrough, isWildcard, usableEndpoints } from './service-entry.ts';
import type { WaypointBinding } from './waypoint-binding.ts';

export interface WorkloadInputs {
  readonly scope: MeshScope;
  readonly nodes: Collection<Node>;
  readonly trustDomain: string;
  readonly networkOf: (cluster: string, read: Reader) => NetworkId;
  readonly profiles: NamespaceProfiles;
  readonly policies: DerivedPolicies;
  readonly enforcement: Enforcement;
  readonly gateways: DerivedGateways;
  readonly bindings: Bindings;
  readonly workloadEntryBindings: Collection<WaypointBinding>;
  readonly selections: Selections;
  readonly entries: DerivedEntries;
}

export interface DerivedWorkloads {
  /** By uid. Pods, and what slices name. */
  readonly local: readonly Collection<MeshAddress>[];
  /** By uid. What WorkloadEntries and ServiceEntries name, of any network. */
  readonly anywhere: Collection<MeshAddress>;
  readonly workloadEntryVerdicts: Collection<EntryVerdict>;
}

export function deriveWorkloads(graph: Graph, inputs: WorkloadInputs): DerivedWorkloads {
  return {
    local: [derivePods(graph, inputs), deriveSlices(graph, inputs)],
    anywhere: graph.join('workloads of both entries', [
      deriveWorkloadEntries(graph, inputs),
      deriveInline(graph, inputs),
    ]),
    workloadEntryVerdicts: graph.map(
      'verdicts of workload entries',
      inputs.scope.workloadEntries,
      (entry, key, read) => {
        const cluster = clusterOfKey(key);
        const network = workloadEntryNetwork(entry, inputs.networkOf(cluster, read));
        const problem = workloadEntryProblem(entry, inputs.gateways.gatewayOf(cluster, network, read));
        return problem === undefined
          ? { status: 'True' as const, reason: 'Accepted', message: 'known to ztunnels' }
          : { status: 'False' as const, reason: 'UnsupportedValue', message: problem };
      },
    ),
  };
}

function derivePods(graph: Graph, inputs: WorkloadInputs): Collection<MeshAddress> {
  const { scope, trustDomain, networkOf, profiles, policies, enforcement, gateways, bindings, selections } = inputs;
  // Small facts of chatty objects, so that a heartbeat of a node recomputes no pod.
  const localities = graph.map('localities', inputs.nodes, localityOf);
  const slicesByPod = graph.index(
    'slices without selector by pod',
    selectorlessSlices(graph, scope.endpointSlices, selections.services),
    (slice, key) =>
      (slice.endpoints ?? [])
        .filter(isPodEndpoint)
        .map(({ targetRef }) => `${clusterOfKey(key)}/${slice.metadata.namespace}/${targetRef?.name}`),
  );
  const servicesOf = (pod: Pod, key: string, self: Selectable, read: Reader): PortMap => {
    const found = selections.of(self, (ports) => podServicePorts(ports, pod), read);
    for (const slice of read.lookup(slicesByPod, key).values()) {
      const service = read.get(selections.services, serviceOfSlice(slice, key));
      if (service) found.set(service.key, joinPorts(found.get(service.key), sliceServicePorts(service.ports, slice)));
    }
    return sortedPorts(found);
  };
  return graph.flatMap('workloads of pods', scope.pods, (pod, key, read) => {
    if (!isLivePod(pod)) return [];
    const cluster = clusterOfKey(key);
    const network = networkOf(cluster, read);
    const self = { cluster, namespace: pod.metadata.namespace ?? '', labels: pod.metadata.labels ?? {} };
    const workload = podWorkload(pod, {
      cluster,
      network,
      trustDomain,
      locality: read.get(localities, objectKey(cluster, '', pod.spec.nodeName ?? '')) ?? nowhere,
      services: servicesOf(pod, key, self, read),
      authorizationPolicies: withRequired(policies.policiesOf(self, read), read.get(enforcement.policies, key)),
      networkGateway: gateways.gatewayOf(cluster, network, read),
      waypoint: bindings.ofPod(pod, cluster, read)?.waypoint,
      applicationTunnel: gateways.tunnelOf(self, read),
      outboundMode: profiles.outboundModeOf(self, read),
    });
    return workload ? [named(workload)] : [];
  });
}

function deriveWorkloadEntries(graph: Graph, inputs: WorkloadInputs): Collection<MeshAddress> {
  const { scope, trustDomain, networkOf, profiles, policies, gateways, workloadEntryBindings, selections } = inputs;
  return graph.flatMap('workloads of workload entries', scope.workloadEntries, (entry, key, read) => {
    const cluster = clusterOfKey(key);
    const network = workloadEntryNetwork(entry, networkOf(cluster, read));
    const self = { cluster, namespace: entry.metadata.namespace ?? '', labels: workloadEntryLabels(entry) };
    const workload = workloadEntryWorkload(entry, {
      cluster,
      network,
      trustDomain,
      services: sortedPorts(selections.of(self, (ports) => entryServicePorts(ports, entry.spec.ports), read)),
      authorizationPolicies: policies.policiesOf(self, read),
      networkGateway: gateways.gatewayOf(cluster, network, read),
      waypoint: read.get(workloadEntryBindings, key)?.waypoint,
      outboundMode: profiles.outboundModeOf(self, read),
    });
    return workload ? [named(workload)] : [];
  });
}

interface Listed {
  readonly endpoint: EndpointSpec;
  readonly hosts: readonly string[];
}

/** What entries list themselves, and hosts that stand for whatever DNS says of them. */
function deriveInline(graph: Graph, inputs: WorkloadInputs): Collection<MeshAddress> {
  const { scope, trustDomain, networkOf, profiles, policies, gateways, bindings, entries } = inputs;
  return graph.flatMap('workloads of entries', scope.serviceEntries, (entry, key, read) => {
    const { spec, metadata } = entry;
    if (isPassthrough(entry) || spec.workloadSelector) return [];
    const cluster = clusterOfKey(key);
    const namespace = metadata.namespace ?? '';
    const ports = portsOfEntry(entry);
    const resolvable = spec.resolution === 'DNS' || spec.resolution === 'DNS_ROUND_ROBIN';
    const listed: Listed[] = usableEndpoints(entry).map((endpoint) => ({ endpoint, hosts: hostsOf(entry) }));
    const implied: Listed[] =
      resolvable && (spec.endpoints ?? []).length === 0
        ? hostsOf(entry)
            .filter((host) => !isWildcard(host) && entries.describes(entry, key, host, read))
            .map((host) => ({ endpoint: { address: host }, hosts: [host] }))
        : [];
    const seen = new Map<string, number>();
    return [...listed, ...implied].map(({ endpoint, hosts }) => {
      const address = addressName(endpoint);
      const nth = seen.get(address) ?? 0;
      seen.set(address, nth + 1);
      const network = (endpoint.network || networkOf(cluster, read)) as NetworkId;
      const served = entryServicePorts(ports, endpoint.ports);
      const self = { cluster, namespace, labels: endpoint.labels ?? {} };
      const workload = inlineEndpointWorkload(entry, endpoint, {
        nth,
        cluster,
        network,
        trustDomain,
        services: sortedPorts(new Map(hosts.map((host) => [serviceKey(namespace, host), served]))),
        authorizationPolicies: policies.policiesOf(self, read),
        networkGateway: gateways.gatewayOf(cluster, network, read),
        waypoint: bindings.ofEndpoints(entry, cluster, read)?.waypoint,
        outboundMode: profiles.outboundModeOf(self, read),
      });
      return named(workload);
    });
  });
}

function deriveSlices(graph: Graph, inputs: WorkloadInputs): Collection<MeshAddress> {
  const { scope, trustDomain, networkOf, selections } = inputs;
  return graph.flatMap('workloads of slices', scope.endpointSlices, (slice, key, read) => {
    const service = read.get(selections.services, serviceOfSlice(slice, key));
    if (!service) return [];
    const cluster = clusterOfKey(key);
    return endpointWorkloads(slice, {
      cluster,
      network: networkOf(cluster, read),
      trustDomain,
      serviceName: service.name,
      serviceKey: service.key,
      ports: service.ports,
    }).map(named);
  });
}

function named(workload: MeshWorkload): readonly [string, MeshAddress] {
  return [workload.uid, { kind: 'workload', workload }];
}

function withRequired(policies: PolicyKey[], required: PolicyKey | undefined): PolicyKey[] {
  return required === undefined ? policies : [...policies, required];
}

const nowhere: Locality = { region: '', zone: '', subzone: '' };

function localityOf(node: Node): Locality {
  const labels = node.metadata.labels ?? {};
  return {
    region: labels['topology.kubernetes.io/region'] ?? '',
    zone: labels['topology.kubernetes.io/zone'] ?? '',
    subzone: labels['topology.istio.io/subzone'] ?? '',
  };
}

function serviceOfSlice(slice: EndpointSlice, key: string): string {
  return `${clusterOfKey(key)}/${slice.metadata.namespace}/${slice.metadata.labels?.[serviceNameLabel] ?? ''}`;
}

/** Where a Service has a selector, the pods themselves say whether they belong; its slices would only say it twice. */
function selectorlessSlices(
  graph: Graph,
  slices: Collection<EndpointSlice>,
  services: Collection<ServiceFacts>,
): Collection<EndpointSlice> {
  return graph.map(
    'slices without selector',
    slices,
    (slice, key, read) => {
      const service = read.get(services, serviceOfSlice(slice, key));
      return service && slice.addressType !== 'FQDN' && Object.keys(service.selector).length === 0 ? slice : undefined;
    },
    { equals: Object.is },
  );
}
