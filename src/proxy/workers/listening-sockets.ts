/** The sockets that the workers accept from, one a port: theirs are duplicates, so that none takes what it cannot serve any more with it. */
import { closeDescriptor, duplicateDescriptor, openListenSocket } from '../../net/index.ts';

export class ListeningSockets {
  readonly #host: string;
  readonly #byPort = new Map<number, number>();
  #closed = false;

  /** `host`: IP literal; `::` for all addresses. */
  constructor(host: string) {
    this.#host = host;
  }

  get ports(): number[] {
    return [...this.#byPort.keys()];
  }

  /** A descriptor of the socket of the port, the caller's own. Throws what `openListenSocket` does. */
  duplicate(port: number): number {
    if (this.#closed) throw new Error('the proxy is ending');
    let fd = this.#byPort.get(port);
    if (fd === undefined) this.#byPort.set(port, (fd = openListenSocket({ host: this.#host, port })));
    return duplicateDescriptor(fd);
  }

  /** Closes those of other ports. */
  keep(ports: ReadonlySet<number>): void {
    for (const [port, fd] of this.#byPort) {
      if (ports.has(port)) continue;
      this.#byPort.delete(port);
      closeDescriptor(fd);
    }
  }

  /** Opens no more. */
  close(): void {
    this.#closed = true;
    this.keep(new Set());
  }
}

/** Descriptors on their way to a worker: ours until it has its own, by its requests. */
export class HandedSockets {
  readonly #sockets: ListeningSockets;
  readonly #byRequest = new Map<number, number>();

  constructor(sockets: ListeningSockets) {
    this.#sockets = sockets;
  }

  /** What to send. Throws as `duplicate`. */
  hand(requestId: number, port: number): number {
    const fd = this.#sockets.duplicate(port);
    this.#byRequest.set(requestId, fd);
    return fd;
  }

  /** The worker has it. */
  taken(requestId: number): void {
    const fd = this.#byRequest.get(requestId);
    this.#byRequest.delete(requestId);
    if (fd !== undefined) closeDescriptor(fd);
  }

  /** The worker is gone. */
  clear(): void {
    for (const requestId of this.#byRequest.keys()) this.taken(requestId);
  }
}
