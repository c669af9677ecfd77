/** Writes log lines in batches: bounded, without loss while whoever makes them waits for room, honest about what it dropped. */

export interface LineWriterOptions {
  /** Takes the text of one batch and calls `done` when it may have the next. */
  readonly write: (text: string, done: () => void) => void;
  readonly nowMs: () => number;
  /** Lines that may wait while a batch is being written. Default 10,000. */
  readonly maxLines?: number;
  /** The line that tells of `count` dropped ones. */
  readonly droppedLine: (count: number) => string;
}

/** A reader that took nothing for so long has stopped: nobody waits for it. */
const stuckMs = 5000;

export class LineWriter {
  readonly #options: LineWriterOptions;
  readonly #maxLines: number;
  #lines: string[] = [];
  #dropped = 0;
  #busy = false;
  #busySinceMs = 0;
  #idleWaiters: (() => void)[] = [];
  /** For all who wait, and its timer. */
  #room: { readonly promise: Promise<void>; readonly resolve: () => void; readonly timer: NodeJS.Timeout } | undefined;

  constructor(options: LineWriterOptions) {
    this.#options = options;
    this.#maxLines = options.maxLines ?? 10_000;
  }

  /** Queues one line (without its newline). */
  write(line: string): void {
    if (this.#lines.length >= this.#maxLines) {
      this.#dropped++;
      return;
    }
    this.#lines.push(line);
    if (this.#busy) return;
    this.#busy = true;
    this.#busySinceMs = this.#options.nowMs();
    // One batch a loop turn: a burst of connections costs one write.
    setImmediate(() => this.#writeBatch());
  }

  /** Resolves when fewer than half of the lines that may wait do. Undefined: now, or the reader is stuck. */
  room(): Promise<void> | undefined {
    // What is under way still ends in lines: half is left for it.
    if (this.#lines.length * 2 < this.#maxLines) return undefined;
    const waitMs = this.#busySinceMs + stuckMs - this.#options.nowMs();
    if (waitMs <= 0) return undefined;
    if (this.#room) return this.#room.promise;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#room = { promise, resolve, timer: setTimeout(() => this.#release(), waitMs).unref() };
    return promise;
  }

  /** Resolves once everything queued so far was handed on. */
  flush(): Promise<void> {
    if (!this.#busy) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #release(): void {
    if (!this.#room) return;
    clearTimeout(this.#room.timer);
    this.#room.resolve();
    this.#room = undefined;
  }

  #writeBatch(): void {
    this.#busySinceMs = this.#options.nowMs();
    if (this.#dropped > 0) {
      this.#lines.push(this.#options.droppedLine(this.#dropped));
      this.#dropped = 0;
    }
    if (this.#lines.length === 0) {
      this.#busy = false;
      const waiters = this.#idleWaiters;
      this.#idleWaiters = [];
      for (const resolve of waiters) resolve();
      return;
    }
    const text = `${this.#lines.join('\n')}\n`;
    this.#lines = [];
    this.#release();
    let called = false;
    this.#options.write(text, () => {
      if (called) return;
      called = true;
      setImmediate(() => this.#writeBatch());
    });
  }
}
