/** Keeps the node's service rules as the API says: one nft transaction after a burst of changes. */
import { createBackoff } from '../../lib/backoff.ts';
import type { Clock } from '../../lib/clock.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { planServiceRules, type ServiceRulesInput } from './service-rules.ts';
import { runTool } from './tool.ts';

export interface ServiceProxyOptions {
  /** What the rules are made of, read each time they are made. */
  readonly input: () => ServiceRulesInput;
  readonly clock: Clock;
  readonly log: Log;
  /** Loads an nft script into the node's network namespace; default: `nft -f -` in the caller's. */
  readonly apply?: (script: string) => Promise<void>;
}

/** Changes within this time become one transaction. */
const settleMs = 20;

export class ServiceProxy {
  readonly #options: ServiceProxyOptions;
  readonly #backoff = createBackoff({ initialMs: 200, maxMs: 10_000 });
  #cancel: (() => void) | undefined;
  #applied = '';
  #busy = false;
  #again = false;
  #closed = false;

  constructor(options: ServiceProxyOptions) {
    this.#options = options;
  }

  /** Something that the rules are made of changed. */
  changed(): void {
    this.#schedule(settleMs);
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #schedule(delayMs: number): void {
    if (this.#closed || this.#cancel) return;
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#cancel = undefined;
      void this.#apply();
    });
  }

  async #apply(): Promise<void> {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    this.#busy = true;
    try {
      const script = planServiceRules(this.#options.input());
      if (script !== this.#applied) {
        await (this.#options.apply ?? loadRules)(script);
        this.#applied = script;
      }
      this.#backoff.reset();
    } catch (error) {
      this.#options.log.error('Cannot load service rules', { error: messageOf(error) });
      this.#schedule(this.#backoff.next());
    } finally {
      this.#busy = false;
    }
    if (this.#again) {
      this.#again = false;
      this.#schedule(settleMs);
    }
  }
}

async function loadRules(script: string): Promise<void> {
  await runTool({ command: ['nft', '-f', '-'], input: script });
}
