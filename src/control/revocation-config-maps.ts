/** Copies ConfigMap `istio-ca-crl` of the control plane's namespace into every other one: how proxies of Gateways learn whose certificates are revoked. */
import type { ConfigMap, Namespace } from '../api/core.ts';
import { kinds } from '../api/kinds.ts';
import { isKubeError, startInformer, type Informer, type KubeClient } from '../kube/index.ts';
import type { Log } from '../lib/log.ts';
import { createWorkQueue } from './work-queue.ts';

export const revocationConfigMap = 'istio-ca-crl';
const listsKey = 'ca-crl.pem';

export interface RevocationConfigMapsOptions {
  readonly client: KubeClient;
  /** The control plane's, where whoever runs the authority writes the lists. */
  readonly namespace: string;
  readonly isLeader: () => boolean;
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface RevocationConfigMaps {
  /** Told by whoever watches namespaces; undefined: it is gone, or left the mesh. */
  namespaceChanged(name: string, namespace: Namespace | undefined): void;
  /** This replica leads from now on. */
  check(): void;
}

export function startRevocationConfigMaps(options: RevocationConfigMapsOptions): RevocationConfigMaps {
  const { client, namespace: home, isLeader, signal, log } = options;
  const active = new Set<string>();
  const read = (namespace: string): ConfigMap | undefined =>
    configMaps.store.get(`${namespace}/${revocationConfigMap}`);

  const reconcile = async (namespace: string): Promise<void> => {
    if (!isLeader() || namespace === home || !active.has(namespace)) return;
    await configMaps.synced;
    const source = read(home);
    const [text, bytes] = [source?.data?.[listsKey], source?.binaryData?.[listsKey]];
    // Whoever deletes the lists, or their key, revokes no less: copies stay until there are others.
    if (text === undefined && bytes === undefined) return;
    const existing = read(namespace);
    if (existing && existing.data?.[listsKey] === text && existing.binaryData?.[listsKey] === bytes) return;
    try {
      if (existing) {
        const change = { data: { [listsKey]: text ?? null }, binaryData: { [listsKey]: bytes ?? null } };
        await client.patch(kinds.ConfigMap, revocationConfigMap, namespace, change, { type: 'merge', signal });
        return;
      }
      const metadata = { name: revocationConfigMap, namespace, labels: { 'istio.io/config': 'true' } };
      const content: Pick<ConfigMap, 'data' | 'binaryData'> = {
        ...(text === undefined ? {} : { data: { [listsKey]: text } }),
        ...(bytes === undefined ? {} : { binaryData: { [listsKey]: bytes } }),
      };
      await client.create(kinds.ConfigMap, { metadata, ...content } satisfies ConfigMap, signal);
    } catch (error) {
      // The namespace went, or is going: there is nobody left to tell.
      if (!active.has(namespace) || isKubeError(error, 'kube.not-found')) return;
      if (isKubeError(error, 'kube.forbidden') && /terminat/.test(error.message)) return;
      throw error;
    }
  };
  const queue = createWorkQueue({ name: 'revocation lists', reconcile, signal, log });
  const check = (): void => {
    for (const name of active) queue.add(name);
  };
  const changed = ({ metadata: { namespace = '' } }: ConfigMap): void => {
    if (namespace === home) check();
    else queue.add(namespace);
  };
  const configMaps: Informer<ConfigMap> = startInformer(client, kinds.ConfigMap, {
    fieldSelector: `metadata.name=${revocationConfigMap}`,
    signal,
    log,
    onAdd: changed,
    onUpdate: (_, after) => changed(after),
    onDelete: changed,
  });
  return {
    check,
    namespaceChanged(name, namespace) {
      const ending = namespace?.metadata.deletionTimestamp !== undefined || namespace?.status?.phase === 'Terminating';
      if (!namespace || ending) active.delete(name);
      else active.add(name);
      queue.add(name);
    },
  };
}
