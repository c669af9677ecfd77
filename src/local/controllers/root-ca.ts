/** Every namespace has a ConfigMap by which its pods know the API server: `kube-root-ca.crt`. */
import { kinds, type ConfigMap } from '../../api/index.ts';
import { isKubeError } from '../../kube/index.ts';
import { isLive, type Cluster, type Controller } from './cluster.ts';
import { openSource } from './source.ts';
import { createWorkQueue } from './work-queue.ts';

const name = 'kube-root-ca.crt';
const descriptionKey = 'kubernetes.io/description';
const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

/** `caPem`: what signed the API server's certificate. */
export function createRootCaController(
  cluster: Cluster,
  caPem: string,
): Controller & { readonly synced: Promise<void> } {
  const { client, clock, namespaces, signal, log } = cluster;
  const bundles = openSource<ConfigMap>(kinds.ConfigMap, {
    client,
    signal,
    log,
    fieldSelector: `metadata.name=${name}`,
  });
  const queue = createWorkQueue({ reconcile, signal, log: log.child('root-ca'), clock });
  const data = { 'ca.crt': caPem };

  namespaces.onChange((after) => {
    if (after?.metadata.name) queue.add(after.metadata.name);
  });
  bundles.onChange((after, before) => {
    const namespace = (after ?? before)?.metadata.namespace;
    if (namespace !== undefined && !isRight(after)) queue.add(namespace);
  });
  return { ...queue, synced: bundles.synced };

  async function reconcile(namespace: string): Promise<void> {
    if (!namespaces.store.has(namespace) || !isLive(cluster, namespace)) return;
    const found = bundles.store.get(`${namespace}/${name}`);
    if (isRight(found)) return;
    if (found) {
      const removed = Object.keys(found.data ?? {}).map((key) => [key, null]);
      const patch = {
        metadata: { annotations: { [descriptionKey]: description } },
        data: { ...Object.fromEntries(removed), ...data },
      };
      await client.patch(kinds.ConfigMap, name, namespace, patch, { type: 'merge', signal });
      return;
    }
    const metadata = { name, namespace, annotations: { [descriptionKey]: description } };
    const bundle: ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data };
    await client.create(kinds.ConfigMap, bundle, signal).catch((error: unknown) => {
      if (!isKubeError(error, 'kube.already-exists')) throw error;
    });
  }

  function isRight(bundle: ConfigMap | undefined): boolean {
    const keys = Object.keys(bundle?.data ?? {});
    const isDescribed = (bundle?.metadata.annotations?.[descriptionKey] ?? '') !== '';
    return keys.length === 1 && bundle?.data?.['ca.crt'] === caPem && isDescribed;
  }
}
