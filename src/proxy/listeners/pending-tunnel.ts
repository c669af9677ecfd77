/**
 * A CONNECT that is answered when it is known who serves it: 200 once somebody reads or writes the tunnel, a refusal where it is reset
 * before that. Peers that are refused may try another way; one whose tunnel is cut has to guess.
 */
import { reasonHeader, type ConnectRequest } from '../../hbone/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';
import type { ByteChannel, ChannelReader, WriteResult } from '../../net/channel.ts';
import { fieldText } from '../engine/local-reply.ts';
import { isDenial } from '../engine/tcp-forwarding.ts';

export interface PendingTunnelOptions {
  readonly request: ConnectRequest;
  readonly clock: Clock;
  /** The peer has its answer by then. */
  readonly timeoutMs: number;
}

export class PendingTunnel implements ByteChannel {
  readonly neverKeeps: boolean = true;
  readonly #request: ConnectRequest;
  readonly #over = new AbortController();
  readonly #cancel: () => void;
  #tunnel: ByteChannel | undefined;
  #isRefused = false;

  constructor({ request, clock, timeoutMs }: PendingTunnelOptions) {
    this.#request = request;
    const { signal } = request;
    const giveUp = (): void => this.#over.abort(signal.reason);
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    const stopTimer = clock.after(timeoutMs, () => this.#over.abort(tooLate(timeoutMs)));
    this.#cancel = () => {
      stopTimer();
      signal.removeEventListener('abort', giveUp);
    };
  }

  /** Aborted when nobody waits for the answer any more: the peer gave up, or the time is over. Never after the answer. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  read(reader: ChannelReader): void {
    this.#accepted().read(reader);
  }

  write(bytes: Uint8Array): WriteResult {
    return this.#accepted().write(bytes);
  }

  pause(): void {
    this.#tunnel?.pause();
  }

  resume(): void {
    this.#tunnel?.resume();
  }

  credit(byteCount: number): void {
    this.#tunnel?.credit(byteCount);
  }

  end(): void {
    this.#accepted().end();
  }

  reset(error?: Error): void {
    if (this.#tunnel) return this.#tunnel.reset(error);
    if (this.#isRefused) return;
    this.#isRefused = true;
    this.#cancel();
    if (this.#request.aborted) return;
    const { reason: late } = this.#over.signal as { reason: unknown };
    const why = late ?? error ?? new Error('the tunnel was reset');
    this.#request.refuse(isDenial(error) ? 401 : 503, { [reasonHeader]: fieldText(messageOf(why)) });
  }

  #accepted(): ByteChannel {
    if (this.#tunnel) return this.#tunnel;
    this.#cancel();
    this.#tunnel = this.#request.accept();
    return this.#tunnel;
  }
}

function tooLate(timeoutMs: number): AmbitError {
  return new AmbitError(`nobody took the connection within ${timeoutMs} ms`, {
    code: 'upstream.timeout',
    blame: 'upstream',
  });
}
