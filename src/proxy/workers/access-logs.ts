/** The access logs that workers write to, by path: a batch after the other, so that lines stay whole. */
import type { WriteLines } from '../telemetry/index.ts';

export class AccessLogs {
  readonly #open: (path: string) => WriteLines;
  readonly #logs = new Map<string, { readonly write: WriteLines; last: Promise<void> }>();

  constructor(open: (path: string) => WriteLines) {
    this.#open = open;
  }

  /** `done` is called once the lines are written. */
  write(path: string, text: string, done: () => void): void {
    let log = this.#logs.get(path);
    if (!log) this.#logs.set(path, (log = { write: this.#open(path), last: Promise.resolve() }));
    const { write } = log;
    log.last = log.last.then(() => new Promise<void>((resolve) => write(text, resolve))).then(done);
  }

  /** Resolves once all that came is written. */
  async written(): Promise<void> {
    await Promise.all([...this.#logs.values()].map(({ last }) => last));
  }
}
