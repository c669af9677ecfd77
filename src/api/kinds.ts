/** How every kind that Ambit knows is addressed. `Gateway` is the Gateway API's, Istio's is `IstioGateway`; `EventsEvent` is that of events.k8s.io. */
import type { ProxyExtension, RateLimitPolicy } from './ambit.ts';
import type { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet } from './apps.ts';
import type { HorizontalPodAutoscaler } from './autoscaling.ts';
import type { CronJob, Job } from './batch.ts';
import type { Lease } from './coordination.ts';
import type { CustomResourceDefinition } from './custom/crd.ts';
import type {
  ConfigMap,
  Endpoints,
  Event,
  Namespace,
  Node,
  PersistentVolumeClaim,
  Pod,
  Secret,
  Service,
  ServiceAccount,
} from './core.ts';
import type { EndpointSlice } from './discovery.ts';
import type {
  BackendTLSPolicy,
  Gateway,
  GatewayClass,
  GRPCRoute,
  HTTPRoute,
  ListenerSet,
  ReferenceGrant,
  TCPRoute,
  TLSRoute,
  UDPRoute,
  XBackend,
  XBackendTrafficPolicy,
  XMesh,
} from './gateway.ts';
import type {
  AuthorizationPolicy,
  DestinationRule,
  EnvoyFilter,
  IstioGateway,
  PeerAuthentication,
  ProxyConfig,
  RequestAuthentication,
  ServiceEntry,
  Sidecar,
  Telemetry,
  TrafficExtension,
  VirtualService,
  WasmPlugin,
  WorkloadEntry,
  WorkloadGroup,
} from './istio.ts';
import type { ValidatingWebhookConfiguration } from './admission.ts';
import type { KindRef, KubeObject } from './meta.ts';
import type { PodDisruptionBudget } from './policy.ts';
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from './rbac.ts';

/** Ours. */
const ambitGroup = 'policy.ambit.dev';
const gatewayGroup = 'gateway.networking.k8s.io';
/** Kinds on trial. */
const gatewayTrialGroup = 'gateway.networking.x-k8s.io';
const networkingGroup = 'networking.istio.io';
const rbacGroup = 'rbac.authorization.k8s.io';
const securityGroup = 'security.istio.io';

export const kinds: {
  readonly Namespace: KindRef<Namespace>;
  readonly Pod: KindRef<Pod>;
  readonly Service: KindRef<Service>;
  readonly ServiceAccount: KindRef<ServiceAccount>;
  readonly ConfigMap: KindRef<ConfigMap>;
  readonly Secret: KindRef<Secret>;
  readonly Node: KindRef<Node>;
  readonly Event: KindRef<Event>;
  readonly Deployment: KindRef<Deployment>;
  readonly ReplicaSet: KindRef<ReplicaSet>;
  readonly StatefulSet: KindRef<StatefulSet>;
  readonly DaemonSet: KindRef<DaemonSet>;
  readonly ControllerRevision: KindRef<ControllerRevision>;
  readonly Job: KindRef<Job>;
  readonly CronJob: KindRef<CronJob>;
  readonly HorizontalPodAutoscaler: KindRef<HorizontalPodAutoscaler>;
  readonly PodDisruptionBudget: KindRef<PodDisruptionBudget>;
  readonly Endpoints: KindRef<Endpoints>;
  readonly PersistentVolumeClaim: KindRef<PersistentVolumeClaim>;
  readonly EventsEvent: KindRef;
  readonly NetworkPolicy: KindRef;
  readonly Ingress: KindRef;
  readonly IngressClass: KindRef;
  readonly PriorityClass: KindRef;
  readonly EndpointSlice: KindRef<EndpointSlice>;
  readonly Lease: KindRef<Lease>;
  readonly CustomResourceDefinition: KindRef<CustomResourceDefinition>;
  readonly ValidatingWebhookConfiguration: KindRef<ValidatingWebhookConfiguration>;
  readonly Role: KindRef<Role>;
  readonly ClusterRole: KindRef<ClusterRole>;
  readonly RoleBinding: KindRef<RoleBinding>;
  readonly ClusterRoleBinding: KindRef<ClusterRoleBinding>;
  readonly AuthorizationPolicy: KindRef<AuthorizationPolicy>;
  readonly PeerAuthentication: KindRef<PeerAuthentication>;
  readonly RequestAuthentication: KindRef<RequestAuthentication>;
  readonly VirtualService: KindRef<VirtualService>;
  readonly DestinationRule: KindRef<DestinationRule>;
  readonly IstioGateway: KindRef<IstioGateway>;
  readonly ServiceEntry: KindRef<ServiceEntry>;
  readonly Sidecar: KindRef<Sidecar>;
  readonly WorkloadEntry: KindRef<WorkloadEntry>;
  readonly WorkloadGroup: KindRef<WorkloadGroup>;
  readonly EnvoyFilter: KindRef<EnvoyFilter>;
  readonly ProxyConfig: KindRef<ProxyConfig>;
  readonly Telemetry: KindRef<Telemetry>;
  readonly WasmPlugin: KindRef<WasmPlugin>;
  readonly TrafficExtension: KindRef<TrafficExtension>;
  readonly GatewayClass: KindRef<GatewayClass>;
  readonly Gateway: KindRef<Gateway>;
  readonly HTTPRoute: KindRef<HTTPRoute>;
  readonly GRPCRoute: KindRef<GRPCRoute>;
  readonly ReferenceGrant: KindRef<ReferenceGrant>;
  readonly TCPRoute: KindRef<TCPRoute>;
  readonly TLSRoute: KindRef<TLSRoute>;
  readonly UDPRoute: KindRef<UDPRoute>;
  readonly BackendTLSPolicy: KindRef<BackendTLSPolicy>;
  readonly ListenerSet: KindRef<ListenerSet>;
  readonly XBackendTrafficPolicy: KindRef<XBackendTrafficPolicy>;
  readonly XBackend: KindRef<XBackend>;
  readonly XMesh: KindRef<XMesh>;
  readonly RateLimit: KindRef<RateLimitPolicy>;
  readonly ProxyExtension: KindRef<ProxyExtension>;
} = {
  Namespace: ref('', 'v1', 'Namespace', 'namespaces', false),
  Pod: ref('', 'v1', 'Pod', 'pods'),
  Service: ref('', 'v1', 'Service', 'services'),
  ServiceAccount: ref('', 'v1', 'ServiceAccount', 'serviceaccounts'),
  ConfigMap: ref('', 'v1', 'ConfigMap', 'configmaps'),
  Secret: ref('', 'v1', 'Secret', 'secrets'),
  Node: ref('', 'v1', 'Node', 'nodes', false),
  Event: ref('', 'v1', 'Event', 'events'),
  Deployment: ref('apps', 'v1', 'Deployment', 'deployments'),
  ReplicaSet: ref('apps', 'v1', 'ReplicaSet', 'replicasets'),
  StatefulSet: ref('apps', 'v1', 'StatefulSet', 'statefulsets'),
  DaemonSet: ref('apps', 'v1', 'DaemonSet', 'daemonsets'),
  ControllerRevision: ref('apps', 'v1', 'ControllerRevision', 'controllerrevisions'),
  Job: ref('batch', 'v1', 'Job', 'jobs'),
  CronJob: ref('batch', 'v1', 'CronJob', 'cronjobs'),
  HorizontalPodAutoscaler: ref('autoscaling', 'v2', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers'),
  PodDisruptionBudget: ref('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets'),
  Endpoints: ref('', 'v1', 'Endpoints', 'endpoints'),
  PersistentVolumeClaim: ref('', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims'),
  EventsEvent: ref('events.k8s.io', 'v1', 'Event', 'events'),
  NetworkPolicy: ref('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies'),
  Ingress: ref('networking.k8s.io', 'v1', 'Ingress', 'ingresses'),
  IngressClass: ref('networking.k8s.io', 'v1', 'IngressClass', 'ingressclasses', false),
  PriorityClass: ref('scheduling.k8s.io', 'v1', 'PriorityClass', 'priorityclasses', false),
  EndpointSlice: ref('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices'),
  Lease: ref('coordination.k8s.io', 'v1', 'Lease', 'leases'),
  CustomResourceDefinition: ref(
    'apiextensions.k8s.io',
    'v1',
    'CustomResourceDefinition',
    'customresourcedefinitions',
    false,
  ),
  ValidatingWebhookConfiguration: ref(
    'admissionregistration.k8s.io',
    'v1',
    'ValidatingWebhookConfiguration',
    'validatingwebhookconfigurations',
    false,
  ),
  Role: ref(rbacGroup, 'v1', 'Role', 'roles'),
  ClusterRole: ref(rbacGroup, 'v1', 'ClusterRole', 'clusterroles', false),
  RoleBinding: ref(rbacGroup, 'v1', 'RoleBinding', 'rolebindings'),
  ClusterRoleBinding: ref(rbacGroup, 'v1', 'ClusterRoleBinding', 'clusterrolebindings', false),
  AuthorizationPolicy: ref(securityGroup, 'v1', 'AuthorizationPolicy', 'authorizationpolicies'),
  PeerAuthentication: ref(securityGroup, 'v1', 'PeerAuthentication', 'peerauthentications'),
  RequestAuthentication: ref(securityGroup, 'v1', 'RequestAuthentication', 'requestauthentications'),
  VirtualService: ref(networkingGroup, 'v1', 'VirtualService', 'virtualservices'),
  DestinationRule: ref(networkingGroup, 'v1', 'DestinationRule', 'destinationrules'),
  IstioGateway: ref(networkingGroup, 'v1', 'Gateway', 'gateways'),
  ServiceEntry: ref(networkingGroup, 'v1', 'ServiceEntry', 'serviceentries'),
  Sidecar: ref(networkingGroup, 'v1', 'Sidecar', 'sidecars'),
  WorkloadEntry: ref(networkingGroup, 'v1', 'WorkloadEntry', 'workloadentries'),
  WorkloadGroup: ref(networkingGroup, 'v1', 'WorkloadGroup', 'workloadgroups'),
  EnvoyFilter: ref(networkingGroup, 'v1alpha3', 'EnvoyFilter', 'envoyfilters'),
  ProxyConfig: ref(networkingGroup, 'v1beta1', 'ProxyConfig', 'proxyconfigs'),
  Telemetry: ref('telemetry.istio.io', 'v1', 'Telemetry', 'telemetries'),
  WasmPlugin: ref('extensions.istio.io', 'v1alpha1', 'WasmPlugin', 'wasmplugins'),
  TrafficExtension: ref('extensions.istio.io', 'v1alpha1', 'TrafficExtension', 'trafficextensions'),
  GatewayClass: ref(gatewayGroup, 'v1', 'GatewayClass', 'gatewayclasses', false),
  Gateway: ref(gatewayGroup, 'v1', 'Gateway', 'gateways'),
  HTTPRoute: ref(gatewayGroup, 'v1', 'HTTPRoute', 'httproutes'),
  GRPCRoute: ref(gatewayGroup, 'v1', 'GRPCRoute', 'grpcroutes'),
  ReferenceGrant: ref(gatewayGroup, 'v1beta1', 'ReferenceGrant', 'referencegrants'),
  TCPRoute: ref(gatewayGroup, 'v1', 'TCPRoute', 'tcproutes'),
  TLSRoute: ref(gatewayGroup, 'v1', 'TLSRoute', 'tlsroutes'),
  UDPRoute: ref(gatewayGroup, 'v1', 'UDPRoute', 'udproutes'),
  BackendTLSPolicy: ref(gatewayGroup, 'v1', 'BackendTLSPolicy', 'backendtlspolicies'),
  ListenerSet: ref(gatewayGroup, 'v1', 'ListenerSet', 'listenersets'),
  XBackendTrafficPolicy: ref(gatewayTrialGroup, 'v1alpha1', 'XBackendTrafficPolicy', 'xbackendtrafficpolicies'),
  XBackend: ref(gatewayTrialGroup, 'v1alpha1', 'XBackend', 'xbackends'),
  XMesh: ref(gatewayTrialGroup, 'v1alpha1', 'XMesh', 'xmeshes', false),
  RateLimit: ref(ambitGroup, 'v1alpha1', 'RateLimit', 'ratelimits'),
  ProxyExtension: ref(ambitGroup, 'v1alpha1', 'ProxyExtension', 'proxyextensions'),
};

/** `v1`, `apps/v1` */
export function apiVersionOf(kind: KindRef): string {
  return kind.group === '' ? kind.version : `${kind.group}/${kind.version}`;
}

function ref<T extends KubeObject>(
  group: string,
  version: string,
  kind: string,
  plural: string,
  namespaced = true,
): KindRef<T> {
  return { group, version, kind, plural, namespaced };
}
