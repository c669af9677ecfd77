/** Fairness between users: how many requests each may have in flight, so that one user's flood leaves room for others. */
import { tooManyRequests } from './status-error.ts';

export interface RequestLimits {
  /** Of one user, watches and other streams not counted. */
  readonly requestsPerUser: number;
  /** Of all users together. */
  readonly requests: number;
  /** Long-lived requests of one user. */
  readonly streamsPerUser: number;
}

/** Kubernetes lets 600 through at once; a client that is not flooding has a few dozen. */
export const defaultLimits: RequestLimits = { requestsPerUser: 200, requests: 600, streamsPerUser: 3000 };

export class RequestLimiter {
  readonly #limits: RequestLimits;
  readonly #requests = new Map<string, number>();
  readonly #streams = new Map<string, number>();
  #total = 0;

  constructor(limits: RequestLimits = defaultLimits) {
    this.#limits = limits;
  }

  /** Counts a request until the returned function is called, once. Throws 429. */
  enter(username: string, isStream: boolean): () => void {
    const counts = isStream ? this.#streams : this.#requests;
    const limit = isStream ? this.#limits.streamsPerUser : this.#limits.requestsPerUser;
    const count = counts.get(username) ?? 0;
    if (count >= limit || (!isStream && this.#total >= this.#limits.requests)) {
      throw tooManyRequests('too many requests, please try again later.');
    }
    counts.set(username, count + 1);
    if (!isStream) this.#total++;
    return () => {
      const left = (counts.get(username) ?? 1) - 1;
      if (left === 0) counts.delete(username);
      else counts.set(username, left);
      if (!isStream) this.#total--;
    };
  }
}
