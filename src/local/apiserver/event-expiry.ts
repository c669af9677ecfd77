/** Events (the kind) live for an hour, as in Kubernetes. */
import type { Clock } from '../../lib/clock.ts';
import type { ApiObject } from './object-fields.ts';
import type { ObjectStore } from './store.ts';

const lifetimeMs = 60 * 60 * 1000;
const sweepIntervalMs = 60 * 1000;

/** Removes old Events every minute, until the returned function is called. */
export function startEventExpiry(store: ObjectStore, clock: Clock): () => void {
  let cancel: () => void;
  const sweepLater = (): void => {
    cancel = clock.after(sweepIntervalMs, () => {
      // A failed sweep is tried again by the next one.
      void store
        .write((tx) => {
          for (const { object } of tx.list('events')) {
            if (lastSeenMs(object as ApiObject) + lifetimeMs > clock.nowMs()) continue;
            tx.remove('events', object.metadata.namespace ?? '', object.metadata.name ?? '');
          }
        })
        .catch(() => undefined);
      sweepLater();
    });
  };
  sweepLater();
  return () => cancel();
}

function lastSeenMs(event: ApiObject): number {
  const times = [event['lastTimestamp'], event['eventTime'], event.metadata.creationTimestamp];
  return Math.max(...times.map((time) => (typeof time === 'string' ? Date.parse(time) || 0 : 0)));
}
