/** Follows the mesh configuration of this revision; one that cannot be read leaves the last good one in force. */
import type { ConfigMap } from '../api/core.ts';
import { kinds } from '../api/kinds.ts';
import type { ClusterId } from '../api/names.ts';
import type { Source } from '../collection/index.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { startInformer, type InformerMetrics, type KubeClient } from '../kube/index.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { meshConfigKey, meshConfigName, parseMeshConfig } from './mesh-config.ts';

export interface MeshConfigWatchOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly revision: string;
  readonly cluster: ClusterId;
  readonly source: Source<MeshConfig>;
  readonly metrics: InformerMetrics;
  readonly signal: AbortSignal;
  readonly log: Log;
}

/** Resolves when the configuration there is, if any, is in the source. */
export function watchMeshConfig(options: MeshConfigWatchOptions): Promise<void> {
  const { client, namespace, revision, cluster, source, metrics, signal, log } = options;
  const name = meshConfigName(revision);
  const take = (configMap: ConfigMap): void => {
    const place = { configMap: `${namespace}/${name}`, key: meshConfigKey };
    try {
      const { config, ignored } = parseMeshConfig(configMap.data?.[meshConfigKey] ?? '');
      source.set(cluster, config);
      log.info('mesh configuration read', {
        ...place,
        discoverySelectors: config.discoverySelectors.length,
        outboundTrafficPolicy: config.outboundTrafficPolicy,
      });
      if (ignored.length > 0)
        log.warn('fields of the mesh configuration are not supported', { ...place, fields: ignored });
    } catch (error) {
      log.error('mesh configuration refused: the last good one stays in force', { ...place, error: messageOf(error) });
    }
  };
  const informer = startInformer(client, kinds.ConfigMap, {
    namespace,
    fieldSelector: `metadata.name=${name}`,
    metrics,
    signal,
    log,
    onAdd: take,
    onUpdate: (_, after) => take(after),
    onDelete: () => source.delete(cluster),
  });
  return informer.synced;
}
