/** One TCP connection of a client of the DNS proxy: queries in, answers out in the order in which they come (RFC 7766). */
import type { Socket } from 'node:net';
import { DnsStreamReader, frameDnsMessage } from '../../net/index.ts';

/** A client that says nothing for this long, and is owed nothing, is let go. */
const idleMs = 10_000;
/** Queries of one connection that may wait; more are read later. */
const maxWaiting = 16;
/** Answers that the client does not take. */
const maxUnsentBytes = 256 * 1024;

/** Serves the connection to its end. `respond` never rejects. */
export function serveDnsClient(
  socket: Socket,
  respond: (message: Uint8Array) => Uint8Array | undefined | Promise<Uint8Array | undefined>,
): void {
  const reader = new DnsStreamReader();
  let waiting = 0;
  let hasEnded = false;
  const queue: Uint8Array[] = [];
  const finishIfDone = (): void => {
    if (hasEnded && waiting === 0 && queue.length === 0) socket.end();
  };
  const deliver = (answer: Uint8Array | undefined): void => {
    waiting--;
    if (socket.destroyed) return;
    // Who sends noise is no client.
    if (answer) socket.write(frameDnsMessage(answer));
    else socket.destroy();
  };
  const work = (): void => {
    while (queue.length > 0 && waiting < maxWaiting && socket.writableLength < maxUnsentBytes) {
      const message = queue.shift();
      if (!message) break;
      waiting++;
      const answer = respond(message);
      if (answer instanceof Promise) void answer.then(deliver).then(work);
      else deliver(answer);
    }
    if (socket.destroyed) return;
    if (queue.length > 0) socket.pause();
    else if (socket.isPaused()) socket.resume();
    finishIfDone();
  };
  socket.setTimeout(idleMs, () => {
    if (waiting === 0) socket.destroy();
  });
  socket.on('data', (chunk: Buffer) => {
    for (const message of reader.push(chunk)) queue.push(message);
    work();
  });
  socket.on('drain', work);
  socket.on('end', () => {
    hasEnded = true;
    finishIfDone();
  });
  socket.resume();
}
