/** What is found while Istio's rules are translated: said in their status, with the path of the field. */

/** `fault`: something does not work as it was meant. `note`: something has no effect, and nothing is lost by it. */
export interface RuleProblem {
  readonly severity: 'fault' | 'note';
  /** `spec.http[0].route[1].destination.subset` */
  readonly path: string;
  readonly message: string;
  /** Condition reason of a fault. */
  readonly reason: RuleProblemReason;
}

export type RuleProblemReason =
  | 'HostNotFound'
  | 'SubsetNotFound'
  | 'SecretNotFound'
  | 'DelegateNotFound'
  | 'Conflicted'
  | 'UnsupportedValue'
  | 'Invalid';

/** Collects, each problem once. */
export class RuleProblems {
  readonly #found: Map<string, RuleProblem> = new Map();

  constructor(before: readonly RuleProblem[] = []) {
    for (const problem of before) this.#add(problem);
  }

  fault(path: string, reason: RuleProblemReason, message: string): void {
    this.#add({ severity: 'fault', path, reason, message });
  }

  note(path: string, message: string): void {
    this.#add({ severity: 'note', path, reason: 'UnsupportedValue', message });
  }

  #add(problem: RuleProblem): void {
    const key = `${problem.path} ${problem.message}`;
    if (!this.#found.has(key)) this.#found.set(key, problem);
  }

  get all(): readonly RuleProblem[] {
    return [...this.#found.values()];
  }
}
