/** Objects in memory with one growing revision, and listeners: what a simulated API server serves. */
import { apiVersionOf, type KindRef, type KubeObject } from '../../src/api/index.ts';

export interface StoreEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}

/** `pods`, `authorizationpolicies.security.istio.io` */
export type ResourceName = string;

export function resourceName(group: string, plural: string): ResourceName {
  return group === '' ? plural : `${plural}.${group}`;
}

export class ObjectStore {
  readonly #objects = new Map<ResourceName, Map<string, KubeObject>>();
  readonly #listeners = new Map<ResourceName, Set<(event: StoreEvent) => void>>();
  #revision = 1;

  get revision(): string {
    return String(this.#revision);
  }

  put(kind: Pick<KindRef, 'group' | 'version' | 'kind' | 'plural'>, object: KubeObject): KubeObject {
    const name = resourceName(kind.group, kind.plural);
    const key = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    const objects = this.#of(name);
    const stored = {
      ...object,
      apiVersion: apiVersionOf(kind as KindRef),
      kind: kind.kind,
      metadata: { ...object.metadata, resourceVersion: String(++this.#revision) },
    };
    const type = objects.has(key) ? 'MODIFIED' : 'ADDED';
    objects.set(key, stored);
    this.#tell(name, { type, object: stored });
    return stored;
  }

  get(name: ResourceName, namespace: string, objectName: string): KubeObject | undefined {
    return this.#of(name).get(`${namespace}/${objectName}`);
  }

  list(name: ResourceName, namespace: string | undefined): KubeObject[] {
    const all = [...this.#of(name).values()];
    return namespace === undefined ? all : all.filter(({ metadata }) => metadata.namespace === namespace);
  }

  delete(kind: Pick<KindRef, 'group' | 'plural'>, namespace: string, objectName: string): void {
    const name = resourceName(kind.group, kind.plural);
    const object = this.get(name, namespace, objectName);
    if (!object) return;
    this.#of(name).delete(`${namespace}/${objectName}`);
    const metadata = { ...object.metadata, resourceVersion: String(++this.#revision) };
    this.#tell(name, { type: 'DELETED', object: { ...object, metadata } });
  }

  subscribe(name: ResourceName, listener: (event: StoreEvent) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  #of(name: ResourceName): Map<string, KubeObject> {
    const objects = this.#objects.get(name) ?? new Map<string, KubeObject>();
    this.#objects.set(name, objects);
    return objects;
  }

  #tell(name: ResourceName, event: StoreEvent): void {
    for (const listener of this.#listeners.get(name) ?? []) listener(event);
  }
}
