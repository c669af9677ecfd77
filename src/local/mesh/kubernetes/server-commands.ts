/** How Kubernetes' own server is started: etcd, API server, controller manager and scheduler, as a cluster would run them. */
import { meshFamilies, serviceCidr, serviceCidr6 } from '../../network/index.ts';
import type { StatePaths } from '../state-dir.ts';
import { controlAddress } from '../system-objects.ts';
import type { ServerFiles } from './server-files.ts';

/** In init's network namespace, where no pod and no node is. */
const etcdClientUrl = 'http://127.0.0.1:2379';
const etcdPeerUrl = 'http://127.0.0.1:2380';
const issuer = 'https://kubernetes.default.svc.cluster.local';
const controllerManagerPort = 10_257;
const schedulerPort = 10_259;

export interface ServerCommand {
  readonly component: string;
  readonly command: readonly string[];
  /** Answers 200 when it does its work. */
  readonly readyUrl: string;
}

/** One range a family of the mesh; IPv4 is what a Service gets that does not ask. */
function serviceRanges(): string {
  return meshFamilies().includes('IPv6') ? `${serviceCidr},${serviceCidr6}` : serviceCidr;
}

/** What the API server stands on, and itself. */
export function storageAndApi(
  binary: string,
  paths: StatePaths,
  files: ServerFiles,
): readonly [ServerCommand, ServerCommand] {
  return [
    {
      component: 'etcd',
      command: [
        binary,
        'etcd',
        `--data-dir=${paths.etcd}`,
        `--listen-client-urls=${etcdClientUrl}`,
        `--advertise-client-urls=${etcdClientUrl}`,
        `--listen-peer-urls=${etcdPeerUrl}`,
        `--initial-advertise-peer-urls=${etcdPeerUrl}`,
        `--initial-cluster=default=${etcdPeerUrl}`,
        '--logger=zap',
        '--log-level=warn',
      ],
      readyUrl: `${etcdClientUrl}/health`,
    },
    {
      component: 'apiserver',
      command: [
        binary,
        'kube-apiserver',
        `--etcd-servers=${etcdClientUrl}`,
        `--bind-address=${controlAddress}`,
        `--advertise-address=${controlAddress}`,
        '--secure-port=6443',
        `--tls-cert-file=${files.serving.certPath}`,
        `--tls-private-key-file=${files.serving.keyPath}`,
        `--token-auth-file=${files.tokensPath}`,
        '--authorization-mode=Node,RBAC',
        '--enable-admission-plugins=NodeRestriction',
        `--service-cluster-ip-range=${serviceRanges()}`,
        `--service-account-issuer=${issuer}`,
        `--service-account-key-file=${files.tokenPublicKeyPath}`,
        `--service-account-signing-key-file=${files.tokenKeyPath}`,
        `--kubelet-certificate-authority=${files.caPath}`,
        `--kubelet-client-certificate=${files.kubeletClient.certPath}`,
        `--kubelet-client-key=${files.kubeletClient.keyPath}`,
        '--kubelet-preferred-address-types=InternalIP',
        // Webhooks are called at their Service's endpoints: nothing routes ClusterIPs where the API server is.
        '--enable-aggregator-routing=true',
        '--allow-privileged=true',
        '--profiling=false',
      ],
      readyUrl: `https://${controlAddress}:6443/readyz`,
    },
  ];
}

/** What works on the API's objects. */
export function controllers(binary: string, files: ServerFiles): readonly ServerCommand[] {
  const serving = (port: number): string[] => [
    '--bind-address=127.0.0.1',
    `--secure-port=${port}`,
    `--tls-cert-file=${files.serving.certPath}`,
    `--tls-private-key-file=${files.serving.keyPath}`,
    '--leader-elect=false',
    '--profiling=false',
  ];
  return [
    {
      component: 'controller-manager',
      command: [
        binary,
        'kube-controller-manager',
        `--kubeconfig=${files.controllerManagerKubeconfig}`,
        `--root-ca-file=${files.caPath}`,
        `--service-account-private-key-file=${files.tokenKeyPath}`,
        '--use-service-account-credentials=true',
        ...serving(controllerManagerPort),
      ],
      readyUrl: `https://127.0.0.1:${controllerManagerPort}/healthz`,
    },
    {
      component: 'scheduler',
      command: [binary, 'kube-scheduler', `--kubeconfig=${files.schedulerKubeconfig}`, ...serving(schedulerPort)],
      readyUrl: `https://127.0.0.1:${schedulerPort}/healthz`,
    },
  ];
}
