/** Manifests of a local node's own Pods: its node agent and its ztunnel. The node runtime runs them. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { systemNamespace, type Pod } from '../../api/index.ts';
import { agentKubeconfigPath } from './credentials.ts';
import { writeFileAtomic, type StatePaths } from './state-dir.ts';
import { controlAddress } from './system-objects.ts';

/** The image of Ambit itself: the node runtime's image table knows it. */
const ambitImage = 'ambit/ambit:latest';

export function manifestFolder(paths: StatePaths, node: string): string {
  return join(paths.manifests, node);
}

/** Writes the manifests that the node runtime of `node` runs. */
export function writeStaticPods(paths: StatePaths, node: string): void {
  const folder = manifestFolder(paths, node);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileAtomic(join(folder, 'node-agent.yaml'), dump(nodeAgentPod(paths, node)));
  writeFileAtomic(join(folder, 'ztunnel.yaml'), dump(ztunnelPod(node)));
}

function nodeAgentPod(paths: StatePaths, node: string): Pod {
  return {
    ...header(`istio-cni-node-${node}`, 'istio-cni-node'),
    spec: {
      ...common('istio-cni', node),
      containers: [
        {
          name: 'install-cni',
          image: ambitImage,
          args: ['node-agent'],
          securityContext: { privileged: true },
          env: [
            { name: 'NODE_NAME', value: node },
            { name: 'KUBECONFIG', value: '/etc/ambit/kubeconfig' },
            { name: 'ZTUNNEL_SOCKET', value: '/var/run/ztunnel/ztunnel.sock' },
            { name: 'NETNS_DIR', value: '/var/run/netns' },
          ],
          readinessProbe: { httpGet: { path: '/readyz', port: 8000 }, periodSeconds: 1 },
          volumeMounts: [
            { name: 'kubeconfig', mountPath: '/etc/ambit/kubeconfig', readOnly: true },
            { name: 'ztunnel-dir', mountPath: '/var/run/ztunnel' },
            { name: 'netns', mountPath: '/var/run/netns', mountPropagation: 'HostToContainer' },
            { name: 'api-token', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
          ],
        },
      ],
      volumes: [
        { name: 'kubeconfig', hostPath: { path: agentKubeconfigPath(paths), type: 'File' } },
        ztunnelDir(node),
        { name: 'netns', hostPath: { path: '/run/netns', type: 'Directory' } },
        {
          name: 'api-token',
          projected: { sources: [{ serviceAccountToken: { path: 'token', expirationSeconds: 3600 } }] },
        },
      ],
    },
  };
}

function ztunnelPod(node: string): Pod {
  const field = (
    name: string,
    fieldPath: string,
  ): { name: string; valueFrom: { fieldRef: { fieldPath: string } } } => ({
    name,
    valueFrom: { fieldRef: { fieldPath } },
  });
  return {
    ...header(`ztunnel-${node}`, 'ztunnel'),
    spec: {
      ...common('ztunnel', node),
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
            { name: 'AUTH_TOKEN', value: '/var/run/secrets/tokens/istio-token' },
            field('NODE_NAME', 'spec.nodeName'),
            field('POD_NAME', 'metadata.name'),
            field('POD_NAMESPACE', 'metadata.namespace'),
            field('INSTANCE_IP', 'status.podIP'),
            field('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
          ],
          readinessProbe: { httpGet: { path: '/healthz/ready', port: 15021 }, periodSeconds: 1 },
          volumeMounts: [
            { name: 'ztunnel-dir', mountPath: '/var/run/ztunnel' },
            { name: 'istiod-ca-cert', mountPath: '/var/run/secrets/istio' },
            { name: 'istio-token', mountPath: '/var/run/secrets/tokens' },
          ],
        },
      ],
      volumes: [
        ztunnelDir(node),
        { name: 'istiod-ca-cert', configMap: { name: 'istio-ca-root-cert' } },
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

function header(name: string, app: string): Pick<Pod, 'apiVersion' | 'kind' | 'metadata'> {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: systemNamespace,
      labels: {
        app,
        'app.kubernetes.io/name': app,
        'istio.io/dataplane-mode': 'none',
        'sidecar.istio.io/inject': 'false',
      },
    },
  };
}

function common(
  serviceAccountName: string,
  node: string,
): Pick<NonNullable<Pod['spec']>, 'serviceAccountName' | 'nodeName' | 'hostNetwork' | 'priorityClassName'> {
  return { serviceAccountName, nodeName: node, hostNetwork: true, priorityClassName: 'system-node-critical' };
}

/** The socket between node agent and ztunnel, one folder a node. */
function ztunnelDir(node: string): { name: string; hostPath: { path: string; type: string } } {
  return { name: 'ztunnel-dir', hostPath: { path: `/run/ambit/${node}/ztunnel`, type: 'DirectoryOrCreate' } };
}
