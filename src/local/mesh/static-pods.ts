/** A local node's own Pods: its node agent and its ztunnel; as manifests that the node runtime runs, or for a DaemonSet. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { systemNamespace, type Pod, type PodSpec, type Volume } from '../../api/index.ts';
import { agentKubeconfigPath } from './credentials.ts';
import { writeFileAtomic, type StatePaths } from './state-dir.ts';
import { controlAddress } from './system-objects.ts';
import { probeMark } from '../runtime/probe-mark.ts';

/** The image of Ambit itself: the node runtime's image table knows it. */
const ambitImage = 'ambit/ambit:latest';

export function manifestFolder(paths: StatePaths, node: string): string {
  return join(paths.manifests, node);
}

/** Writes the manifests that the node runtime of `node` runs. */
export function writeStaticPods(paths: StatePaths, node: string): void {
  const folder = manifestFolder(paths, node);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const write = (file: string, { app, spec }: SystemPod): void => {
    const metadata = { name: `${app}-${node}`, namespace: systemNamespace, labels: podLabels(app) };
    const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec, nodeName: node } };
    writeFileAtomic(join(folder, file), dump(pod));
  };
  write('node-agent.yaml', nodeAgent(paths));
  write('ztunnel.yaml', ztunnel());
}

/** A Pod of which every node has one. */
export interface SystemPod {
  /** The label `app`, and the name of the workload. */
  readonly app: string;
  readonly spec: PodSpec;
}

export function systemPods(paths: StatePaths): readonly SystemPod[] {
  return [nodeAgent(paths), ztunnel()];
}

export function podLabels(app: string): Record<string, string> {
  return {
    app,
    'app.kubernetes.io/name': app,
    'istio.io/dataplane-mode': 'none',
    'sidecar.istio.io/inject': 'false',
  };
}

function nodeAgent(paths: StatePaths): SystemPod {
  return {
    app: 'istio-cni-node',
    spec: {
      ...common('istio-cni'),
      containers: [
        {
          name: 'install-cni',
          image: ambitImage,
          args: ['node-agent'],
          securityContext: { privileged: true },
          env: [
            field('NODE_NAME', 'spec.nodeName'),
            { name: 'KUBECONFIG', value: '/etc/ambit/kubeconfig' },
            { name: 'ZTUNNEL_SOCKET', value: '/var/run/ztunnel/ztunnel.sock' },
            { name: 'NETNS_DIR', value: '/var/run/netns' },
            { name: 'CNI_RUN_DIR', value: '/var/run/istio-cni' },
            { name: 'PROBE_MARK', value: String(probeMark) },
          ],
          readinessProbe: { httpGet: { path: '/readyz', port: 8000 }, periodSeconds: 1 },
          volumeMounts: [
            { name: 'kubeconfig', mountPath: '/etc/ambit/kubeconfig', readOnly: true },
            ztunnelFolder,
            pluginFolder,
            { name: 'netns', mountPath: '/var/run/netns', mountPropagation: 'HostToContainer' },
            { name: 'api-token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
          ],
        },
        {
          // Keeps the pods' listening sockets while there is no ztunnel.
          name: 'listener-holder',
          image: ambitImage,
          args: ['listener-holder'],
          securityContext: { privileged: true },
          env: [
            field('NODE_NAME', 'spec.nodeName'),
            { name: 'LISTENER_HOLDER_SOCKET', value: '/var/run/ztunnel/listener-holder.sock' },
            ...smallProcess,
          ],
          volumeMounts: [ztunnelFolder],
        },
      ],
      volumes: [
        { name: 'kubeconfig', hostPath: { path: agentKubeconfigPath(paths), type: 'File' } },
        nodeFolders,
        { name: 'netns', hostPath: { path: '/run/netns', type: 'Directory' } },
        {
          name: 'api-token',
          projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 3600 } }] },
        },
      ],
    },
  };
}

function ztunnel(): SystemPod {
  return {
    app: 'ztunnel',
    spec: {
      ...common('ztunnel'),
      terminationGracePeriodSeconds: 30,
      hostAliases: [
        { ip: controlAddress, hostnames: ['istiod.istio-system.svc', 'istiod.istio-system.svc.cluster.local'] },
      ],
      containers: [
        {
          name: 'istio-proxy',
          image: ambitImage,
          args: ['ztunnel'],
          securityContext: { privileged: true },
          ports: [
            { name: 'ztunnel-stats', containerPort: 15020 },
            { name: 'readiness', containerPort: 15021 },
          ],
          env: [
            { name: 'XDS_ADDRESS', value: 'https://istiod.istio-system.svc:15012' },
            { name: 'CA_ADDRESS', value: 'https://istiod.istio-system.svc:15012' },
            { name: 'INPOD_UDS', value: '/var/run/ztunnel/ztunnel.sock' },
            { name: 'XDS_ROOT_CA', value: '/var/run/secrets/istio/root-cert.pem' },
            { name: 'CA_ROOT_CA', value: '/var/run/secrets/istio/root-cert.pem' },
            { name: 'CRL_PATH', value: '/var/run/secrets/istio-crl/ca-crl.pem' },
            { name: 'AUTH_TOKEN', value: '/var/run/secrets/tokens/istio-token' },
            field('NODE_NAME', 'spec.nodeName'),
            field('POD_NAME', 'metadata.name'),
            field('POD_NAMESPACE', 'metadata.namespace'),
            field('INSTANCE_IP', 'status.podIP'),
            field('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
          ],
          readinessProbe: { httpGet: { path: '/healthz/ready', port: 15021 }, periodSeconds: 1 },
          volumeMounts: [
            ztunnelFolder,
            { name: 'istiod-ca-cert', mountPath: '/var/run/secrets/istio' },
            { name: 'istio-ca-crl', mountPath: '/var/run/secrets/istio-crl' },
            { name: 'istio-token', mountPath: '/var/run/secrets/tokens' },
          ],
        },
      ],
      volumes: [
        nodeFolders,
        { name: 'istiod-ca-cert', configMap: { name: 'istio-ca-root-cert' } },
        { name: 'istio-ca-crl', configMap: { name: 'istio-ca-crl', optional: true } },
        {
          name: 'istio-token',
          projected: {
            sources: [
              { serviceAccountToken: { path: 'istio-token', expirationSeconds: 43_200, audience: 'istio-ca' } },
            ],
          },
        },
      ],
    },
  };
}

function field(name: string, fieldPath: string): { name: string; valueFrom: { fieldRef: { fieldPath: string } } } {
  return { name, valueFrom: { fieldRef: { fieldPath } } };
}

/** Tolerating everything, as what a node cannot do without does. */
function common(serviceAccountName: string): Omit<PodSpec, 'containers'> {
  return {
    serviceAccountName,
    automountServiceAccountToken: false,
    hostNetwork: true,
    priorityClassName: 'system-node-critical',
    tolerations: [{ operator: 'Exists' }],
  };
}

/** Least memory: it does next to nothing. */
const smallProcess = [
  { name: 'NODE_OPTIONS', value: '--max-semi-space-size=1 --v8-pool-size=1' },
  { name: 'UV_THREADPOOL_SIZE', value: '1' },
];

/** The socket between node agent and ztunnel: in one folder a node, since the local nodes share their file system. */
const nodeFolders: Volume = { name: 'node-folders', hostPath: { path: '/run/ambit', type: 'DirectoryOrCreate' } };
const ztunnelFolder: { name: string; mountPath: string; subPathExpr: string } = {
  name: nodeFolders.name,
  mountPath: '/var/run/ztunnel',
  subPathExpr: '$(NODE_NAME)/ztunnel',
};
/** Where the node runtime asks the node agent whether a pod may start. */
const pluginFolder: typeof ztunnelFolder = {
  name: nodeFolders.name,
  mountPath: '/var/run/istio-cni',
  subPathExpr: '$(NODE_NAME)/cni',
};
