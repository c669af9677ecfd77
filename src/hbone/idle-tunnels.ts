/** A bound on the connections without tunnels of many pools together, whoever has them. */

export interface IdleConnection {
  readonly idleSinceMs: number;
  close(): void;
}

export interface IdleHolder {
  /** Connections, idle or not. */
  readonly size: number;
  idle(): IdleConnection[];
}

/** So many of the bound may become idle before it is looked at: a look may walk everything. */
const slackShare = 1 / 8;

/**
 * Beyond the bound those who hold most let go, of what has been idle for longest. A connection that becomes idle costs a number; there may
 * be an eighth more than the bound for a moment.
 */
export class IdleBound {
  readonly #max: number;
  readonly #holders = new Set<IdleHolder>();
  /** That became idle since the last look. */
  #noted = 0;
  #isLooking = false;

  constructor(max: number) {
    this.#max = max;
  }

  join(holder: IdleHolder): void {
    this.#holders.add(holder);
  }

  leave(holder: IdleHolder): void {
    this.#holders.delete(holder);
  }

  /** A connection of one of them is without tunnels. */
  note(): void {
    if (++this.#noted <= this.#max * slackShare || this.#isLooking) return;
    this.#isLooking = true;
    // Not within what the connection is doing.
    setImmediate(() => {
      this.#isLooking = false;
      this.#noted = 0;
      this.#look();
    });
  }

  #look(): void {
    let size = 0;
    for (const holder of this.#holders) size += holder.size;
    if (size <= this.#max) return;
    const held = [...this.#holders]
      .map((holder) => holder.idle().toSorted((a, b) => b.idleSinceMs - a.idleSinceMs))
      .toSorted((a, b) => b.length - a.length);
    let excess = held.reduce((sum, { length }) => sum + length, 0) - this.#max;
    // From the top down to the level that leaves as many as may be.
    for (let level = held[0]?.length ?? 0; excess > 0 && level > 0; level--) {
      for (const connections of held) {
        if (excess <= 0 || connections.length < level) break;
        connections.pop()?.close();
        excess--;
      }
    }
  }
}
