/**
 * Port forwarding over SPDY/3.1: for each connection the client opens an error and a data stream, joined by their `requestid`,
 * with the `port` of the pod (Kubernetes, portforward.k8s.io).
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../../lib/clock.ts';
import { messageOf } from '../../../lib/errors.ts';
import { SpdyConnection, type SpdyStream } from './spdy-connection.ts';

export const portForwardProtocols: readonly string[] = ['portforward.k8s.io'];

export interface SpdyPortForwardOptions {
  readonly transport: Duplex;
  /** Connects to a port inside the pod; the socket is paused. */
  readonly connect: (port: number) => Promise<Socket>;
  /** How errors name the pod. */
  readonly pod: string;
  readonly clock: Clock;
}

interface Pair {
  error?: SpdyStream;
  data?: SpdyStream;
  cancelTimeout: () => void;
}

const openTimeoutMs = 30_000;
/** Two for each forwarded connection. */
const maxStreams = 4096;

/** Serves the connection until the client ends it. */
export function serveSpdyPortForward(options: SpdyPortForwardOptions): void {
  const { transport, clock } = options;
  const pairs = new Map<string, Pair>();
  new SpdyConnection({
    transport,
    maxStreams,
    onStream(stream) {
      const port = parsePort(stream.headers.get('port'));
      const type = stream.headers.get('streamtype');
      if (type !== 'error' && type !== 'data') throw new Error('invalid stream type');
      // Clients without ids open the two one after the other, the error stream first.
      const id = stream.headers.get('requestid') || String(type === 'error' ? stream.id : stream.id - 2);
      let pair = pairs.get(id);
      if (!pair) {
        const cancelTimeout = clock.after(openTimeoutMs, () => {
          pairs.get(id)?.error?.end('timed out waiting for streams');
          pairs.get(id)?.data?.destroy();
          pairs.delete(id);
        });
        pair = { cancelTimeout };
        pairs.set(id, pair);
      }
      if (pair[type]) throw new Error(`${type} stream already assigned`);
      pair[type] = stream;
      const { data, error } = pair;
      if (!data || !error) return;
      pair.cancelTimeout();
      pairs.delete(id);
      void forward(options, { port, data, error });
    },
    onClose() {
      for (const pair of pairs.values()) pair.cancelTimeout();
      pairs.clear();
    },
  });
}

async function forward(
  options: SpdyPortForwardOptions,
  { port, data, error }: { port: number; data: SpdyStream; error: SpdyStream },
): Promise<void> {
  error.resume();
  const fail = (thrown: unknown): void => {
    if (!error.destroyed && !error.writableEnded)
      error.end(`error forwarding port ${port} to pod ${options.pod}: ${messageOf(thrown)}`);
    // What the client has not read yet must reach it before the reset.
    if (!data.destroyed) data.end(() => data.destroy());
  };
  let socket: Socket;
  try {
    socket = await options.connect(port);
  } catch (thrown) {
    return fail(thrown);
  }
  if (data.destroyed) {
    socket.destroy();
    error.end();
    return;
  }
  socket.on('error', fail);
  socket.on('close', () => {
    if (!error.destroyed) error.end();
    if (!data.destroyed && !data.writableEnded) data.end();
    // The pod's end is over both ways: whatever the client still sends goes nowhere.
    data.resume();
  });
  data.on('close', () => {
    if (!socket.destroyed && !(socket.readableEnded && socket.writableEnded)) socket.destroy();
    if (!error.destroyed && !error.writableEnded) error.end();
  });
  data.pipe(socket);
  socket.pipe(data);
}

function parsePort(text: string | undefined): number {
  const port = Number(text);
  if (text === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) throw new Error('invalid port');
  return port;
}
