/** The Kubernetes API as a client sees it: kubeconfig, calls, informers, leases. */
export { EventRecorder } from './event-recorder.ts';
export type * from './client.ts';
export type { ClusterAccess } from './access.ts';
export { openKubeClient } from './http-client.ts';
export { kubeconfigPaths, loadKubeconfig } from './kubeconfig.ts';
export { accessFromEnvironment } from './in-cluster.ts';
export { isKubeError, KubeError } from './kube-error.ts';
export { objectKey, startInformer, type Informer } from './informer.ts';
export { registerInformerMetrics, type InformerMetrics } from './informer-metrics.ts';
export { openExec, type RemoteCommand } from './exec.ts';
export { startLeaderElection, type LeaderElection } from './lease.ts';
export { openPortForward } from './port-forward.ts';
export { isOlder } from './resource-version.ts';
