/** The live output of a container, for those who attach to it; its log takes the same bytes. */
import type { Readable } from 'node:stream';

export type OutputName = 'stdout' | 'stderr';
type Listener = (name: OutputName, chunk: Buffer) => void;

export class OutputHub {
  readonly #listeners = new Set<Listener>();
  readonly #open = new Set<Readable>();
  readonly #ends = new Set<() => void>();

  add(name: OutputName, source: Readable): void {
    this.#open.add(source);
    source.on('data', (chunk: Buffer) => {
      for (const listener of this.#listeners) listener(name, chunk);
    });
    source.on('close', () => {
      this.#open.delete(source);
      if (this.#open.size === 0) for (const end of this.#ends) end();
    });
  }

  /** Calls `listener` with what comes from now on, and `onEnd` when nothing more does. The returned function stops it. */
  listen(listener: Listener, onEnd: () => void): () => void {
    this.#listeners.add(listener);
    this.#ends.add(onEnd);
    return () => {
      this.#listeners.delete(listener);
      this.#ends.delete(onEnd);
    };
  }
}
