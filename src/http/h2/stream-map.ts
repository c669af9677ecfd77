/**
 * Streams by id. A `Map` would do, but for the garbage of the tables that it leaves behind (`lib/linked-list.ts`): this one table stays,
 * and streams only come and go in it.
 */

const initialSlots = 16;

/** Open addressing: an entry is in the first free slot from its own on. At least half of the slots are free. */
export class StreamMap<T extends { readonly id: number }> {
  #slots: (T | undefined)[] = emptySlots(initialSlots);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    return this.#slots[this.#find(id)];
  }

  /** One stream an id. */
  add(stream: T): void {
    if (this.#size * 2 >= this.#slots.length) this.#grow();
    const slot = this.#find(stream.id);
    if (this.#slots[slot] === undefined) this.#size++;
    this.#slots[slot] = stream;
  }

  delete(id: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = this.#find(id);
    if (slots[hole] === undefined) return;
    this.#size--;
    slots[hole] = undefined;
    // Who stands behind a hole would not be found: each moves up that does not come before its own slot by that.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined) return;
      const away = (at - slotOf(stream.id, mask)) & mask;
      if (away < ((at - hole) & mask)) continue;
      slots[hole] = stream;
      slots[at] = undefined;
      hole = at;
    }
  }

  /** Those that are there now, by id: meanwhile they may come and go. */
  values(): T[] {
    return this.#slots.filter((stream) => stream !== undefined).toSorted((a, b) => a.id - b.id);
  }

  /** Where the stream is, or would be. */
  #find(id: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let at = slotOf(id, mask); ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined || stream.id === id) return at;
    }
  }

  #grow(): void {
    const streams = this.#slots;
    this.#slots = emptySlots(streams.length * 2);
    for (const stream of streams) if (stream !== undefined) this.#slots[this.#find(stream.id)] = stream;
  }
}

/** The ids of one side are all odd, or all even. */
function slotOf(id: number, mask: number): number {
  return (id >>> 1) & mask;
}

function emptySlots<T>(length: number): (T | undefined)[] {
  return Array.from({ length }, () => undefined);
}
