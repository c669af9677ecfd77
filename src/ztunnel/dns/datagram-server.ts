/** UDP of the DNS proxy: one redirected port, whose socket can be left to a successor without losing what came in. */
import { adoptDatagramSocket, deafen, hasDatagrams, type DatagramSocket } from '../../net/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';

export interface DatagramServerOptions {
  /** Bound; the server's from now on. */
  readonly fd: number;
  readonly family: 'ipv4' | 'ipv6';
  readonly log: Log;
  /** Whether what came from there is nothing to answer. */
  readonly isNoise: (from: { readonly address: string; readonly port: number }) => boolean;
  /** Never rejects. */
  readonly respond: (message: Uint8Array) => Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /** Opens another socket that is bound alike. */
  readonly reopen: () => number | undefined;
}

export class DatagramServer {
  readonly #options: DatagramServerOptions;
  /** The one that answers go out from; others are read until nothing waits in them. */
  #socket: DatagramSocket | undefined;
  #isClosed = false;
  readonly #open = new Set<DatagramSocket>();

  private constructor(options: DatagramServerOptions) {
    this.#options = options;
  }

  static async start(options: DatagramServerOptions): Promise<DatagramServer> {
    const server = new DatagramServer(options);
    await server.#adopt(options.fd);
    return server;
  }

  /**
   * Receives no more, and can still answer. A closed socket loses what waits in it, and cannot answer who has asked; an open one
   * gets its share of what comes, and may be a successor's too. So answers go out from a second socket, bound alike, which nobody
   * can reach; what it gets before that is answered like all else.
   */
  async stopReceiving(): Promise<void> {
    const { fd, reopen } = this.#options;
    const before = this.#socket;
    if (!before) return;
    const reply = reopen();
    if (reply === undefined) return;
    await this.#adopt(reply);
    if (this.#isClosed) return;
    deafen(reply, this.#options.family);
    const closeWhenRead = (): void => {
      if (!this.#open.has(before)) return;
      if (hasDatagrams(fd)) return void setImmediate(closeWhenRead);
      this.#open.delete(before);
      before.close();
    };
    closeWhenRead();
  }

  close(): void {
    this.#isClosed = true;
    this.#socket = undefined;
    for (const socket of this.#open) socket.close();
    this.#open.clear();
  }

  async #adopt(fd: number): Promise<void> {
    const { family, log, isNoise, respond } = this.#options;
    const socket = await adoptDatagramSocket(fd, family);
    if (this.#isClosed) return void socket.close();
    this.#open.add(socket);
    this.#socket = socket;
    socket.on('error', (error) => log.warn('DNS socket failed', { error: messageOf(error) }));
    socket.on('message', (message, { port, address }) => {
      if (isNoise({ address, port })) return;
      // The pod may have left while somebody was asked.
      const send = (answer: Uint8Array | undefined): void => {
        if (answer) this.#socket?.send(answer, port, address, () => {});
      };
      const answer = respond(message);
      if (answer instanceof Promise) void answer.then(send);
      else send(answer);
    });
  }
}
