/** Writes log lines in batches without ever waiting: bounded, and honest about what it dropped. */

export interface LineWriterOptions {
  /** Takes the text of one batch and calls `done` when it may have the next. */
  readonly write: (text: string, done: () => void) => void;
  /** Lines that may wait while a batch is being written. Default 10,000. */
  readonly maxLines?: number;
  /** The line that tells of `count` dropped ones. */
  readonly droppedLine: (count: number) => string;
}

export class LineWriter {
  readonly #options: LineWriterOptions;
  readonly #maxLines: number;
  #lines: string[] = [];
  #dropped = 0;
  #busy = false;
  #idleWaiters: (() => void)[] = [];

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
    // One batch a loop turn: a burst of connections costs one write.
    setImmediate(() => this.#writeBatch());
  }

  /** Resolves once everything queued so far was handed on. */
  flush(): Promise<void> {
    if (!this.#busy) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #writeBatch(): void {
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
    let called = false;
    this.#options.write(text, () => {
      if (called) return;
      called = true;
      setImmediate(() => this.#writeBatch());
    });
  }
}
