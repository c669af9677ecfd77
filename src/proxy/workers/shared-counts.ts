/** Counts that the workers of one process keep together: each changes a row of its own, and all read the sums. */

/** What one thread counts. Limits hold for the sum: several who add at the same moment may exceed one by as many as they are. */
export class SharedCounts {
  readonly #cells: Int32Array;
  readonly #width: number;
  readonly #start: number;

  /** `worker`: from 0, whose row this one changes. */
  constructor(memory: SharedArrayBuffer, { worker, width }: { readonly worker: number; readonly width: number }) {
    this.#cells = new Int32Array(memory);
    this.#width = width;
    this.#start = worker * width;
  }

  static allocate(workers: number, width: number): SharedArrayBuffer {
    return new SharedArrayBuffer(workers * width * Int32Array.BYTES_PER_ELEMENT);
  }

  /** What a worker had counted that has ended. */
  static clear(
    memory: SharedArrayBuffer,
    { worker, width }: { readonly worker: number; readonly width: number },
  ): void {
    const cells = new Int32Array(memory);
    for (let i = 0; i < width; i++) Atomics.store(cells, worker * width + i, 0);
  }

  add(column: number, change: number): void {
    Atomics.add(this.#cells, this.#start + column, change);
  }

  /** Of all others. */
  elsewhere(column: number): number {
    const cells = this.#cells;
    let sum = 0;
    for (let at = column; at < cells.length; at += this.#width) {
      if (at !== this.#start + column) sum += Atomics.load(cells, at);
    }
    return sum;
  }

  total(column: number): number {
    return this.elsewhere(column) + Atomics.load(this.#cells, this.#start + column);
  }
}

/** Columns of what is counted of a backend. */
export const backendColumns = { activeRequests: 0, pendingRequests: 1, connections: 2, retries: 3 } as const;
export const backendWidth = 4;

const backendPrefix = 'backend/';

/** The backend that a resource of the configuration is; undefined: it is none. */
export function backendOf(resource: string): string | undefined {
  return resource.startsWith(backendPrefix) ? resource.slice(backendPrefix.length) : undefined;
}
