/** The Kubernetes API as a client sees it: kubeconfig, calls, informers. */
export type * from './client.ts';
export { openKubeClient } from './http-client.ts';
export { inClusterAccess, loadKubeconfig, type ClusterAccess } from './kubeconfig.ts';
export { isKubeError, KubeError } from './kube-error.ts';
export { dropManagedFields, objectKey, startInformer, type Informer } from './informer.ts';
export { openPortForward } from './port-forward.ts';
