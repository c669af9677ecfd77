/**
 * How many large responses may be on their way at once, over all clients: when a whole fleet connects, memory holds a few
 * copies of the mesh, not one for each client. Small responses never wait.
 */
import type { Clock } from '../lib/clock.ts';

/** A client that does not answer lets the others on after this long. */
const holdMs = 10_000;

export interface PushSlots {
  /** A slot for `holder`, or undefined; then `onFree` is called once, when it is worth asking again. */
  take(onFree: () => void): PushSlot | undefined;
  /** No longer interested. */
  forget(onFree: () => void): void;
}

export interface PushSlot {
  /** The client has the response, or is gone. May be called again. */
  release(): void;
}

export function createPushSlots(count: number, clock: Clock): PushSlots {
  const waiting = new Set<() => void>();
  let free = count;
  const next = (): void => {
    const [first] = waiting;
    if (!first || free === 0) return;
    waiting.delete(first);
    first();
  };
  return {
    take(onFree) {
      if (free === 0) {
        waiting.add(onFree);
        return undefined;
      }
      waiting.delete(onFree);
      free--;
      let held = true;
      const release = (): void => {
        if (!held) return;
        held = false;
        cancel();
        free++;
        next();
      };
      const cancel = clock.after(holdMs, release);
      return { release };
    },
    forget(onFree) {
      waiting.delete(onFree);
    },
  };
}
