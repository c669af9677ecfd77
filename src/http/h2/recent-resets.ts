/** The streams we reset lately: what the peer sent before it saw the reset is ignored. */

const remembered = 64;

/** A ring of stream ids; 0 (no stream) where empty. */
export class RecentResets {
  readonly #ids: number[] = [];
  #next = 0;

  add(streamId: number): void {
    this.#ids[this.#next] = streamId;
    this.#next = (this.#next + 1) % remembered;
  }

  has(streamId: number): boolean {
    return this.#ids.includes(streamId);
  }
}
