/** One tunnel over a connection of its own: the inner one of two (ambient-l4 3.9). It is never shared, and ends with its tunnel. */
import { type Clock, systemClock } from '../lib/clock.ts';
import type { ByteChannel } from '../net/channel.ts';
import { Http2Session, type Http2Limits, type ReceiveBudget } from '../http/h2/index.ts';
import { ConnectAttempt, connectHead, type TunnelChannel, type TunnelRequest } from './connect-attempt.ts';
import { dialFailed, dialTimeout, hboneAborted, hboneClosed } from './errors.ts';
import { hboneLimits } from './settings.ts';

export interface SingleTunnelOptions {
  /** TLS and its checks done, ALPN h2, nothing read. Owned from here on, also when it fails. */
  readonly channel: ByteChannel;
  readonly request: TunnelRequest;
  /** The peer's SETTINGS and its answer together. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly settings?: Partial<Http2Limits>;
  readonly budget?: ReceiveBudget;
}

/** A tunnel, once the peer answered 2xx. Rejects as `HbonePool.connect` does. */
export function connectSingleTunnel(options: SingleTunnelOptions): Promise<TunnelChannel> {
  const { channel, request, timeoutMs, signal, clock = systemClock, settings, budget } = options;
  return new Promise((resolve, reject) => {
    let answered = false;
    const fail = (error: Error): void => {
      cancelTimeout();
      session.close(error);
      reject(error);
    };
    const attempt = new ConnectAttempt({
      head: connectHead(request),
      signal,
      resolve(tunnel) {
        answered = true;
        cancelTimeout();
        resolve(tunnel);
      },
      reject: fail,
      retry: (again) => again.fail(hboneClosed('the peer refused the only stream of its connection')),
    });
    const session: Http2Session = new Http2Session({
      role: 'client',
      channel,
      clock,
      limits: hboneLimits(settings),
      ...(budget ? { budget } : {}),
      handler: {
        onReady() {
          if (session.canOpen) attempt.open(session);
          else attempt.fail(dialFailed(new Error('the peer allows no streams')));
        },
        onChange() {
          if (answered && session.activeStreams === 0) session.drain();
        },
        onClose: (error) => attempt.fail(dialFailed(error ?? new Error('The peer closed the connection'))),
      },
    });
    const cancelTimeout = clock.after(timeoutMs, () => attempt.fail(dialTimeout(timeoutMs)));
    session.start();
    if (signal?.aborted) attempt.fail(hboneAborted(signal.reason));
  });
}
