/** Kubernetes Events of the controllers: written in the background, one after another, dropped when too many wait. */
import { apiVersionOf, kinds, type Event, type KindRef, type KubeObject } from '../../api/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';

export interface EventWriterOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

export interface ControllerEvent {
  /** `default-scheduler`, `deployment-controller`, ... */
  readonly component: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

export interface EventWriter {
  /** Never throws and never waits. */
  write(kind: KindRef, about: KubeObject, event: ControllerEvent): void;
}

const maxWaiting = 256;
const maxKnown = 512;

export function createEventWriter(options: EventWriterOptions): EventWriter {
  const { client, clock, log, signal } = options;
  /** Events already written, by what they say: a repeat raises the count. */
  const known = new Map<string, { name: string; namespace: string; count: number }>();
  let waiting = 0;
  let serial = 0;
  let chain: Promise<void> = Promise.resolve();

  return {
    write(kind, about, event) {
      if (waiting >= maxWaiting || signal.aborted) return;
      waiting++;
      chain = chain
        .then(() => store(kind, about, event))
        .catch((error: unknown) =>
          log.debug('cannot write an event', { reason: event.reason, error: messageOf(error) }),
        )
        .finally(() => waiting--);
    },
  };

  async function store(kind: KindRef, about: KubeObject, event: ControllerEvent): Promise<void> {
    if (signal.aborted) return;
    const { name = '', namespace, uid = '', resourceVersion = '' } = about.metadata;
    const now = new Date(clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z');
    const key = [uid, event.reason, event.message].join('\n');
    const earlier = known.get(key);
    if (earlier) {
      earlier.count++;
      const patch = { count: earlier.count, lastTimestamp: now };
      await client.patch(kinds.Event, earlier.name, earlier.namespace, patch, { type: 'merge', signal });
      return;
    }
    // The suffix keeps names apart, also between runs.
    const suffix = (clock.nowMs() * 1000 + (serial++ % 1000)).toString(16);
    const object: Event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name}.${suffix}`, namespace: namespace ?? 'default' },
      involvedObject: {
        apiVersion: apiVersionOf(kind),
        kind: kind.kind,
        name,
        uid,
        resourceVersion,
        ...(namespace !== undefined && { namespace }),
      },
      type: event.type,
      reason: event.reason,
      message: event.message.slice(0, 1024),
      source: { component: event.component },
      reportingComponent: event.component,
      reportingInstance: '',
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
    await client.create(kinds.Event, object, signal);
    if (known.size >= maxKnown) known.delete(known.keys().next().value ?? '');
    known.set(key, { name: `${name}.${suffix}`, namespace: namespace ?? 'default', count: 1 });
  }
}
