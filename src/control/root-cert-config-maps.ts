/** Keeps ConfigMap `istio-ca-root-cert` right in every namespace: how pods and ztunnels learn whom to trust. */
import type { ConfigMap, Namespace } from '../api/core.ts';
import { kinds } from '../api/kinds.ts';
import { isKubeError, startInformer, type Informer, type KubeClient } from '../kube/index.ts';
import type { Log } from '../lib/log.ts';
import { createWorkQueue } from './work-queue.ts';

export const rootCertConfigMap = 'istio-ca-root-cert';
const dataKey = 'root-cert.pem';

export interface RootCertOptions {
  readonly client: KubeClient;
  readonly rootPem: string;
  readonly isLeader: () => boolean;
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface RootCertConfigMaps {
  /** Told by whoever watches namespaces; undefined: it is gone, or left the mesh. */
  namespaceChanged(name: string, namespace: Namespace | undefined): void;
  /** This replica leads from now on. */
  lead(): void;
  readonly synced: Promise<void>;
}

export function startRootCertConfigMaps(options: RootCertOptions): RootCertConfigMaps {
  const { client, rootPem, isLeader, signal, log } = options;
  const active = new Set<string>();

  const reconcile = async (namespace: string): Promise<void> => {
    if (!isLeader() || !active.has(namespace)) return;
    await configMaps.synced;
    const existing = configMaps.store.get(`${namespace}/${rootCertConfigMap}`);
    if (existing?.data?.[dataKey] === rootPem) return;
    const wanted: ConfigMap = {
      metadata: { name: rootCertConfigMap, namespace, labels: { 'istio.io/config': 'true' } },
      data: { [dataKey]: rootPem },
    };
    try {
      if (existing)
        await client.patch(
          kinds.ConfigMap,
          rootCertConfigMap,
          namespace,
          { data: wanted.data },
          { type: 'merge', signal },
        );
      else await client.create(kinds.ConfigMap, wanted, signal);
    } catch (error) {
      // The namespace went, or is going: there is nobody left to tell.
      if (!active.has(namespace) || isKubeError(error, 'kube.not-found')) return;
      if (isKubeError(error, 'kube.forbidden') && /terminat/.test(error.message)) return;
      throw error;
    }
  };
  const queue = createWorkQueue({ name: 'root certificates', reconcile, signal, log });
  const requeue = (object: ConfigMap): void => queue.add(object.metadata.namespace ?? '');
  const configMaps: Informer<ConfigMap> = startInformer(client, kinds.ConfigMap, {
    fieldSelector: `metadata.name=${rootCertConfigMap}`,
    signal,
    log,
    onUpdate: (_, after) => requeue(after),
    onDelete: requeue,
  });
  return {
    synced: configMaps.synced,
    namespaceChanged(name, namespace) {
      const ending = namespace?.metadata.deletionTimestamp !== undefined || namespace?.status?.phase === 'Terminating';
      if (!namespace || ending) active.delete(name);
      else active.add(name);
      queue.add(name);
    },
    lead() {
      for (const name of active) queue.add(name);
    },
  };
}
