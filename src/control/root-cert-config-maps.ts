/** Keeps ConfigMap `istio-ca-root-cert` right in every namespace: how pods and ztunnels learn whom to trust. */
import type { ConfigMap, Namespace } from '../api/core.ts';
import { kinds } from '../api/kinds.ts';
import { isKubeError, startInformer, type Informer, type KubeClient } from '../kube/index.ts';
import type { Log } from '../lib/log.ts';
import { createWorkQueue } from './work-queue.ts';

export const rootCertConfigMap = 'istio-ca-root-cert';
const rootsKey = 'root-cert.pem';
/** A file beside the roots: ztunnels that see it change ask for their certificates again. */
const signerKey = 'signer.sha256';
/** How long roots stay that the authority's material no longer names: whoever starts next must know. */
const retiringAnnotation = 'ambit.io/retiring-roots-until';
/** How long roots are published before anything is signed under them: whoever starts meanwhile must wait, too. */
const introducingAnnotation = 'ambit.io/introducing-roots-until';

export interface Trust {
  readonly rootPem: string;
  /** SHA-256 of the certificate that signs now. */
  readonly signer: string;
  /** The next signer signs from this time on. */
  readonly introducingUntilMs?: number;
  /** Some of the roots go at this time. */
  readonly retiringUntilMs?: number;
}

export interface RootCertOptions {
  readonly client: KubeClient;
  readonly trust: () => Trust;
  readonly isLeader: () => boolean;
  readonly signal: AbortSignal;
  readonly log: Log;
}

export interface RootCertConfigMaps {
  /** Told by whoever watches namespaces; undefined: it is gone, or left the mesh. */
  namespaceChanged(name: string, namespace: Namespace | undefined): void;
  /** This replica leads from now on, or what is trusted is different. */
  check(): void;
  readonly synced: Promise<void>;
}

export function startRootCertConfigMaps(options: RootCertOptions): RootCertConfigMaps {
  const { client, trust, isLeader, signal, log } = options;
  const active = new Set<string>();

  const reconcile = async (namespace: string): Promise<void> => {
    if (!isLeader() || !active.has(namespace)) return;
    await configMaps.synced;
    const existing = configMaps.store.get(`${namespace}/${rootCertConfigMap}`);
    const { rootPem, signer, retiringUntilMs, introducingUntilMs } = trust();
    const annotations = {
      [retiringAnnotation]: timeOf(retiringUntilMs),
      [introducingAnnotation]: timeOf(introducingUntilMs),
    };
    const isRight =
      existing?.data?.[rootsKey] === rootPem &&
      existing.data[signerKey] === signer &&
      Object.entries(annotations).every(([name, time]) => (existing.metadata.annotations?.[name] ?? null) === time);
    if (isRight) return;
    const data = { [rootsKey]: rootPem, [signerKey]: signer };
    try {
      if (existing)
        await client.patch(
          kinds.ConfigMap,
          rootCertConfigMap,
          namespace,
          { metadata: { annotations }, data },
          { type: 'merge', signal },
        );
      else {
        const metadata = {
          name: rootCertConfigMap,
          namespace,
          labels: { 'istio.io/config': 'true' },
          annotations: Object.fromEntries(
            Object.entries(annotations).flatMap(([name, time]) => (time === null ? [] : [[name, time]])),
          ),
        };
        await client.create(kinds.ConfigMap, { metadata, data } satisfies ConfigMap, signal);
      }
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
    check() {
      for (const name of active) queue.add(name);
    },
  };
}

/** As an annotation has it; `null` takes it away. */
function timeOf(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}

export interface PublishedTrust {
  readonly rootsPem?: string;
  readonly signer?: string;
  readonly introducingUntilMs?: number;
  readonly retiringUntilMs?: number;
}

/** What a ConfigMap of ours says. */
export function publishedTrust(map: ConfigMap | undefined): PublishedTrust {
  const { [rootsKey]: rootsPem, [signerKey]: signer } = map?.data ?? {};
  const time = (name: string): number => Date.parse(map?.metadata.annotations?.[name] ?? '');
  const [introducingUntilMs, retiringUntilMs] = [time(introducingAnnotation), time(retiringAnnotation)];
  return {
    ...(rootsPem === undefined ? {} : { rootsPem }),
    ...(signer === undefined ? {} : { signer }),
    ...(Number.isNaN(introducingUntilMs) ? {} : { introducingUntilMs }),
    ...(Number.isNaN(retiringUntilMs) ? {} : { retiringUntilMs }),
  };
}
