/** Handshakes under way at one listener: so many at once, and nobody keeps others out by leaving them unfinished. */
import type { Socket } from 'node:net';

export class HandshakeSlots {
  readonly #limit: number;
  /** In the order in which they came. */
  readonly #sockets = new Set<Socket>();
  readonly #evicted = new WeakSet<Socket>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** One more begins; beyond the limit, the oldest is reset for it. Who means it needs a moment alone. */
  begin(socket: Socket): void {
    const [oldest] = this.#sockets;
    if (oldest && this.#sockets.size >= this.#limit) {
      this.#sockets.delete(oldest);
      this.#evicted.add(oldest);
      oldest.resetAndDestroy();
    }
    this.#sockets.add(socket);
  }

  /** It is over, however it ended. Idempotent. */
  end(socket: Socket): void {
    this.#sockets.delete(socket);
  }

  /** Whether it was reset for another. */
  wasEvicted(socket: Socket): boolean {
    return this.#evicted.has(socket);
  }
}
