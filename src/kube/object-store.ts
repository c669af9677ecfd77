/** The local copy of one kind: takes lists and events, keeps the objects, and tells handlers what is different. */
import { isDeepStrictEqual } from 'node:util';
import { apiVersionOf, type KindRef, type KubeObject } from '../api/index.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { isOlder } from './resource-version.ts';

/** Handlers are called one at a time, in the order of the changes; what they throw is logged. */
export interface ObjectHandlers<T extends KubeObject> {
  readonly onAdd?: (object: T) => void;
  readonly onUpdate?: (before: T, after: T) => void;
  /** With the last state that is known. */
  readonly onDelete?: (object: T) => void;
  /** Applied before an object is stored; managed fields are gone already. Keep as little as you can. It may change its argument. */
  readonly transform?: (object: T) => T;
}

/** `namespace/name`, or `name`. */
export function objectKey(object: KubeObject): string {
  const { namespace, name = '' } = object.metadata;
  return namespace ? `${namespace}/${name}` : name;
}

export class ObjectStore<T extends KubeObject> {
  readonly objects: Map<string, T> = new Map();
  readonly #kind: KindRef<T>;
  readonly #apiVersion: string;
  readonly #handlers: ObjectHandlers<T>;
  readonly #log: Log;
  /** While a list comes in: what was there before and has not come yet. */
  #unseen: Set<string> | undefined;

  constructor(kind: KindRef<T>, handlers: ObjectHandlers<T>, log: Log) {
    this.#kind = kind;
    this.#apiVersion = apiVersionOf(kind);
    this.#handlers = handlers;
    this.#log = log;
  }

  /** A list begins: what it does not name until `endList` is gone. A list that fails is begun again. */
  beginList(): void {
    this.#unseen = new Set(this.objects.keys());
  }

  /** An object as the server lists it now, which is right whatever is stored: storage may have been set back. */
  putListed(object: T): void {
    const key = objectKey(object);
    this.#unseen?.delete(key);
    const after = this.#slim(object);
    const before = this.objects.get(key);
    // Equal versions may differ after storage was set back and written to again.
    if (before && isSameVersion(before, after) && isDeepStrictEqual(before, after)) return;
    this.#replace(key, before, after);
  }

  endList(): void {
    const gone = this.#unseen ?? [];
    this.#unseen = undefined;
    for (const key of gone) {
      const object = this.objects.get(key);
      if (object) this.#remove(key, object);
    }
  }

  /** An added or changed object of a watch; what is stored may be newer, when events come twice or late. */
  put(object: T): void {
    const key = objectKey(object);
    const before = this.objects.get(key);
    if (before && (isSameVersion(before, object) || isOlder(versionOf(object), versionOf(before)))) return;
    this.#unseen?.delete(key);
    this.#replace(key, before, this.#slim(object));
  }

  /** A deletion told by a watch. One that is older than what is stored speaks of an earlier object of that name. */
  remove(object: T): void {
    const key = objectKey(object);
    const before = this.objects.get(key);
    if (!before || isOlder(versionOf(object), versionOf(before))) return;
    // The last state is told, unless it is of another object that came and went unseen.
    this.#remove(key, before.metadata.uid === object.metadata.uid ? this.#slim(object) : before);
  }

  #replace(key: string, before: T | undefined, after: T): void {
    if (before && before.metadata.uid !== after.metadata.uid) {
      // Made anew under the same name: whoever holds on to the first must let go.
      this.#remove(key, before);
      this.#replace(key, undefined, after);
      return;
    }
    this.objects.set(key, after);
    this.#call(() => (before ? this.#handlers.onUpdate?.(before, after) : this.#handlers.onAdd?.(after)));
  }

  #remove(key: string, last: T): void {
    this.objects.delete(key);
    this.#call(() => this.#handlers.onDelete?.(last));
  }

  /** Without what nobody reads. Servers leave apiVersion and kind out of the items of a list: here all have them. */
  #slim(object: T): T {
    delete object.metadata.managedFields;
    object.apiVersion ??= this.#apiVersion;
    object.kind ??= this.#kind.kind;
    if (!this.#handlers.transform) return object;
    try {
      return this.#handlers.transform(object);
    } catch (error) {
      this.#logFailure('a transform failed, the object is stored as it is', error);
      return object;
    }
  }

  #call(handler: () => void): void {
    try {
      handler();
    } catch (error) {
      this.#logFailure('a handler failed', error);
    }
  }

  #logFailure(message: string, error: unknown): void {
    this.#log.error(message, { error: messageOf(error), stack: error instanceof Error ? error.stack : undefined });
  }
}

function versionOf(object: KubeObject): string | undefined {
  return object.metadata.resourceVersion;
}

function isSameVersion(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.resourceVersion === b.metadata.resourceVersion;
}
