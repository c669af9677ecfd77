/** Writes pod statuses to the API: only the latest of each pod, only when it changed, again when the API was away. */
import { isDeepStrictEqual } from 'node:util';
import { kinds, type PodStatus } from '../../api/index.ts';
import { createBackoff } from '../../lib/backoff.ts';
import { sleep } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';

export interface PodReference {
  readonly namespace: string;
  readonly name: string;
  /** As the API knows it: a pod of the same name made later is another one. */
  readonly uid: string;
}

interface Slot {
  wanted: PodStatus;
  written: PodStatus | undefined;
  busy: Promise<void> | undefined;
}

export class StatusWriter {
  readonly #client: KubeClient;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #slots = new Map<string, Slot>();

  constructor(options: { readonly client: KubeClient; readonly log: Log; readonly signal: AbortSignal }) {
    this.#client = options.client;
    this.#log = options.log;
    this.#signal = options.signal;
  }

  write(pod: PodReference, status: PodStatus): void {
    const slot = this.#slots.get(pod.uid) ?? { wanted: status, written: undefined, busy: undefined };
    slot.wanted = status;
    this.#slots.set(pod.uid, slot);
    slot.busy ??= this.#flush(pod, slot).finally(() => (slot.busy = undefined));
  }

  /** Resolves when the last status given was written, or never can be. */
  async flushed(pod: PodReference): Promise<void> {
    await this.#slots.get(pod.uid)?.busy;
  }

  forget(pod: PodReference): void {
    this.#slots.delete(pod.uid);
  }

  async #flush(pod: PodReference, slot: Slot): Promise<void> {
    const backoff = createBackoff({ initialMs: 100, maxMs: 5_000 });
    // One turn later, so that several changes of one moment become one write.
    await Promise.resolve();
    while (!isDeepStrictEqual(slot.wanted, slot.written) && !this.#signal.aborted) {
      const status = slot.wanted;
      try {
        const patch = { metadata: { uid: pod.uid }, status: withRemovals(slot.written, status) };
        await this.#client.patch(kinds.Pod, pod.name, pod.namespace, patch, {
          type: 'merge',
          subresource: 'status',
          signal: this.#signal,
        });
        slot.written = status;
      } catch (error) {
        if (this.#signal.aborted) return;
        if (isKubeError(error) && (error.status === 404 || error.status === 409)) {
          // Deleted, or another pod of the same name: nobody waits for this status any more.
          slot.written = status;
          continue;
        }
        this.#log.warn('Cannot write a pod status', { pod: `${pod.namespace}/${pod.name}`, error: messageOf(error) });
        await sleep(backoff.next(), this.#signal);
      }
    }
  }
}

/** A merge patch leaves what it does not name: what was written before and is gone now is set to null. */
function withRemovals(before: PodStatus | undefined, after: PodStatus): Record<string, unknown> {
  const removed = Object.keys(before ?? {}).filter((key) => !(key in after));
  return { ...after, ...Object.fromEntries(removed.map((key) => [key, null])) };
}
