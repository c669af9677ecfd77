/** Questions to somebody who answers by messages: each has a number, and an end. */
import type { Clock } from './clock.ts';

export class Questions<Answer> {
  readonly #clock: Clock;
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();
  #next = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `put` sends the question. Resolves to undefined when no answer comes in time, or none will come any more. */
  ask(put: (requestId: number) => void, timeoutMs: number): Promise<Answer | undefined> {
    return new Promise((resolve) => {
      const requestId = this.#next++;
      const settle = (answer: Answer | undefined): void => {
        cancel();
        this.#waiting.delete(requestId);
        resolve(answer);
      };
      const cancel = this.#clock.after(timeoutMs, () => settle(undefined));
      this.#waiting.set(requestId, settle);
      put(requestId);
    });
  }

  /** One that comes too late, or was not asked for, is passed over. */
  answer(requestId: number, answer: Answer): void {
    this.#waiting.get(requestId)?.(answer);
  }

  /** Whoever was asked is gone. */
  end(): void {
    for (const settle of this.#waiting.values()) settle(undefined);
  }
}
