/** What is deployed for Gateways, as it is in the API: applied where it is not as wanted, and taken away. Objects of others stay. */
import { isDeepStrictEqual } from 'node:util';
import type { Deployment } from '../../api/apps.ts';
import type { Gateway } from '../../api/gateway.ts';
import { kinds } from '../../api/kinds.ts';
import type { KindRef, KubeObject } from '../../api/meta.ts';
import { isKubeError, startInformer, type Informer, type KubeClient } from '../../kube/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { gatewayNameLabel, managedLabel } from './gateway-metadata.ts';
import { deployedParts, partKinds } from './parts.ts';
import type { Rendered } from './render.ts';

export interface ManagedObjectsOptions {
  readonly client: KubeClient;
  /** Under which our fields are known. */
  readonly fieldManager: string;
  /** Values of the label that says who manages an object, where that is us. */
  readonly managers: ReadonlySet<string>;
  /** An object of this Gateway, `namespace/name`, came, changed or went. */
  readonly onChange: (gateway: string) => void;
  readonly signal: AbortSignal;
  readonly log: Log;
}

export class ManagedObjects {
  readonly #options: ManagedObjectsOptions;
  readonly #informers: ReadonlyMap<KindRef, Informer<KubeObject>>;
  /** By kind and name: what an object looked like right after it was applied, and from what. */
  readonly #applied = new Map<string, { readonly intent: KubeObject; readonly result: unknown }>();

  /** Starts to watch at once. */
  constructor(options: ManagedObjectsOptions) {
    this.#options = options;
    this.#informers = new Map(deployedParts.map((part) => [partKinds[part], this.#watch(partKinds[part])]));
  }

  /** Everything that is managed was listed once. */
  async synced(): Promise<void> {
    await Promise.all([...this.#informers.values()].map(({ synced }) => synced));
  }

  /** Why the object was not applied; undefined when it was, or is as wanted. Throws what may be better the next time. */
  async apply({ kind, object }: Rendered, gateway: Gateway): Promise<string | undefined> {
    const { client, fieldManager, signal } = this.#options;
    const { name, namespace = '' } = object.metadata;
    const existing = this.#store(kind).get(`${namespace}/${name}`) ?? (await this.#find(kind, name, namespace));
    const key = keyOf(kind, object);
    const last = this.#applied.get(key);
    const isKnown = last !== undefined && isDeepStrictEqual(last.intent, object);
    if (existing && isKnown && isDeepStrictEqual(last.result, essence(existing))) return undefined;
    const owner = existing && ownerOf(existing);
    if (existing && owner === undefined) {
      // An account of the user's own is what the annotation is for.
      return kind.kind === 'ServiceAccount'
        ? undefined
        : `${kind.kind} ${name} exists and is not managed: it is left alone`;
    }
    if (owner !== undefined && owner !== gateway.metadata.name) {
      return kind.kind === 'ServiceAccount' ? undefined : `${kind.kind} ${name} is that of Gateway ${owner}`;
    }
    try {
      const options = { type: 'apply', fieldManager, force: true, signal } as const;
      const stored = await client.patch(kind, name, namespace, object, options);
      this.#applied.set(key, { intent: object, result: essence(stored) });
      return undefined;
    } catch (error) {
      if (!isKubeError(error) || !isRefusal(error.status)) throw error;
      return `${kind.kind} ${name} is refused: ${messageOf(error)}`;
    }
  }

  /** Takes away what a Gateway owns and is wanted no more: what goes by another name now, only once that serves by itself. */
  async prune(gateway: Gateway, wanted: readonly Rendered[]): Promise<void> {
    const { client, managers, signal, log } = this.#options;
    const { uid, namespace = '' } = gateway.metadata;
    const isServing = wanted.every((one) => one.kind !== kinds.Deployment || this.#isAvailable(one.object));
    for (const kind of this.#informers.keys()) {
      const names = new Set(wanted.filter((one) => one.kind === kind).map(({ object }) => object.metadata.name));
      if (names.size > 0 && !isServing) continue;
      for (const { metadata } of this.#store(kind).values()) {
        const { name = '', labels = {}, ownerReferences = [], deletionTimestamp } = metadata;
        const isOurs = managers.has(labels[managedLabel] ?? '') && ownerReferences.some((owner) => owner.uid === uid);
        if (!isOurs || names.has(name) || deletionTimestamp !== undefined) continue;
        await client.delete(kind, name, namespace, { signal }).catch((error: unknown) => {
          if (!isKubeError(error, 'kube.not-found')) throw error;
        });
        log.info('deleted what a Gateway needs no more', { kind: kind.kind, namespace, name });
      }
    }
  }

  /**
   * Whether all the pods of a Deployment take traffic. Its own word, not the Service's: both Services of a Gateway that gets
   * another name choose the pods of both Deployments.
   */
  #isAvailable({ metadata }: KubeObject): boolean {
    const key = `${metadata.namespace}/${metadata.name}`;
    const deployment = this.#store(kinds.Deployment).get(key) as Deployment | undefined;
    if (!deployment) return false;
    const { observedGeneration = 0, updatedReplicas = 0, availableReplicas = 0 } = deployment.status ?? {};
    const { replicas = 1 } = deployment.spec;
    const isSeen = observedGeneration >= (deployment.metadata.generation ?? 0);
    return isSeen && Math.min(updatedReplicas, availableReplicas) >= replicas;
  }

  #watch(kind: KindRef): Informer<KubeObject> {
    const { client, onChange, signal, log } = this.#options;
    const tell = ({ metadata }: KubeObject): void => {
      const gateway = metadata.labels?.[gatewayNameLabel];
      if (gateway !== undefined) onChange(`${metadata.namespace}/${gateway}`);
    };
    return startInformer(client, kind, {
      labelSelector: managedLabel,
      signal,
      log,
      onAdd: tell,
      onUpdate: (_, after) => tell(after),
      onDelete: (object) => {
        this.#applied.delete(keyOf(kind, object));
        tell(object);
      },
    });
  }

  #store(kind: KindRef): ReadonlyMap<string, KubeObject> {
    return this.#informers.get(kind)?.store ?? new Map();
  }

  /** What carries no label of ours is not watched. */
  async #find(kind: KindRef, name: string, namespace: string): Promise<KubeObject | undefined> {
    const { client, signal } = this.#options;
    try {
      return await client.get(kind, name, namespace, signal);
    } catch (error) {
      if (isKubeError(error, 'kube.not-found')) return undefined;
      throw error;
    }
  }
}

/** Name of the Gateway that an object is deployed for; undefined: it is not managed. */
function ownerOf({ metadata }: KubeObject): string | undefined {
  const { labels = {} } = metadata;
  return labels[managedLabel] === undefined ? undefined : (labels[gatewayNameLabel] ?? '');
}

/** What of an object its owner may change; whoever changes it otherwise is undone. */
function essence(object: KubeObject): unknown {
  const { metadata, spec } = object as KubeObject & { readonly spec?: unknown };
  const { uid, labels, annotations, ownerReferences } = metadata;
  return { uid, labels, annotations, ownerReferences, spec };
}

/** The object is wrong; everything else may only be the moment. */
function isRefusal(status: number): boolean {
  return status >= 400 && status < 500 && ![404, 408, 409, 429].includes(status);
}

function keyOf(kind: KindRef, { metadata }: KubeObject): string {
  return `${kind.plural} ${metadata.namespace}/${metadata.name}`;
}
