/** Watches the kinds that discovery reads, and writes them into its sources. */
import type { KindRef, KubeObject } from '../api/meta.ts';
import { kinds } from '../api/kinds.ts';
import type { AuthorizationPolicy } from '../api/istio.ts';
import type { Namespace, Pod } from '../api/core.ts';
import type { ClusterId } from '../api/names.ts';
import type { Source } from '../collection/index.ts';
import { keyOfObject, type DiscoverySources } from '../discovery/index.ts';
import { startInformer, type Informer, type KubeClient } from '../kube/index.ts';
import type { Log } from '../lib/log.ts';

export interface InformersOptions {
  readonly client: KubeClient;
  readonly cluster: ClusterId;
  readonly sources: DiscoverySources;
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Called besides the sources, straight from the watch. */
  readonly onPod: (pod: Pod) => void;
  readonly onPodGone: (pod: Pod) => void;
  readonly onNamespace: (namespace: Namespace) => void;
  readonly onPolicy: (policy: AuthorizationPolicy) => void;
}

export interface Informers {
  readonly policies: Informer<AuthorizationPolicy>;
  /** Every kind was listed once. */
  readonly synced: Promise<void>;
  /** Kinds that were not, by plural. */
  readonly missing: ReadonlySet<string>;
}

export function startInformers(options: InformersOptions): Informers {
  const { client, cluster, sources, signal, log } = options;
  const missing = new Set<string>();
  const watch = <T extends KubeObject>(
    kind: KindRef<T>,
    source: Source<T>,
    tell: { onChange?: (object: T) => void; onGone?: (object: T) => void } = {},
  ): Informer<T> => {
    const set = (object: T): void => {
      source.set(keyOfObject(cluster, object), object);
      tell.onChange?.(object);
    };
    const informer = startInformer(client, kind, {
      signal,
      log,
      transform: slim,
      onAdd: set,
      onUpdate: (_, after) => set(after),
      onDelete(object) {
        source.delete(keyOfObject(cluster, object));
        tell.onGone?.(object);
      },
    });
    missing.add(kind.plural);
    informer.synced.then(
      () => missing.delete(kind.plural),
      () => {},
    );
    return informer;
  };
  const policies = watch(kinds.AuthorizationPolicy, sources.authorizationPolicies, { onChange: options.onPolicy });
  const all = [
    policies,
    watch(kinds.Pod, sources.pods, { onChange: options.onPod, onGone: options.onPodGone }),
    watch(kinds.Service, sources.services),
    watch(kinds.EndpointSlice, sources.endpointSlices),
    watch(kinds.Node, sources.nodes),
    watch(kinds.Namespace, sources.namespaces, { onChange: options.onNamespace }),
    watch(kinds.PeerAuthentication, sources.peerAuthentications),
  ];
  const synced = Promise.all(all.map((informer) => informer.synced)).then(() => {});
  synced.catch(() => {});
  return { policies, synced, missing };
}

/** Without what nobody here reads and what is often most of an object. */
function slim<T extends KubeObject>(object: T): T {
  delete object.metadata.annotations?.['kubectl.kubernetes.io/last-applied-configuration'];
  return object;
}
