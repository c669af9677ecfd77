/** Asks the control plane to fetch the keys of an issuer anew, since a token named one that nobody knows (ambient-l7, 3.4). */
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';
import { shownUrl } from '../lib/shown-url.ts';
import { createRpcChannel, type RpcChannelOptions } from '../rpc/index.ts';
import { refreshKeySetMethod } from '../wire/index.ts';

export interface KeyRefreshOptions {
  readonly controlPlane: RpcChannelOptions;
  readonly clock: Clock;
  readonly log: Log;
}

export interface KeyRefresh {
  /** Returns at once; asks at most once in five seconds for a set: clients choose the keys that their tokens name. */
  ask(keySet: string): void;
  close(): void;
}

const intervalMs = 5000;
const timeoutMs = 5000;

export function createKeyRefresh({ controlPlane, clock, log }: KeyRefreshOptions): KeyRefresh {
  const channel = createRpcChannel(controlPlane);
  const ended = new AbortController();
  const { signal } = ended;
  /** Sets that were asked for a moment ago. */
  const resting = new Set<string>();
  return {
    ask(keySet) {
      if (resting.has(keySet) || signal.aborted) return;
      resting.add(keySet);
      clock.after(intervalMs, () => resting.delete(keySet));
      channel.unary(refreshKeySetMethod, { keySet }, { signal, timeoutMs }).then(
        () =>
          log.debug('asked for the keys of an issuer, as a token names an unknown one', { keySet: shownUrl(keySet) }),
        (error: unknown) => {
          if (signal.aborted) return;
          log.warn('cannot ask for the keys of an issuer', { keySet: shownUrl(keySet), error: messageOf(error) });
        },
      );
    },
    close() {
      ended.abort();
      channel.close();
    },
  };
}
