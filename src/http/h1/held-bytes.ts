/** What a server has read and cannot take yet: it waits for an answer, or for a reader. */
import { ByteQueue } from '../h2/byte-queue.ts';
import type { BodyFlow } from './body-flow.ts';

/** Takes what it can, and says how many bytes that were. */
type TakeBytes = (bytes: Uint8Array) => number;

export class HeldBytes {
  readonly #flow: BodyFlow;
  /** Most connections never need one. */
  #queue: ByteQueue | undefined;

  constructor(flow: BodyFlow) {
    this.#flow = flow;
  }

  get isEmpty(): boolean {
    return this.#queue === undefined || this.#queue.length === 0;
  }

  /** Keeps a copy, and stops the peer. */
  hold(bytes: Uint8Array): void {
    this.#queue ??= new ByteQueue();
    this.#queue.append(bytes);
    this.#flow.holds(true);
  }

  /** Gives what waits to `take`, in order, as far as it takes it; true: nothing is left. */
  release(take: TakeBytes): boolean {
    const queue = this.#queue;
    while (queue !== undefined && queue.length > 0) {
      const piece = queue.peek();
      const used = take(piece);
      queue.consume(used);
      if (used < piece.length) return false;
    }
    this.#flow.holds(false);
    return true;
  }

  clear(): void {
    this.#queue?.clear();
  }
}
