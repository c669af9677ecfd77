/** The Deployment of a Gateway's proxies, as istio-proxy's pods look (ambient-l7, 1.4). Pure. */
import type { Deployment } from '../../api/apps.ts';
import type { Container, EnvVar, PodSpec, Volume, VolumeMount } from '../../api/core.ts';
import type { Gateway } from '../../api/gateway.ts';
import type { ProxyConfig } from '../../api/istio.ts';
import type { GatewayObjects } from '../../discovery/index.ts';
import { gatewayLabels, gatewaySelector, infrastructure, ownedMetadata } from './gateway-metadata.ts';
import { revocationConfigMap } from '../revocation-config-maps.ts';
import { proxyConcurrency } from './proxy-concurrency.ts';
import type { Placement, ProxyValues } from './proxy-values.ts';

/** What a proxy is told of its mesh. */
export interface ProxyMesh {
  /** Of the control plane. */
  readonly namespace: string;
  readonly revision: string;
  /** Host and port of discovery and of the CA. */
  readonly discoveryAddress: string;
  readonly clusterDomain: string;
  readonly clusterId: string;
  readonly trustDomain: string;
  /** Of the cluster; empty where there is one alone. */
  readonly network: string;
  /** Threads of each proxy, as the mesh's configuration says it where nobody else does. */
  readonly concurrency?: number | undefined;
}

const networkLabel = 'topology.istio.io/network';
const user = 1337;
const readiness = { httpGet: { path: '/healthz/ready', port: 15021 } };
const defaultResources = { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '2', memory: '1Gi' } };
const defaultGraceSeconds = 60;
const crlFolder = '/var/run/secrets/istio-crl';

export function proxyDeployment(
  gateway: Gateway,
  objects: GatewayObjects,
  {
    values,
    mesh,
    proxyConfigs = [],
  }: { readonly values: ProxyValues; readonly mesh: ProxyMesh; readonly proxyConfigs?: readonly ProxyConfig[] },
): Deployment {
  const placement = (objects.role === 'waypoint' ? values.waypoint : values.gateway) ?? {};
  const { labels, annotations } = infrastructure(gateway);
  const network = networkOf(gateway, mesh);
  const podLabels = {
    'istio.io/dataplane-mode': 'none',
    ...labels,
    ...(isOfMesh(objects) ? { 'istio.io/dataplane-mode': 'none' } : {}),
    ...(network === '' ? {} : { [networkLabel]: network }),
    'sidecar.istio.io/inject': 'false',
    'service.istio.io/canonical-name': objects.name,
    'service.istio.io/canonical-revision': 'latest',
    ...gatewayLabels(gateway, objects),
  };
  const concurrency = proxyConcurrency({
    namespace: gateway.metadata.namespace ?? '',
    labels: podLabels,
    annotations: { ...gateway.metadata.annotations, ...annotations },
    proxyConfigs,
    rootNamespace: mesh.namespace,
    meshDefault: mesh.concurrency,
  });
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: ownedMetadata(gateway, objects, objects.name),
    spec: {
      selector: { matchLabels: gatewaySelector(gateway) },
      // The next proxy is ready before one goes, also where there is one alone.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: {
          labels: podLabels,
          annotations: {
            'prometheus.io/path': '/stats/prometheus',
            'prometheus.io/port': '15020',
            'prometheus.io/scrape': 'true',
            ...annotations,
            'istio.io/rev': mesh.revision,
          },
        },
        spec: podSpec(gateway, objects, { values, mesh, placement, concurrency }),
      },
    },
  };
}

/** Its ports take tunnels of the mesh, and no more. */
function isOfMesh({ role }: GatewayObjects): boolean {
  return role === 'waypoint' || role === 'east-west';
}

/** The Gateway's own word goes before the cluster's. */
function networkOf({ metadata, spec }: Gateway, mesh: ProxyMesh): string {
  return spec.infrastructure?.labels?.[networkLabel] ?? metadata.labels?.[networkLabel] ?? mesh.network;
}

interface PodContext {
  readonly values: ProxyValues;
  readonly mesh: ProxyMesh;
  readonly placement: Placement;
  /** Undefined: the proxies decide. */
  readonly concurrency: number | undefined;
}

function podSpec(gateway: Gateway, objects: GatewayObjects, context: PodContext): PodSpec {
  const { affinity, nodeSelector, tolerations } = context.placement;
  const { imagePullSecrets = [] } = context.values;
  return {
    serviceAccountName: objects.serviceAccount,
    // It asks nothing of the API server: its own token is for the control plane.
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: graceSeconds(context.placement),
    securityContext: {
      runAsUser: user,
      runAsGroup: user,
      runAsNonRoot: true,
      fsGroup: user,
      ...(isOfMesh(objects) ? {} : { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }] }),
    },
    ...(imagePullSecrets.length > 0 ? { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) } : {}),
    topologySpreadConstraints: context.placement.topologySpreadConstraints ?? [
      {
        maxSkew: 1,
        topologyKey: 'kubernetes.io/hostname',
        whenUnsatisfiable: 'ScheduleAnyway',
        labelSelector: { matchLabels: gatewaySelector(gateway) },
      },
    ],
    ...(affinity ? { affinity } : {}),
    ...(nodeSelector ? { nodeSelector: { ...nodeSelector } } : {}),
    ...(tolerations ? { tolerations: [...tolerations] } : {}),
    containers: [proxyContainer(gateway, objects, context)],
    volumes: volumes(objects),
  };
}

function graceSeconds({ terminationGracePeriodSeconds = defaultGraceSeconds }: Placement): number {
  return terminationGracePeriodSeconds;
}

function proxyContainer(gateway: Gateway, objects: GatewayObjects, context: PodContext): Container {
  const { values, mesh, placement } = context;
  return {
    name: 'istio-proxy',
    image: values.image,
    ...(values.imagePullPolicy ? { imagePullPolicy: values.imagePullPolicy } : {}),
    args: [
      'proxy',
      isOfMesh(objects) ? 'waypoint' : 'router',
      '--domain',
      `$(POD_NAMESPACE).svc.${mesh.clusterDomain}`,
      '--serviceCluster',
      `${objects.name}.$(POD_NAMESPACE)`,
    ],
    ports: containerPorts(gateway),
    env: environment(gateway, objects, context),
    // A proxy that waits for its control plane is not better for being killed.
    startupProbe: { ...readiness, initialDelaySeconds: 0, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 120 },
    readinessProbe: { ...readiness, periodSeconds: 15, timeoutSeconds: 1, failureThreshold: 4 },
    resources: placement.resources ?? defaultResources,
    securityContext: {
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsUser: user,
      runAsGroup: user,
      runAsNonRoot: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: mounts(objects),
  };
}

function containerPorts(gateway: Gateway): NonNullable<Container['ports']> {
  const own = [
    // The name is what monitors of istio-proxy look for.
    { name: 'http-envoy-prom', containerPort: 15020 },
    { name: 'status-port', containerPort: 15021 },
  ];
  const taken = new Set(own.map(({ containerPort }) => containerPort));
  const listeners = new Set(gateway.spec.listeners.map(({ port }) => port).filter((port) => !taken.has(port)));
  return [...own, ...[...listeners].map((containerPort) => ({ containerPort }))].map((port) => ({
    ...port,
    protocol: 'TCP' as const,
  }));
}

function environment(gateway: Gateway, objects: GatewayObjects, context: PodContext): EnvVar[] {
  const { values, mesh, placement, concurrency } = context;
  const { namespace = '' } = gateway.metadata;
  const owner = `kubernetes://apis/apps/v1/namespaces/${namespace}/deployments/${objects.name}`;
  return [
    { name: 'PILOT_CERT_PROVIDER', value: 'istiod' },
    { name: 'CA_ADDR', value: mesh.discoveryAddress },
    { name: 'CRL_PATH', value: `${crlFolder}/ca-crl.pem` },
    field('POD_NAME', 'metadata.name'),
    field('POD_NAMESPACE', 'metadata.namespace'),
    field('INSTANCE_IP', 'status.podIP'),
    field('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
    field('HOST_IP', 'status.hostIP'),
    field('NODE_NAME', 'spec.nodeName'),
    { name: 'ISTIO_CPU_LIMIT', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '0' } } },
    { name: 'PROXY_CONFIG', value: JSON.stringify({ discoveryAddress: mesh.discoveryAddress, concurrency }) },
    field('ISTIO_META_SERVICE_ACCOUNT', 'spec.serviceAccountName'),
    field('ISTIO_META_NODE_NAME', 'spec.nodeName'),
    { name: 'ISTIO_META_CLUSTER_ID', value: mesh.clusterId },
    { name: 'ISTIO_META_NETWORK', value: networkOf(gateway, mesh) },
    ...(objects.role === 'east-west'
      ? [{ name: 'ISTIO_META_REQUESTED_NETWORK_VIEW', value: networkOf(gateway, mesh) }]
      : []),
    { name: 'ISTIO_META_INTERCEPTION_MODE', value: 'REDIRECT' },
    { name: 'ISTIO_META_WORKLOAD_NAME', value: objects.name },
    { name: 'ISTIO_META_OWNER', value: owner },
    { name: 'ISTIO_META_MESH_ID', value: mesh.trustDomain },
    { name: 'TRUST_DOMAIN', value: mesh.trustDomain },
    { name: 'TERMINATION_GRACE_PERIOD_SECONDS', value: String(graceSeconds(placement)) },
    ...(values.logLevel === undefined ? [] : [{ name: 'LOG_LEVEL', value: values.logLevel }]),
  ];
}

function field(name: string, fieldPath: string): EnvVar {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

interface Mounted {
  readonly volume: Volume;
  readonly mountPath: string;
  /** Of gateways at the edge alone. */
  readonly isOfEdge?: boolean;
}

const mounted: readonly Mounted[] = [
  { volume: { name: 'workload-socket', emptyDir: {} }, mountPath: '/var/run/secrets/workload-spiffe-uds' },
  { volume: { name: 'credential-socket', emptyDir: {} }, mountPath: '/var/run/secrets/credential-uds', isOfEdge: true },
  {
    volume: { name: 'workload-certs', emptyDir: {} },
    mountPath: '/var/run/secrets/workload-spiffe-credentials',
    isOfEdge: true,
  },
  { volume: { name: 'istio-envoy', emptyDir: { medium: 'Memory' } }, mountPath: '/etc/istio/proxy' },
  { volume: { name: 'istio-data', emptyDir: {} }, mountPath: '/var/lib/istio/data' },
  {
    volume: {
      name: 'istio-podinfo',
      downwardAPI: {
        items: [
          { path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } },
          { path: 'annotations', fieldRef: { fieldPath: 'metadata.annotations' } },
        ],
      },
    },
    mountPath: '/etc/istio/pod',
  },
  {
    volume: {
      name: 'istio-token',
      projected: {
        sources: [{ serviceAccountToken: { path: 'istio-token', expirationSeconds: 43_200, audience: 'istio-ca' } }],
      },
    },
    mountPath: '/var/run/secrets/tokens',
  },
  {
    volume: { name: 'istiod-ca-cert', configMap: { name: 'istio-ca-root-cert' } },
    mountPath: '/var/run/secrets/istio',
  },
  {
    // Only meshes whose authority revokes have one.
    volume: { name: 'istio-ca-crl', configMap: { name: revocationConfigMap, optional: true } },
    mountPath: crlFolder,
  },
];

function of(objects: GatewayObjects): Mounted[] {
  return mounted.filter(({ isOfEdge }) => !isOfEdge || !isOfMesh(objects));
}

function volumes(objects: GatewayObjects): Volume[] {
  return of(objects).map(({ volume }) => volume);
}

function mounts(objects: GatewayObjects): VolumeMount[] {
  return of(objects).map(({ volume: { name }, mountPath }) => ({ name, mountPath }));
}
