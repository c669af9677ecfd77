/** Kubernetes Events of a component of one node: repeats are counted on one object, floods are dropped. */
import { kinds, type Event, type ObjectReference } from '../api/index.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import type { KubeClient } from './client.ts';

export interface EventRecorderOptions {
  readonly client: Pick<KubeClient, 'create' | 'patch'>;
  /** `source.component`, such as `kubelet`. */
  readonly component: string;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Log;
}

interface Known {
  readonly name: string;
  readonly namespace: string;
  count: number;
}

/** Each object may have this many events at once, and one more each `refillMs`: as client-go's spam filter. */
const burst = 25;
const refillMs = 60_000;
const maxKnown = 1024;
const maxWaiting = 256;

export class EventRecorder {
  readonly #options: EventRecorderOptions;
  /** By what the event says: a repeat patches the count. */
  readonly #known = new Map<string, Known>();
  readonly #tokens = new Map<string, { left: number; atMs: number }>();
  #waiting = 0;
  #chain: Promise<void> = Promise.resolve();
  #serial = 0;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Never throws and never waits: events are worth less than the work they tell of. */
  emit(about: ObjectReference, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.#waiting >= maxWaiting || !this.#mayEmit(about.uid ?? about.name ?? '')) return;
    this.#waiting++;
    this.#chain = this.#chain.then(async () => {
      this.#waiting--;
      await this.#write(about, type, reason, message).catch((error: unknown) => {
        this.#options.log.debug('Cannot write an event', { reason, error: messageOf(error) });
      });
    });
  }

  async #write(about: ObjectReference, type: string, reason: string, message: string): Promise<void> {
    const { client, clock, nodeName, component } = this.#options;
    const now = new Date(clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z');
    const key = [about.uid, about.fieldPath, type, reason, message].join('\n');
    const known = this.#known.get(key);
    if (known) {
      known.count++;
      const patch = { count: known.count, lastTimestamp: now };
      await client.patch(kinds.Event, known.name, known.namespace, patch, { type: 'merge' });
      return;
    }
    const namespace = about.namespace ?? 'default';
    const name = `${about.name}.${(clock.nowMs() * 1000 + (this.#serial++ % 1000)).toString(16)}`;
    const event: Event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: { ...about },
      type,
      reason,
      message: message.slice(0, 1024),
      source: { component, host: nodeName },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
      reportingComponent: component,
      reportingInstance: nodeName,
    };
    await client.create(kinds.Event, event);
    if (this.#known.size >= maxKnown) this.#known.delete(this.#known.keys().next().value ?? '');
    this.#known.set(key, { name, namespace, count: 1 });
  }

  #mayEmit(object: string): boolean {
    const nowMs = this.#options.clock.nowMs();
    const bucket = this.#tokens.get(object) ?? { left: burst, atMs: nowMs };
    bucket.left = Math.min(burst, bucket.left + (nowMs - bucket.atMs) / refillMs);
    bucket.atMs = nowMs;
    if (this.#tokens.size >= maxKnown) this.#tokens.delete(this.#tokens.keys().next().value ?? '');
    this.#tokens.set(object, bucket);
    if (bucket.left < 1) return false;
    bucket.left--;
    return true;
  }
}
