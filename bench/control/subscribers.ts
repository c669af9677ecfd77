/** Many ztunnels' subscriptions in one process: they take what they are sent, count it, and keep nothing. */
import { silentLog } from '../../src/lib/log.ts';
import { addressTypeUrl, authorizationTypeUrl } from '../../src/wire/index.ts';
import { startDeltaClient, type DeltaUpdate } from '../../src/xds/index.ts';

export interface SubscribersOptions {
  readonly count: number;
  /** `https://host:port` */
  readonly address: string;
  readonly rootCertPath: string;
  readonly tokenPath: string;
  readonly signal: AbortSignal;
}

export interface Subscribers {
  readonly received: { resources: number; removals: number; bytes: number };
  /** Resolves when every subscriber got a resource (or a removal) whose name ends in `suffix`. Ask before the change. */
  told(suffix: string): Promise<void>;
}

/** Resolves when all of them hold the whole mesh. */
export async function startSubscribers(options: SubscribersOptions): Promise<Subscribers> {
  const { count, address, rootCertPath, tokenPath, signal } = options;
  const received = { resources: 0, removals: 0, bytes: 0 };
  const waiting = new Map<string, { missing: Set<number>; resolve: () => void }>();

  const arrived = (subscriber: number, name: string): void => {
    // `cluster//Pod/namespace/name` and `namespace/hostname`: the last two parts say which object.
    const key = name.split('/').slice(-2).join('/');
    const wait = waiting.get(key);
    if (!wait?.missing.delete(subscriber) || wait.missing.size > 0) return;
    waiting.delete(key);
    wait.resolve();
  };
  const take = (subscriber: number, { added, removed }: DeltaUpdate): { rejected: [] } => {
    received.resources += added.length;
    received.removals += removed.length;
    for (const { name, version, body } of added) {
      received.bytes += name.length + version.length + body.length;
      arrived(subscriber, name);
    }
    for (const name of removed) {
      received.bytes += name.length;
      arrived(subscriber, name);
    }
    return { rejected: [] };
  };
  const synced: Promise<void>[] = [];
  for (let i = 0; i < count; i++) {
    const { promise, resolve } = Promise.withResolvers<void>();
    synced.push(promise);
    startDeltaClient({
      address,
      rootCertPath,
      tokenPath,
      tlsServerName: 'istiod.istio-system.svc',
      clusterId: 'Kubernetes',
      node: {
        id: `ztunnel~10.0.0.1~ztunnel-${i}.istio-system~istio-system.svc.cluster.local`,
        metadata: { NAMESPACE: 'istio-system', SERVICE_ACCOUNT: 'ztunnel', NODE_NAME: `node-${i}` },
      },
      types: [authorizationTypeUrl, addressTypeUrl].map((typeUrl) => ({
        typeUrl,
        apply: (update: DeltaUpdate) => take(i, update),
      })),
      onSynced: resolve,
      log: silentLog(),
      signal,
    });
  }
  await Promise.all(synced);
  return {
    received,
    told(suffix) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.set(suffix, { missing: new Set(Array.from({ length: count }, (_, i) => i)), resolve });
      return promise;
    },
  };
}
