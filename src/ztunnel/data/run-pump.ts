/** Carries the bytes of an established connection, counting as they pass, to its end. */
import { pump, type ByteChannel } from '../../net/index.ts';
import type { Connection } from './connections.ts';
import type { PodContext } from './data-context.ts';
import type { HalfClosed } from './half-closed.ts';

export interface PumpRun {
  readonly pod: PodContext;
  readonly connection: Connection;
  /** The side that connected. */
  readonly client: ByteChannel;
  /** The side that answers. */
  readonly server: ByteChannel;
  /** The policy that allowed it. */
  readonly policy?: string | undefined;
  /** Both sides are closed. */
  readonly onEnd?: (() => void) | undefined;
}

/** `finish` is called on the connection when both sides are closed. */
export function runPump({ pod, connection, client, server, policy, onEnd }: PumpRun): void {
  const { halfClosed } = pod;
  let seenHalfClosed: HalfClosed | undefined;
  const running = pump(client, server, {
    onBytes(from, byteCount) {
      if (from === 'a') connection.countReceived(byteCount);
      else connection.countSent(byteCount);
    },
    onHalfClose() {
      seenHalfClosed = halfClosed.add(connection);
    },
    onEnd({ error }) {
      if (seenHalfClosed) halfClosed.remove(seenHalfClosed);
      onEnd?.();
      connection.finish({ error });
    },
  });
  connection.allowedBy(policy);
  connection.established((error) => running.abort(error));
}
