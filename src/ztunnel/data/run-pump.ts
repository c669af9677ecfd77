/** Carries the bytes of an established connection, counting as they pass, to its end. */
import { pump, type ByteChannel } from '../../net/index.ts';
import type { Connection } from './connections.ts';

/** `client` is the side that connected, `server` the side that answers. `finish` is called on the connection when both are closed. */
export function runPump(connection: Connection, client: ByteChannel, server: ByteChannel, policy?: string): void {
  const running = pump(client, server, {
    onBytes(from, byteCount) {
      if (from === 'a') connection.countReceived(byteCount);
      else connection.countSent(byteCount);
    },
    onEnd({ error }) {
      connection.finish({ error, policy });
    },
  });
  connection.established((error) => running.abort(error));
}
