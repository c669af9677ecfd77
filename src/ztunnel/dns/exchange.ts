/** One question to one name server, from the network namespace of a pod. */
import type { Duplex } from 'node:stream';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import { formatHostPort } from '../../lib/ip.ts';
import {
  answersQuery,
  connectDatagramSocket,
  dial,
  DnsStreamReader,
  frameDnsMessage,
  type DatagramSocket,
} from '../../net/index.ts';
import type { DnsExchange } from './forwarder.ts';

export interface ExchangeOptions {
  /** Namespace of the sockets, and the mark that keeps its rules away from them; absent: the process's own. */
  readonly inside?: { readonly netns: number; readonly mark: number };
  readonly connectTimeoutMs: number;
  /** Default 53. */
  readonly port?: number;
  /** TCP to a server that the mesh has its own way to; undefined: it is dialled. */
  readonly throughMesh?: ThroughMesh | undefined;
}

export type ThroughMesh = (server: string, signal: AbortSignal) => Promise<ServerStream> | undefined;

export interface ServerStream {
  readonly stream: Duplex;
  /** Nobody reads it any more. */
  readonly close: () => void;
}

/** Makes exchanges over sockets, each of its own: its port is the kernel's random choice. */
export class SocketExchange {
  readonly #options: ExchangeOptions;
  /** By the addresses of UDP sockets whose query is under way. */
  readonly #looped = new Map<string, () => void>();

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  readonly ask: DnsExchange = (request) =>
    request.protocol === 'udp' ? this.#overUdp(request) : this.#overTcp(request);

  /**
   * Whether a query that came from there is one of ours, led back by what the kernel remembers of a client that had
   * the port before (conntrack). Then that exchange fails, and the next one has another port.
   */
  isOwn(from: { readonly address: string; readonly port: number }): boolean {
    const fail = this.#looped.get(formatHostPort(from.address, from.port));
    fail?.();
    return fail !== undefined;
  }

  async #overUdp({ server, message, signal }: Parameters<DnsExchange>[0]): Promise<Uint8Array> {
    const { inside, port = 53 } = this.#options;
    const socket = await connectDatagramSocket({ ...inside, host: server, port });
    try {
      return await this.#awaitDatagram(socket, { server, message, signal });
    } finally {
      socket.close();
    }
  }

  #awaitDatagram(
    socket: DatagramSocket,
    { server, message, signal }: Pick<Parameters<DnsExchange>[0], 'server' | 'message' | 'signal'>,
  ): Promise<Uint8Array> {
    const { address, port } = socket.address();
    const own = formatHostPort(address, port);
    return new Promise<Uint8Array>((resolve, reject) => {
      if (signal.aborted) return reject(failed(server, 'given up'));
      const fail = (reason: string): void => reject(failed(server, reason));
      signal.addEventListener('abort', () => fail('given up'), { once: true });
      this.#looped.set(own, () => fail('the query came back to us'));
      socket.on('error', (error) => fail(messageOf(error)));
      socket.on('message', (answer) => {
        // Others may guess the port: who does not know id and question is not heard.
        if (answersQuery(message, answer)) resolve(answer);
      });
      socket.send(message, (error) => {
        if (error) fail(messageOf(error));
      });
    }).finally(() => this.#looped.delete(own));
  }

  async #overTcp({ server, message, signal }: Parameters<DnsExchange>[0]): Promise<Uint8Array> {
    const { stream: socket, close } = await (this.#options.throughMesh?.(server, signal) ?? this.#dial(server, signal));
    try {
      return await new Promise<Uint8Array>((resolve, reject) => {
        if (signal.aborted) return reject(failed(server, 'given up'));
        const fail = (reason: string): void => reject(failed(server, reason));
        signal.addEventListener('abort', () => fail('given up'), { once: true });
        const reader = new DnsStreamReader();
        socket.on('error', (error) => fail(messageOf(error)));
        socket.on('close', () => fail('it closed the connection'));
        socket.on('end', () => fail('it closed the connection'));
        socket.on('data', (chunk: Buffer) => {
          for (const answer of reader.push(chunk)) if (answersQuery(message, answer)) resolve(answer);
        });
        socket.write(frameDnsMessage(message));
        socket.resume();
      });
    } finally {
      close();
    }
  }

  async #dial(server: string, signal: AbortSignal): Promise<ServerStream> {
    const { inside, port = 53, connectTimeoutMs } = this.#options;
    const socket = await dial({ ...inside, host: server, port, timeoutMs: connectTimeoutMs, signal });
    return { stream: socket, close: () => void socket.destroy() };
  }
}

function failed(server: string, reason: string): AmbitError {
  return new AmbitError(`Cannot ask name server ${formatHostPort(server, 53)}: ${reason}`, {
    code: 'dns.no-answer',
    blame: 'upstream',
  });
}
