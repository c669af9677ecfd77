/** Which pods this node runs: those that the API places on it and those of its manifests, a worker each. */
import type { Pod } from '../../api/index.ts';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import { deletePodNow, ensureMirrorPod, isMirrorPod } from './mirror-pod.ts';
import type { NodeContext } from './node-context.ts';
import { PodWorker } from './pod-worker.ts';
import type { StaticPod } from './static-pods.ts';

/** A pod that is gone from the API without having been stopped gets this long. */
const orphanGraceMs = 2_000;
const defaultGraceSeconds = 30;

interface StaticEntry {
  readonly wanted: StaticPod;
  readonly stop: AbortController;
  worker: PodWorker | undefined;
  ensuring: boolean;
}

export class PodManager {
  readonly #node: NodeContext;
  readonly #signal: AbortSignal;
  /** By UID. */
  readonly #workers = new Map<string, PodWorker>();
  /** By `namespace/name`. */
  readonly #static = new Map<string, StaticEntry>();
  #isClosing = false;

  constructor(node: NodeContext, signal: AbortSignal) {
    this.#node = node;
    this.#signal = signal;
  }

  workers(): PodWorker[] {
    const statics = [...this.#static.values()].flatMap((entry) => (entry.worker ? [entry.worker] : []));
    return [...statics, ...[...this.#workers.values()].filter((worker) => !worker.isStatic)];
  }

  find(namespace: string, name: string): PodWorker | undefined {
    const matching = this.workers().filter(
      ({ pod }) => pod.metadata.namespace === namespace && pod.metadata.name === name,
    );
    return matching.find((worker) => !worker.isStopping) ?? matching[0];
  }

  /** The API has this pod on the node, new or changed. */
  apply(pod: Pod): void {
    if (isMirrorPod(pod)) return this.#applyMirror(pod);
    const { uid = '' } = pod.metadata;
    const worker = this.#workers.get(uid);
    if (worker) worker.update(pod);
    if (pod.metadata.deletionTimestamp) {
      const graceMs = (pod.metadata.deletionGracePeriodSeconds ?? defaultGraceSeconds) * 1000;
      if (worker) worker.stop(graceMs);
      else void this.#deleteObject(pod);
      return;
    }
    const isFinished = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    if (worker || isFinished) return;
    this.#start(new PodWorker({ node: this.#node, pod, uid, isStatic: false }), true);
  }

  /** The API has it no more. */
  remove(pod: Pod): void {
    if (isMirrorPod(pod)) return this.#removeMirror(pod);
    this.#workers.get(pod.metadata.uid ?? '')?.stop(orphanGraceMs);
  }

  /** These are the static pods now. */
  applyStatic(wanted: ReadonlyMap<string, StaticPod>): void {
    for (const [key, entry] of this.#static) {
      if (wanted.get(key)?.hash === entry.wanted.hash) continue;
      this.#static.delete(key);
      entry.stop.abort();
      const { worker } = entry;
      if (worker) {
        worker.stop((worker.pod.spec.terminationGracePeriodSeconds ?? defaultGraceSeconds) * 1000);
        void worker.done.then(() => this.#deleteObject(worker.pod));
      }
    }
    for (const [key, each] of wanted) {
      if (this.#static.has(key)) continue;
      const entry: StaticEntry = { wanted: each, stop: new AbortController(), worker: undefined, ensuring: false };
      this.#static.set(key, entry);
      void this.#ensureMirror(entry);
    }
  }

  /** Ends every pod's processes and waits for them; their objects stay in the API. */
  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    for (const entry of this.#static.values()) entry.stop.abort();
    const workers = [...this.#workers.values()];
    for (const worker of workers) worker.close(graceMs);
    await Promise.all(workers.map((worker) => worker.done));
  }

  #start(worker: PodWorker, deleteObject: boolean): void {
    this.#workers.set(worker.uid, worker);
    void worker.done.then(async () => {
      this.#workers.delete(worker.uid);
      if (this.#isClosing || !deleteObject) return;
      await this.#deleteObject(worker.pod);
    });
  }

  async #ensureMirror(entry: StaticEntry): Promise<void> {
    if (entry.ensuring || entry.stop.signal.aborted) return;
    entry.ensuring = true;
    try {
      const { client, log } = this.#node;
      const pod = await ensureMirrorPod({ client, wanted: entry.wanted, signal: entry.stop.signal, log });
      if (entry.stop.signal.aborted) return;
      if (entry.worker) {
        entry.worker.update(pod);
      } else {
        const uid = pod.metadata.uid ?? entry.wanted.hash;
        entry.worker = new PodWorker({ node: this.#node, pod, uid, isStatic: true });
        this.#start(entry.worker, false);
      }
    } catch {
      // Only the manifest going away ends the tries.
    } finally {
      entry.ensuring = false;
    }
  }

  #applyMirror(pod: Pod): void {
    const entry = this.#static.get(`${pod.metadata.namespace}/${pod.metadata.name}`);
    if (
      !entry ||
      pod.metadata.deletionTimestamp ||
      entry.wanted.pod.metadata.annotations?.['kubernetes.io/config.hash'] !==
        pod.metadata.annotations?.['kubernetes.io/config.hash']
    ) {
      // Deleted, or left of a manifest that is gone: the static pod itself does not mind.
      if (!entry || pod.metadata.deletionTimestamp) void this.#deleteObject(pod);
      return;
    }
    if (entry.worker?.pod.metadata.uid === pod.metadata.uid) entry.worker?.update(pod);
  }

  #removeMirror(pod: Pod): void {
    const entry = this.#static.get(`${pod.metadata.namespace}/${pod.metadata.name}`);
    if (entry?.worker?.pod.metadata.uid === pod.metadata.uid) void this.#ensureMirror(entry as StaticEntry);
  }

  /** Takes the object out of the API, with its last status written first. */
  async #deleteObject(pod: Pod): Promise<void> {
    const { name = '', namespace = 'default', uid = '' } = pod.metadata;
    const reference = { name, namespace, uid };
    await this.#node.statuses.flushed(reference);
    const backoff = createBackoff({ initialMs: 200, maxMs: 5_000 });
    while (!this.#signal.aborted) {
      try {
        await deletePodNow(this.#node.client, pod, this.#signal);
        break;
      } catch (error) {
        if (this.#signal.aborted) return;
        this.#node.log.warn('Cannot delete a pod object', { pod: `${namespace}/${name}`, error: messageOf(error) });
        await sleep(backoff.next(), this.#signal);
      }
    }
    this.#node.statuses.forget(reference);
  }
}
