/** ServiceAccount tokens of one pod: bound to it, asked for on first need, renewed at 80 % of their life. */
import { afterTime, type Clock } from '../../lib/clock.ts';
import { createBackoff } from '../../lib/backoff.ts';
import { messageOf } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { KubeClient } from '../../kube/index.ts';
import type { TokenNeed } from './volume-files.ts';

export interface PodTokensOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The pod as the API knows it now (a mirror pod may have been made anew). */
  readonly pod: () => { readonly name: string; readonly uid: string };
  readonly onChange: () => void;
}

interface Held {
  token: string | undefined;
  cancel: (() => void) | undefined;
}

const renewAt = 0.8;

export class PodTokens {
  readonly #options: PodTokensOptions;
  readonly #held = new Map<string, Held>();
  #closed = false;

  constructor(options: PodTokensOptions) {
    this.#options = options;
  }

  /** The token, or undefined while it is being asked for; `onChange` says when to ask again. */
  token(need: TokenNeed): string | undefined {
    const key = `${need.expirationSeconds} ${need.audience}`;
    let held = this.#held.get(key);
    if (!held) {
      held = { token: undefined, cancel: undefined };
      this.#held.set(key, held);
      void this.#renew(need, held);
    }
    return held.token;
  }

  /** Asks for every token again: the pod that they were bound to is gone. */
  renewAll(): void {
    for (const [key, held] of this.#held) {
      const space = key.indexOf(' ');
      held.cancel?.();
      void this.#renew({ expirationSeconds: Number(key.slice(0, space)), audience: key.slice(space + 1) }, held);
    }
  }

  close(): void {
    this.#closed = true;
    for (const held of this.#held.values()) held.cancel?.();
  }

  async #renew(need: TokenNeed, held: Held, backoff = createBackoff({ initialMs: 300, maxMs: 15_000 })): Promise<void> {
    const { client, clock, log, namespace, serviceAccount } = this.#options;
    const again = (): void => void this.#renew(need, held, backoff);
    try {
      const issued = await client.requestToken(namespace, serviceAccount, {
        audiences: need.audience === '' ? [] : [need.audience],
        expirationSeconds: need.expirationSeconds,
        boundPod: this.#options.pod(),
      });
      if (this.#closed) return;
      held.token = issued.token;
      backoff.reset();
      this.#options.onChange();
      const nowMs = clock.nowMs();
      // By the calendar: it ends while the machine sleeps, too.
      held.cancel = afterTime(clock, nowMs + Math.max((issued.expiresAtMs - nowMs) * renewAt, 1_000), again);
    } catch (error) {
      if (this.#closed) return;
      held.cancel = clock.after(backoff.next(), again);
      log.warn('Cannot get a service account token', { namespace, serviceAccount, error: messageOf(error) });
    }
  }
}
