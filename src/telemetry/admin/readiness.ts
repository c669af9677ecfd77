/** Readiness: named tasks that must be done before the process takes traffic. */

export class Readiness {
  readonly #pending: Set<string>;

  constructor(tasks: readonly string[]) {
    this.#pending = new Set(tasks);
  }

  set(task: string, ready: boolean): void {
    if (ready) this.#pending.delete(task);
    else this.#pending.add(task);
  }

  /** In no particular order; empty when ready. */
  get pending(): readonly string[] {
    return [...this.#pending];
  }
}
