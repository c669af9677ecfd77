/** What an explanation consists of: steps in the order in which a request meets them. */

export type Outcome =
  /** The request goes on. */
  | 'passes'
  /** It ends here. */
  | 'stops'
  /** Worth knowing, and no hindrance. */
  | 'note';

export interface Step {
  /** Who decides: `capture`, `ztunnel (source)`, `waypoint`, `route`, `authorization`, `endpoints`, `ztunnel (destination)`, `gateway`. */
  readonly stage: string;
  readonly outcome: Outcome;
  /** In one sentence. */
  readonly summary: string;
  readonly details: readonly string[];
}

export interface Explanation {
  readonly verdict: 'reached' | 'refused';
  /** What the client sees of a refusal, as in `HTTP 403 RBAC: access denied`. */
  readonly answer?: string;
  readonly steps: readonly Step[];
}

/** Collects steps; after one that stops, no more come. */
export class Steps {
  readonly all: Step[] = [];
  #answer: string | undefined;

  get stopped(): boolean {
    return this.all.at(-1)?.outcome === 'stops';
  }

  pass(stage: string, summary: string, details: readonly string[] = []): void {
    this.all.push({ stage, outcome: 'passes', summary, details });
  }

  note(stage: string, summary: string, details: readonly string[] = []): void {
    this.all.push({ stage, outcome: 'note', summary, details });
  }

  stop(stage: string, summary: string, answer: string, details: readonly string[] = []): void {
    this.all.push({ stage, outcome: 'stops', summary, details });
    this.#answer = answer;
  }

  end(): Explanation {
    return {
      verdict: this.stopped ? 'refused' : 'reached',
      ...(this.#answer === undefined ? {} : { answer: this.#answer }),
      steps: this.all,
    };
  }
}
