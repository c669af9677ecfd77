/** Back-pressure on what a connection reads: bytes that their reader holds, and bytes that nobody reads yet. */
import type { ByteChannel } from '../../net/channel.ts';

export class BodyFlow {
  readonly #channel: ByteChannel;
  readonly #maxUncredited: number;
  #uncredited = 0;
  #isFull = false;
  #isHeld = false;

  constructor(channel: ByteChannel, maxUncredited: number) {
    this.#channel = channel;
    this.#maxUncredited = maxUncredited;
  }

  /** A reader got so many bytes. */
  delivered(byteCount: number): void {
    this.#uncredited += byteCount;
    if (this.#uncredited <= this.#maxUncredited || this.#isFull) return;
    this.#isFull = true;
    if (!this.#isHeld) this.#channel.pause();
  }

  /** They have left it. Never more than it got. */
  credit(byteCount: number): void {
    const count = Math.min(byteCount, this.#uncredited);
    if (count <= 0) return;
    this.#uncredited -= count;
    this.#channel.credit(count);
    if (!this.#isFull || this.#uncredited > this.#maxUncredited / 2) return;
    this.#isFull = false;
    if (!this.#isHeld) this.#channel.resume();
  }

  /** The reader is gone: nobody will credit the rest. */
  settle(): void {
    if (this.#uncredited > 0) this.credit(this.#uncredited);
  }

  /** Whether bytes wait here that nobody reads yet. */
  holds(isHeld: boolean): void {
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (this.#isFull) return;
    if (isHeld) this.#channel.pause();
    else this.#channel.resume();
  }
}
