/** Which objects this control plane reads: those of namespaces that `discoverySelectors` select, and of its own revision. */
import type { ProxyExtension, RateLimitPolicy } from '../api/ambit.ts';
import type { ConfigMap, Namespace, Pod, Secret, Service } from '../api/core.ts';
import type { EndpointSlice } from '../api/discovery.ts';
import type {
  BackendTLSPolicy,
  Gateway,
  GatewayClass,
  GRPCRoute,
  HTTPRoute,
  ReferenceGrant,
  TCPRoute,
  TLSRoute,
} from '../api/gateway.ts';
import type {
  AuthorizationPolicy,
  DestinationRule,
  PeerAuthentication,
  RequestAuthentication,
  ServiceEntry,
  Sidecar,
  Telemetry,
  VirtualService,
  WorkloadEntry,
} from '../api/istio.ts';
import type { KubeObject } from '../api/meta.ts';
import { matchesSelector } from '../api/selector.ts';
import type { Collection, Graph } from '../collection/index.ts';
import type { DiscoverySources } from './discovery.ts';
import { clusterOfKey, objectKey } from './object-key.ts';
import type { UnservedKind } from './unserved-kinds.ts';

/** What unlabelled control planes are called. */
export const defaultRevision = 'default';
const revisionLabel = 'istio.io/rev';

export interface MeshScope {
  readonly namespaces: Collection<Namespace>;
  readonly pods: Collection<Pod>;
  readonly services: Collection<Service>;
  readonly endpointSlices: Collection<EndpointSlice>;
  readonly authorizationPolicies: Collection<AuthorizationPolicy>;
  readonly peerAuthentications: Collection<PeerAuthentication>;
  readonly serviceEntries: Collection<ServiceEntry>;
  readonly workloadEntries: Collection<WorkloadEntry>;
  readonly sidecars: Collection<Sidecar>;
  readonly gateways: Collection<Gateway>;
  readonly virtualServices: Collection<VirtualService>;
  readonly destinationRules: Collection<DestinationRule>;
  readonly httpRoutes: Collection<HTTPRoute>;
  readonly grpcRoutes: Collection<GRPCRoute>;
  readonly tcpRoutes: Collection<TCPRoute>;
  readonly tlsRoutes: Collection<TLSRoute>;
  readonly referenceGrants: Collection<ReferenceGrant>;
  readonly backendTlsPolicies: Collection<BackendTLSPolicy>;
  readonly requestAuthentications: Collection<RequestAuthentication>;
  readonly telemetries: Collection<Telemetry>;
  readonly rateLimits: Collection<RateLimitPolicy>;
  readonly proxyExtensions: Collection<ProxyExtension>;
  readonly secrets: Collection<Secret>;
  readonly configMaps: Collection<ConfigMap>;
  /** All of them: a class belongs to its controller. */
  readonly gatewayClasses: Collection<GatewayClass>;
  readonly unserved: Readonly<Record<UnservedKind, Collection<KubeObject>>>;
}

export function meshScope(
  graph: Graph,
  sources: DiscoverySources,
  options: { readonly rootNamespace: string; readonly revision: string; readonly hasIstioClasses?: boolean },
): MeshScope {
  const { rootNamespace, revision, hasIstioClasses = true } = options;
  const namespaces = graph.map(
    'namespaces of the mesh',
    sources.namespaces,
    (namespace, key, read) => {
      const selectors = read.get(sources.meshConfigs, clusterOfKey(key))?.discoverySelectors ?? [];
      const { name, labels } = namespace.metadata;
      const selected = selectors.length === 0 || name === rootNamespace;
      return selected || selectors.some((selector) => matchesSelector(labels, selector)) ? namespace : undefined;
    },
    { equals: Object.is },
  );
  // The exceptions are few where there are any: what is in none of them reads a key that never changes.
  const foreign = graph.map('foreign namespaces', sources.namespaces, (_, key, read) =>
    read.get(namespaces, key) === undefined ? true : undefined,
  );
  const within = <T extends KubeObject>(name: string, source: Collection<T>): Collection<T> =>
    graph.map(
      name,
      source,
      (object, key, read) =>
        read.get(foreign, objectKey(clusterOfKey(key), '', object.metadata.namespace ?? '')) ? undefined : object,
      { equals: Object.is },
    );
  const ours = <T extends KubeObject>(name: string, source: Collection<T>): Collection<T> =>
    graph.map(
      name,
      source,
      (object) => ((object.metadata.labels?.[revisionLabel] ?? revision) === revision ? object : undefined),
      { equals: Object.is },
    );
  const configuration = <T extends KubeObject>(name: string, source: Collection<T>): Collection<T> =>
    ours(`${name} of the revision`, within(`${name} of the mesh`, source));
  // Beside an istiod they may be its own: nobody but it knows.
  const nothing = graph.source<never>('what another control plane serves');
  const unserved = <T extends KubeObject>(name: string, source: Collection<T>): Collection<T> =>
    hasIstioClasses ? configuration(name, source) : nothing;
  return {
    namespaces,
    pods: within('pods of the mesh', sources.pods),
    services: within('services of the mesh namespaces', sources.services),
    endpointSlices: within('slices of the mesh', sources.endpointSlices),
    authorizationPolicies: configuration('policies', sources.authorizationPolicies),
    peerAuthentications: configuration('peer authentications', sources.peerAuthentications),
    serviceEntries: configuration('service entries', sources.serviceEntries),
    workloadEntries: configuration('workload entries', sources.workloadEntries),
    sidecars: configuration('sidecars', sources.sidecars),
    gateways: configuration('gateways', sources.gateways),
    virtualServices: configuration('virtual services', sources.virtualServices),
    destinationRules: configuration('destination rules', sources.destinationRules),
    httpRoutes: configuration('HTTP routes', sources.httpRoutes),
    grpcRoutes: configuration('gRPC routes', sources.grpcRoutes),
    tcpRoutes: configuration('TCP routes', sources.tcpRoutes),
    tlsRoutes: configuration('TLS routes', sources.tlsRoutes),
    referenceGrants: within('reference grants of the mesh', sources.referenceGrants),
    backendTlsPolicies: configuration('backend TLS policies', sources.backendTlsPolicies),
    requestAuthentications: configuration('request authentications', sources.requestAuthentications),
    telemetries: configuration('telemetries', sources.telemetries),
    rateLimits: configuration('rate limits', sources.rateLimits),
    proxyExtensions: configuration('proxy extensions', sources.proxyExtensions),
    secrets: within('secrets of the mesh', sources.secrets),
    configMaps: within('config maps of the mesh', sources.configMaps),
    gatewayClasses: sources.gatewayClasses,
    unserved: {
      EnvoyFilter: unserved('Envoy filters', sources.envoyFilters),
      WasmPlugin: unserved('Wasm plugins', sources.wasmPlugins),
      TrafficExtension: unserved('traffic extensions', sources.trafficExtensions),
      IstioGateway: unserved('gateways of Istio', sources.istioGateways),
      WorkloadGroup: unserved('workload groups', sources.workloadGroups),
    },
  };
}
