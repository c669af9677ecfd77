/**
 * Keeps connections to an echo server busy with random data and checks every byte that comes back.
 * Arguments: HOST PORT CONNECTIONS BYTES_PER_CONNECTION (0: until its standard input ends). Prints a JSON line a second
 * `{open, echoed, errors}`, and one at the end with `done: true`. Exit code 1 when a byte or a connection was lost.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

const [, , host = '', port = '', connections = '1', bytesEach = '0'] = process.argv;
const limit = Number(bytesEach);
const errors: string[] = [];
let open = 0;
let echoed = 0;
let stopping = false;

/** Random blocks made once; a connection sends slices of its own, chosen by a seed of its own. */
const noise = randomBytes(1 << 20);

function stream(index: number): Promise<void> {
  return new Promise((resolve) => {
    let sent = 0;
    let received = 0;
    let ended = false;
    const start = (index * 7919) % noise.length;
    const byteAt = (position: number): number => noise[(start + position) % noise.length] ?? 0;
    const socket: Socket = connect({ host, port: Number(port), noDelay: true, allowHalfOpen: true });
    const fail = (reason: string): void => {
      errors.push(`connection ${index}: ${reason} after ${received} of ${sent} bytes`);
      socket.destroy();
    };
    const send = (): void => {
      while (!ended) {
        if ((limit > 0 && sent >= limit) || stopping) {
          ended = true;
          socket.end();
          return;
        }
        // In an endless stream one block is under way at a time, so that the load stays small.
        if (limit === 0 && sent > received) return;
        const from = (start + sent) % noise.length;
        const size = Math.min(1 + ((sent * 31 + index) % 16_384), noise.length - from, limit > 0 ? limit - sent : 4096);
        sent += size;
        if (!socket.write(noise.subarray(from, from + size))) return;
      }
    };
    socket.on('connect', () => {
      open += 1;
      send();
    });
    socket.on('drain', send);
    socket.on('data', (chunk: Buffer) => {
      for (let i = 0; i < chunk.length; i++) {
        if (chunk[i] !== byteAt(received + i)) return fail(`wrong byte at ${received + i}`);
      }
      received += chunk.length;
      echoed += chunk.length;
      if (limit === 0) setTimeout(send, 5);
    });
    socket.on('error', (error) =>
      errors.push(`connection ${index}: ${error.message} after ${received} of ${sent} bytes`),
    );
    socket.on('end', () => {
      if (!ended || received !== sent) fail('ended early');
    });
    socket.on('close', () => {
      open -= 1;
      resolve();
    });
  });
}

process.stdin.on('end', () => {
  stopping = true;
  // A connection that hangs would keep the program for ever: that too is a loss, and must be said.
  setTimeout(() => {
    errors.push('connections did not end within 10 s');
    report(true);
    process.exit(1);
  }, 10_000).unref();
});
if (limit === 0) process.stdin.resume();
const report = (done: boolean): void => console.log(JSON.stringify({ done, open, echoed, errors }));
const timer = setInterval(() => report(false), 1000);
await Promise.all(Array.from({ length: Number(connections) }, (_, index) => stream(index)));
clearInterval(timer);
report(true);
process.exit(errors.length === 0 ? 0 : 1);
