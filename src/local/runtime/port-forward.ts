/**
 * The node's end of `pods/portforward` over a WebSocket, subprotocol v4.channel.k8s.io: for the i-th port channel 2i carries
 * data and 2i+1 errors; the first message on each, from us, is the port as two bytes, little-endian (kubelet, portforward/websocket.go).
 */
import type { Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import { messageOf } from '../../lib/errors.ts';

export const portForwardProtocol = 'v4.channel.k8s.io';

export interface PortForwardOptions {
  readonly webSocket: WebSocket;
  readonly ports: readonly number[];
  /** Connects to a port inside the pod. */
  readonly connect: (port: number) => Promise<Socket>;
}

/** A client that is behind by this much stops the reading from the pod until it caught up. */
const highWaterBytes = 256 * 1024;
const drainPollMs = 5;

/** Serves one WebSocket until either end closes. Each port is one connection, made when its first byte comes. */
export function servePortForward(options: PortForwardOptions): void {
  const { webSocket, ports } = options;
  let open = ports.length;
  const onDone = (): void => {
    if (--open === 0) webSocket.close(1000);
  };
  const streams = ports.map(
    (port, i) => new ForwardedPort({ webSocket, index: i, port, connect: options.connect, onDone }),
  );
  for (const stream of streams) stream.open();
  webSocket.on('message', (data: RawData, isBinary: boolean) => {
    const message = toBuffer(data);
    const channel = message[0];
    if (!isBinary || channel === undefined) return;
    // Odd channels carry errors, which only we have to tell.
    if (channel % 2 === 0) streams[channel / 2]?.receive(message.subarray(1));
  });
  const close = (): void => streams.forEach((stream) => stream.close());
  webSocket.on('close', close);
  webSocket.on('error', close);
}

/** The `ports` of a request: `?ports=80&ports=443` or `?ports=80,443`; an API server says `port` to its nodes. Throws a RangeError. */
export function parsePorts(parameters: URLSearchParams): number[] {
  const ports = [...parameters.getAll('ports'), ...parameters.getAll('port')]
    .flatMap((text) => text.split(','))
    .map(Number);
  if (ports.length === 0) throw new RangeError('query parameter "ports" is required');
  const bad = ports.find((port) => !Number.isInteger(port) || port < 1 || port > 65_535);
  if (bad !== undefined || ports.length > 64)
    throw new RangeError('query parameter "ports" must hold 1 to 64 port numbers');
  return ports;
}

interface ForwardedPortOptions {
  readonly webSocket: WebSocket;
  readonly index: number;
  readonly port: number;
  readonly connect: (port: number) => Promise<Socket>;
  /** Called once, unless it is closed from outside. */
  readonly onDone: () => void;
}

class ForwardedPort {
  readonly #options: ForwardedPortOptions;
  #socket: Socket | undefined;
  #waiting: Buffer[] = [];
  #closed = false;

  constructor(options: ForwardedPortOptions) {
    this.#options = options;
  }

  open(): void {
    const announced = Buffer.alloc(2);
    announced.writeUInt16LE(this.#options.port, 0);
    this.#send(2 * this.#options.index, announced);
    this.#send(2 * this.#options.index + 1, announced);
    void this.#start();
  }

  receive(data: Buffer): void {
    if (this.#closed || data.length === 0) return;
    if (!this.#socket) {
      // At most what one flow of the client holds before the connection is made: it is paused until then.
      this.#waiting.push(Buffer.from(data));
      this.#options.webSocket.pause();
      return;
    }
    if (!this.#socket.write(data)) {
      // The WebSocket has one flow for all ports: a slow one holds all.
      this.#options.webSocket.pause();
      this.#socket.once('drain', () => this.#options.webSocket.resume());
    }
  }

  close(): void {
    this.#closed = true;
    this.#options.webSocket.resume();
    this.#socket?.destroy();
  }

  async #start(): Promise<void> {
    let socket: Socket;
    try {
      socket = await this.#options.connect(this.#options.port);
    } catch (error) {
      this.#fail(error);
      return this.#finish();
    }
    if (this.#closed) return void socket.destroy();
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#send(2 * this.#options.index, chunk);
      if (this.#options.webSocket.bufferedAmount > highWaterBytes) this.#pauseUntilSent(socket);
    });
    // The protocol has no half-close: the pod's end is the end.
    socket.on('end', () => socket.end());
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#finish());
    for (const data of this.#waiting) socket.write(data);
    this.#waiting = [];
    this.#options.webSocket.resume();
    socket.resume();
  }

  #fail(error: unknown): void {
    const { index, port } = this.#options;
    this.#send(2 * index + 1, Buffer.from(`error forwarding port ${port} to pod: ${messageOf(error)}`));
  }

  #finish(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.webSocket.resume();
    this.#options.onDone();
  }

  #pauseUntilSent(socket: Socket): void {
    socket.pause();
    const look = (): void => {
      if (this.#closed || this.#options.webSocket.bufferedAmount <= highWaterBytes / 2) socket.resume();
      else setTimeout(look, drainPollMs);
    };
    setTimeout(look, drainPollMs);
  }

  #send(channel: number, data: Uint8Array): void {
    if (this.#options.webSocket.readyState !== this.#options.webSocket.OPEN) return;
    this.#options.webSocket.send(Buffer.concat([Buffer.from([channel]), data]), { binary: true });
  }
}

function toBuffer(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
