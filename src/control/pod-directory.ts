/** The pods of a cluster by name and by node, straight from the watch, for decisions that must not lag behind. */
import type { Pod } from '../api/core.ts';
import type { PodLookup } from './node-authorizer.ts';

export class PodDirectory implements PodLookup {
  readonly #byName: Map<string, Pod> = new Map();
  readonly #byNode: Map<string, Map<string, Pod>> = new Map();
  readonly #waiting: Set<() => void> = new Set();

  get(namespace: string, name: string): Pod | undefined {
    return this.#byName.get(`${namespace}/${name}`);
  }

  onNode(node: string): Iterable<Pod> {
    return this.#byNode.get(node)?.values() ?? [];
  }

  set(pod: Pod): void {
    this.#forget(pod);
    const key = keyOf(pod);
    this.#byName.set(key, pod);
    const node = pod.spec.nodeName;
    if (node) {
      const pods = this.#byNode.get(node);
      if (pods) pods.set(key, pod);
      else this.#byNode.set(node, new Map([[key, pod]]));
    }
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }

  delete(pod: Pod): void {
    this.#forget(pod);
    this.#byName.delete(keyOf(pod));
  }

  /** Resolves at the next pod that is set, or when `signal` aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  #forget(pod: Pod): void {
    const key = keyOf(pod);
    const node = this.#byName.get(key)?.spec.nodeName;
    if (!node) return;
    const pods = this.#byNode.get(node);
    pods?.delete(key);
    if (pods?.size === 0) this.#byNode.delete(node);
  }
}

function keyOf(pod: Pod): string {
  return `${pod.metadata.namespace}/${pod.metadata.name}`;
}
