/** The Kubernetes API as a client sees it: kubeconfig, calls, informers. */
export type * from './client.ts';
export { openKubeClient, type OpenKubeClientOptions } from './http-client.ts';
export { inClusterAccess, loadKubeconfig, type ClusterAccess } from './kubeconfig.ts';
export { isKubeError, KubeError } from './kube-error.ts';
export { dropManagedFields, objectKey, startInformer, type Informer, type InformerOptions } from './informer.ts';
export { apiVersionOf, resourcePath } from './resource-path.ts';
export { openPortForward, type PortForwardTarget } from './port-forward.ts';
