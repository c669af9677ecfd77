/** The derivations of discovery as one graph: Kubernetes objects in, WDS resources and verdicts out. Pure of I/O. */
import type { Namespace, Node, Pod, Service } from '../api/core.ts';
import { serviceNameLabel, type EndpointSlice } from '../api/discovery.ts';
import type { AuthorizationPolicy, PeerAuthentication } from '../api/istio.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import {
  defaultClusterDomain,
  defaultTrustDomain,
  serviceKey,
  systemNamespace,
  type NetworkId,
  type ServiceKey,
} from '../api/names.ts';
import { matchesLabels } from '../api/selector.ts';
import type { Locality, MeshAddress, ServicePort } from '../api/workload.ts';
import type { Collection, Graph, Reader, Source } from '../collection/index.ts';
import type { Authorization } from '../policy/model.ts';
import { defaultRevision, meshScope, type MeshScope } from './mesh-scope.ts';
import { derivePolicies, type JudgedPolicy } from './derive-policies.ts';
import { endpointWorkloads, isPodEndpoint } from './endpoint-workload.ts';
import { isMeshService, meshService, serviceHostname } from './mesh-service.ts';
import { clusterOfKey, labelIndexKeys, objectKey, selectorIndexKey } from './object-key.ts';
import { isLivePod, podWorkload } from './pod-workload.ts';
import { podServicePorts, sliceServicePorts } from './ports.ts';

export interface DiscoveryOptions {
  readonly trustDomain?: string;
  readonly clusterDomain?: string;
  readonly rootNamespace?: string;
  /** Of this control plane; configuration with another `istio.io/rev` is not for it. Default `default`. */
  readonly revision?: string;
}

/** Written by the owner of the informers, under keys of `keyOfObject`. */
export interface DiscoverySources {
  readonly pods: Source<Pod>;
  readonly services: Source<Service>;
  readonly endpointSlices: Source<EndpointSlice>;
  readonly nodes: Source<Node>;
  readonly namespaces: Source<Namespace>;
  readonly authorizationPolicies: Source<AuthorizationPolicy>;
  readonly peerAuthentications: Source<PeerAuthentication>;
  /** By cluster; absent: the defaults. */
  readonly meshConfigs: Source<MeshConfig>;
}

export interface Discovery {
  readonly sources: DiscoverySources;
  /** Those that belong to the mesh. */
  readonly namespaces: Collection<Namespace>;
  /** Those that belong to the mesh, and to this revision. */
  readonly authorizationPolicies: Collection<AuthorizationPolicy>;
  readonly peerAuthentications: Collection<PeerAuthentication>;
  /** By the name on the wire: uid, or `<namespace>/<hostname>`. */
  readonly addresses: Collection<MeshAddress>;
  /** By `<namespace>/<name>`. */
  readonly authorizations: Collection<Authorization>;
  /** Of policies that ztunnels look at, by the key of the object, with the generation judged. */
  readonly verdicts: Collection<JudgedPolicy>;
}

export function createDiscovery(graph: Graph, options: DiscoveryOptions = {}): Discovery {
  const {
    trustDomain = defaultTrustDomain,
    clusterDomain = defaultClusterDomain,
    rootNamespace = systemNamespace,
    revision = defaultRevision,
  } = options;
  const sources: DiscoverySources = {
    pods: graph.source('pods'),
    services: graph.source('services'),
    endpointSlices: graph.source('endpoint slices'),
    nodes: graph.source('nodes'),
    namespaces: graph.source('namespaces'),
    authorizationPolicies: graph.source('authorization policies'),
    peerAuthentications: graph.source('peer authentications'),
    meshConfigs: graph.source('mesh configurations'),
  };
  const scope = meshScope(graph, sources, { rootNamespace, revision });
  const { pods, services, endpointSlices } = scope;

  // Small facts of chatty objects, so that a heartbeat of a node recomputes no pod.
  const localities = graph.map('localities', sources.nodes, localityOf);
  const networks = graph.map('networks', sources.namespaces, ({ metadata }) =>
    metadata.name === rootNamespace
      ? (metadata.labels?.['topology.istio.io/network'] as NetworkId | undefined)
      : undefined,
  );
  const networkOf = (cluster: string, read: Reader): NetworkId =>
    read.get(networks, `${cluster}//${rootNamespace}`) ?? ('' as NetworkId);

  const { authorizations, verdicts, policiesOf } = derivePolicies(graph, scope, rootNamespace);

  const meshServices = graph.flatMap('services of the mesh', services, (service, key, read) => {
    const cluster = clusterOfKey(key);
    const namespace = read.get(sources.namespaces, `${cluster}//${service.metadata.namespace}`);
    const derived = meshService(service, { clusterDomain, network: networkOf(cluster, read), namespace });
    if (!derived) return [];
    const address: MeshAddress = { kind: 'service', service: derived };
    return [[serviceKey(derived.namespace, derived.hostname), address] as const];
  });

  const servicesBySelector = graph.index('services by selector', services, (service, key) =>
    isMeshService(service)
      ? selectorIndexKey(clusterOfKey(key), service.metadata.namespace ?? '', service.spec?.selector ?? {})
      : [],
  );
  const slicesByPod = graph.index('slices without selector by pod', selectorlessSlices(graph, scope), (slice, key) =>
    slice.endpoints
      .filter(isPodEndpoint)
      .map(({ targetRef }) => `${clusterOfKey(key)}/${slice.metadata.namespace}/${targetRef?.name}`),
  );

  const servicesOfPod = (pod: Pod, key: string, read: Reader): Map<ServiceKey, readonly ServicePort[]> => {
    const cluster = clusterOfKey(key);
    const { namespace = '', labels } = pod.metadata;
    const found = new Map<ServiceKey, readonly ServicePort[]>();
    const keyOf = (service: Service): ServiceKey => serviceKey(namespace, serviceHostname(service, clusterDomain));
    for (const indexKey of labelIndexKeys(cluster, namespace, labels)) {
      for (const service of read.lookup(servicesBySelector, indexKey).values()) {
        if (matchesLabels(labels, service.spec?.selector ?? {}))
          found.set(keyOf(service), podServicePorts(service, pod));
      }
    }
    for (const slice of read.lookup(slicesByPod, key).values()) {
      const service = read.get(services, serviceOfSlice(slice, cluster));
      if (service) found.set(keyOf(service), sliceServicePorts(service, slice));
    }
    // Equal contents must come out equal, in whatever order Services came.
    return new Map([...found].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  };

  const podWorkloads = graph.flatMap('workloads of pods', pods, (pod, key, read) => {
    if (!isLivePod(pod)) return [];
    const cluster = clusterOfKey(key);
    const workload = podWorkload(pod, {
      cluster,
      network: networkOf(cluster, read),
      trustDomain,
      locality: read.get(localities, objectKey(cluster, '', pod.spec.nodeName ?? '')) ?? nowhere,
      services: servicesOfPod(pod, key, read),
      authorizationPolicies: policiesOf(
        { cluster, namespace: pod.metadata.namespace ?? '', labels: pod.metadata.labels ?? {} },
        read,
      ),
    });
    return workload ? [[workload.uid, { kind: 'workload', workload } satisfies MeshAddress] as const] : [];
  });

  const otherWorkloads = graph.flatMap('workloads of slices', endpointSlices, (slice, key, read) => {
    const cluster = clusterOfKey(key);
    const service = read.get(services, serviceOfSlice(slice, cluster));
    if (!service || !isMeshService(service)) return [];
    const workloads = endpointWorkloads(slice, {
      cluster,
      network: networkOf(cluster, read),
      trustDomain,
      service,
      serviceKey: serviceKey(slice.metadata.namespace ?? '', serviceHostname(service, clusterDomain)),
    });
    return workloads.map((workload) => [workload.uid, { kind: 'workload', workload } satisfies MeshAddress] as const);
  });

  const addresses = graph.join<MeshAddress>('addresses', [meshServices, podWorkloads, otherWorkloads]);
  const { namespaces, authorizationPolicies, peerAuthentications } = scope;
  return { sources, namespaces, authorizationPolicies, peerAuthentications, addresses, authorizations, verdicts };
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

function serviceOfSlice(slice: EndpointSlice, cluster: string): string {
  return `${cluster}/${slice.metadata.namespace}/${slice.metadata.labels?.[serviceNameLabel] ?? ''}`;
}

/** Where a Service has a selector, the pods themselves say whether they belong; its slices would only say it twice. */
function selectorlessSlices(graph: Graph, { services, endpointSlices }: MeshScope): Collection<EndpointSlice> {
  return graph.map('slices without selector', endpointSlices, (slice, key, read) => {
    const service = read.get(services, serviceOfSlice(slice, clusterOfKey(key)));
    return service && isMeshService(service) && Object.keys(service.spec?.selector ?? {}).length === 0
      ? slice
      : undefined;
  });
}
