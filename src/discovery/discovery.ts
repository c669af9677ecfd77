/** The derivations of discovery as one graph: Kubernetes objects in, WDS resources and verdicts out. Pure of I/O. */
import { isDeepStrictEqual } from 'node:util';
import type { ProxyExtension, RateLimitPolicy } from '../api/ambit.ts';
import type { ConfigMap, Namespace, Node, Pod, Secret, Service } from '../api/core.ts';
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
  EnvoyFilter,
  IstioGateway,
  PeerAuthentication,
  RequestAuthentication,
  ServiceEntry,
  Sidecar,
  Telemetry,
  TrafficExtension,
  VirtualService,
  WasmPlugin,
  WorkloadEntry,
  WorkloadGroup,
} from '../api/istio.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { KubeObject } from '../api/meta.ts';
import { defaultClusterDomain, defaultTrustDomain, systemNamespace } from '../api/names.ts';
import type { MeshAddress } from '../api/workload.ts';
import type { Collection, Graph, Source } from '../collection/index.ts';
import type { Authorization } from '../policy/model.ts';
import type { Allocation } from './auto-addresses.ts';
import { deriveBindings } from './derive-bindings.ts';
import { deriveEnforcement } from './derive-enforcement.ts';
import { deriveEntries, type EntryVerdict } from './derive-entries.ts';
import { deriveGateways } from './derive-gateways.ts';
import { derivePolicies, type JudgedPolicy } from './derive-policies.ts';
import { deriveServices } from './derive-services.ts';
import { deriveWorkloads } from './derive-workloads.ts';
import { exported } from './export-to.ts';
import type { GatewayObjects } from './gateway-objects.ts';
import { deriveGatewayReach, type GatewayReach } from './gateway-reach.ts';
import type { KeyNeed, KeySet } from './l7/authentication-keys.ts';
import type { ProxyResourceOf } from './l7/contracts.ts';
import { deriveHttpPolicies, type AttachmentVerdict } from './l7/derive-policies.ts';
import { deriveProxies } from './l7/derive-proxies.ts';
import type { RuleVerdicts } from './l7/rule-verdicts.ts';
import { deriveGatewayApi, type GatewayApiVerdicts } from './l7/gateway-api.ts';
import { deriveL7Services } from './l7/l7-services.ts';
import type { ServedCertificate } from './l7/served-certificate.ts';
import { deriveTelemetry } from './l7/telemetry.ts';
import { defaultRevision, meshScope } from './mesh-scope.ts';
import { deriveNamespaceProfiles } from './namespace-profile.ts';
import { deriveNetworks } from './networks.ts';
import { withRemoteIdentities } from './remote-identities.ts';
import { deriveSelections } from './selections.ts';
import type { UnservedKind } from './unserved-kinds.ts';
import type { WaypointBinding } from './waypoint-binding.ts';

export interface DiscoveryOptions {
  readonly trustDomain?: string;
  readonly clusterDomain?: string;
  readonly rootNamespace?: string;
  /** Of this control plane; configuration with another `istio.io/rev` is not for it. Default `default`. */
  readonly revision?: string;
  /** Whether Gateways of Istio's classes, and statuses under Istio's names, are ours too; not beside an istiod. Default true. */
  readonly hasIstioClasses?: boolean;
  /** Wall clock, for certificates that end; default: the machine's. */
  readonly nowMs?: () => number;
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
  readonly serviceEntries: Source<ServiceEntry>;
  readonly workloadEntries: Source<WorkloadEntry>;
  readonly sidecars: Source<Sidecar>;
  readonly gateways: Source<Gateway>;
  readonly gatewayClasses: Source<GatewayClass>;
  readonly virtualServices: Source<VirtualService>;
  readonly destinationRules: Source<DestinationRule>;
  readonly httpRoutes: Source<HTTPRoute>;
  readonly grpcRoutes: Source<GRPCRoute>;
  readonly tcpRoutes: Source<TCPRoute>;
  readonly tlsRoutes: Source<TLSRoute>;
  readonly referenceGrants: Source<ReferenceGrant>;
  readonly backendTlsPolicies: Source<BackendTLSPolicy>;
  readonly requestAuthentications: Source<RequestAuthentication>;
  readonly telemetries: Source<Telemetry>;
  readonly envoyFilters: Source<EnvoyFilter>;
  readonly wasmPlugins: Source<WasmPlugin>;
  readonly trafficExtensions: Source<TrafficExtension>;
  readonly istioGateways: Source<IstioGateway>;
  readonly workloadGroups: Source<WorkloadGroup>;
  readonly rateLimits: Source<RateLimitPolicy>;
  readonly proxyExtensions: Source<ProxyExtension>;
  /** Only what TLS needs of them: certificates, keys, revocations. */
  readonly secrets: Source<Secret>;
  readonly configMaps: Source<ConfigMap>;
  /** By cluster; absent: the defaults. */
  readonly meshConfigs: Source<MeshConfig>;
  /** What was fetched of `neededKeys`, under their keys. */
  readonly keySets: Source<KeySet>;
  /** By the key of a Secret: a `changesAtMs` of `servedCertificates` that has come. */
  readonly certificatesDue: Source<number>;
}

export interface Discovery {
  readonly sources: DiscoverySources;
  /** Those that belong to the mesh. */
  readonly namespaces: Collection<Namespace>;
  readonly services: Collection<Service>;
  /** Those that belong to the mesh, and to this revision. */
  readonly authorizationPolicies: Collection<AuthorizationPolicy>;
  readonly peerAuthentications: Collection<PeerAuthentication>;
  readonly requestAuthentications: Collection<RequestAuthentication>;
  readonly rateLimits: Collection<RateLimitPolicy>;
  readonly proxyExtensions: Collection<ProxyExtension>;
  readonly telemetries: Collection<Telemetry>;
  readonly serviceEntries: Collection<ServiceEntry>;
  readonly workloadEntries: Collection<WorkloadEntry>;
  readonly virtualServices: Collection<VirtualService>;
  readonly destinationRules: Collection<DestinationRule>;
  readonly gateways: Collection<Gateway>;
  /** Kinds that nothing acts on; none beside an istiod, which may. */
  readonly unserved: Readonly<Record<UnservedKind, Collection<KubeObject>>>;
  /** What is deployed for Gateways of our controllers, by the key of the Gateway. */
  readonly gatewayObjects: Collection<GatewayObjects>;
  /** Where deployed Gateways are reached, by the key of the Gateway. */
  readonly gatewayReach: Collection<GatewayReach>;
  /** What L7 proxies are told, by `<gateway>|<kind>/<name>`. */
  readonly proxyResources: Collection<ProxyResourceOf>;
  /** Keys of issuers of tokens that somebody has to fetch. */
  readonly neededKeys: Collection<KeyNeed>;
  /** Certificates that gateways at the edge serve with, by the key of the Secret. */
  readonly servedCertificates: Collection<ServedCertificate>;
  /** By the name on the wire: uid, or `<namespace>/<hostname>`. */
  readonly addresses: Collection<MeshAddress>;
  /** By `<namespace>/<name>`. */
  readonly authorizations: Collection<Authorization>;
  /** Of policies that ztunnels look at, by the key of the object, with the generation judged. */
  readonly verdicts: Collection<JudgedPolicy>;
  /** What the statuses of other objects say, by the key of the object. */
  readonly statuses: {
    readonly serviceBindings: Collection<WaypointBinding>;
    readonly entryBindings: Collection<WaypointBinding>;
    readonly workloadEntryBindings: Collection<WaypointBinding>;
    readonly entries: Collection<EntryVerdict>;
    readonly workloadEntries: Collection<EntryVerdict>;
    readonly allocations: Collection<Allocation>;
    readonly gatewayApi: GatewayApiVerdicts;
    /** How policies with targets are attached to L7 proxies. */
    readonly authorizationAttachments: Collection<AttachmentVerdict>;
    readonly authenticationAttachments: Collection<AttachmentVerdict>;
    readonly telemetryAttachments: Collection<AttachmentVerdict>;
    readonly rateLimitAttachments: Collection<AttachmentVerdict>;
    readonly extensionAttachments: Collection<AttachmentVerdict>;
    readonly rules: RuleVerdicts;
  };
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
    serviceEntries: graph.source('service entries'),
    workloadEntries: graph.source('workload entries'),
    sidecars: graph.source('sidecars'),
    gateways: graph.source('gateways'),
    gatewayClasses: graph.source('gateway classes'),
    virtualServices: graph.source('virtual services'),
    destinationRules: graph.source('destination rules'),
    httpRoutes: graph.source('HTTP routes'),
    grpcRoutes: graph.source('gRPC routes'),
    tcpRoutes: graph.source('TCP routes'),
    tlsRoutes: graph.source('TLS routes'),
    referenceGrants: graph.source('reference grants'),
    backendTlsPolicies: graph.source('backend TLS policies'),
    requestAuthentications: graph.source('request authentications'),
    telemetries: graph.source('telemetries'),
    envoyFilters: graph.source('Envoy filters'),
    wasmPlugins: graph.source('Wasm plugins'),
    trafficExtensions: graph.source('traffic extensions'),
    istioGateways: graph.source('gateways of Istio'),
    workloadGroups: graph.source('workload groups'),
    rateLimits: graph.source('rate limits'),
    proxyExtensions: graph.source('proxy extensions'),
    secrets: graph.source('secrets'),
    configMaps: graph.source('config maps'),
    meshConfigs: graph.source('mesh configurations'),
    keySets: graph.source<KeySet>('key sets', { equals: isDeepStrictEqual }),
    certificatesDue: graph.source('certificates that are due'),
  };
  const { hasIstioClasses = true } = options;
  const scope = meshScope(graph, sources, { rootNamespace, revision, hasIstioClasses });
  const { namespaces, services, serviceEntries, workloadEntries, sidecars } = scope;

  const networkOf = deriveNetworks(graph, sources.namespaces, rootNamespace);
  const profiles = deriveNamespaceProfiles(graph, {
    namespaces,
    sidecars,
    meshConfigs: sources.meshConfigs,
    rootNamespace,
  });
  const policies = derivePolicies(graph, { scope, meshConfigs: sources.meshConfigs, rootNamespace, trustDomain });
  const gateways = deriveGateways(graph, scope, { clusterDomain, trustDomain, networkOf });
  const bindings = deriveBindings(graph, { namespaces, waypoints: gateways.waypoints, profiles, clusterDomain });
  const serviceBindings = bindings.ofAll('waypoints of services', services, 'service');
  const entryBindings = bindings.ofAll(
    'waypoints of entries',
    serviceEntries,
    'service',
    ({ metadata, spec }) => seenBy(exported(spec.exportTo, metadata.namespace ?? '')) === 'namespace',
  );
  const workloadEntryBindings = bindings.ofAll('waypoints of workload entries', workloadEntries, 'workload');

  const selections = deriveSelections(graph, { services, entries: serviceEntries, clusterDomain });
  const serviceAddresses = deriveServices(graph, {
    services,
    bindings: serviceBindings,
    profiles,
    networkOf,
    clusterDomain,
  });
  const entries = deriveEntries(graph, {
    entries: serviceEntries,
    bindings: entryBindings,
    profiles,
    networkOf,
    services: serviceAddresses,
  });
  const enforcement = deriveEnforcement(graph, {
    namespaces,
    gateways: scope.gateways,
    gatewayObjects: gateways.objects,
    services,
    pods: scope.pods,
    serviceBindings,
    bindings,
    selections,
    meshConfigs: sources.meshConfigs,
    trustDomain,
  });
  const workloads = deriveWorkloads(graph, {
    enforcement,
    scope,
    nodes: sources.nodes,
    trustDomain,
    networkOf,
    profiles,
    policies,
    gateways,
    bindings,
    workloadEntryBindings,
    selections,
    entries,
  });

  const meshServices = graph.join<MeshAddress>('services', [serviceAddresses, entries.addresses]);
  const l7Services = deriveL7Services(graph, {
    services,
    entries: serviceEntries,
    serviceBindings,
    entryBindings,
    derivedEntries: entries,
    addresses: meshServices,
    clusterDomain,
  });
  const gatewayApi = deriveGatewayApi(graph, {
    scope,
    serviceBindings,
    entryBindings,
    clusterDomain,
    hasIstioClasses,
    certificateTime: { nowMs: options.nowMs ?? Date.now, due: sources.certificatesDue },
  });
  const httpPolicies = deriveHttpPolicies(graph, {
    scope,
    services: l7Services,
    meshConfigs: sources.meshConfigs,
    keySets: sources.keySets,
    rootNamespace,
    trustDomain,
    clusterDomain,
  });
  const telemetry = deriveTelemetry(graph, {
    scope,
    services: l7Services,
    meshConfigs: sources.meshConfigs,
    rootNamespace,
    clusterDomain,
  });
  const proxies = deriveProxies(graph, {
    gateways: scope.gateways,
    gatewayClasses: scope.gatewayClasses,
    waypoints: gateways.waypoints,
    meshConfigs: sources.meshConfigs,
    services: l7Services,
    networkOf,
    trustDomain,
    clusterDomain,
    virtualServices: scope.virtualServices,
    destinationRules: scope.destinationRules,
    backendTls: gatewayApi.backendTls,
    secrets: scope.secrets,
    rootNamespace,
    namespaces,
    kubeServices: services,
    workloads: graph.join<MeshAddress>('workloads', [...workloads.local, workloads.anywhere]),
    pods: scope.pods,
    workloadEntries,
    serviceEntries,
    routes: gatewayApi.boundRoutes,
    edgeListeners: gatewayApi.edgeListeners,
    more: [gatewayApi.secrets],
    policies: [httpPolicies.policies, telemetry.policies],
    askedProviders: httpPolicies.askedProviders,
  });

  return {
    sources,
    proxyResources: proxies.resources,
    neededKeys: httpPolicies.neededKeys,
    servedCertificates: gatewayApi.servedCertificates,
    namespaces,
    services,
    authorizationPolicies: scope.authorizationPolicies,
    peerAuthentications: scope.peerAuthentications,
    requestAuthentications: scope.requestAuthentications,
    rateLimits: scope.rateLimits,
    proxyExtensions: scope.proxyExtensions,
    telemetries: scope.telemetries,
    serviceEntries,
    workloadEntries,
    virtualServices: scope.virtualServices,
    destinationRules: scope.destinationRules,
    gateways: scope.gateways,
    unserved: scope.unserved,
    gatewayObjects: gateways.objects,
    gatewayReach: deriveGatewayReach(graph, {
      objects: gateways.objects,
      services,
      endpointSlices: scope.endpointSlices,
      clusterDomain,
    }),
    addresses: graph.join<MeshAddress>('addresses', [
      withRemoteIdentities(graph, {
        services: meshServices,
        workloads: workloads.anywhere,
        networkOf,
      }),
      ...workloads.local,
      workloads.anywhere,
      gateways.addresses,
    ]),
    authorizations: graph.join<Authorization>('all authorizations', [
      policies.authorizations,
      enforcement.authorizations,
    ]),
    verdicts: policies.verdicts,
    statuses: {
      serviceBindings,
      entryBindings,
      workloadEntryBindings,
      entries: entries.verdicts,
      workloadEntries: workloads.workloadEntryVerdicts,
      allocations: entries.allocations,
      gatewayApi: gatewayApi.verdicts,
      authorizationAttachments: httpPolicies.authorizationVerdicts,
      authenticationAttachments: httpPolicies.authenticationVerdicts,
      telemetryAttachments: telemetry.verdicts,
      rateLimitAttachments: httpPolicies.rateLimitVerdicts,
      extensionAttachments: httpPolicies.extensionVerdicts,
      rules: proxies.verdicts,
    },
  };
}

function seenBy(to: ReturnType<typeof exported>): string {
  return to === 'nobody' ? to : to.visibility;
}
