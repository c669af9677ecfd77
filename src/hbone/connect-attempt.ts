/** One CONNECT on its way: waits for a connection, then for the answer, then hands over a tunnel or an error. */
import type { Abortable } from '../lib/light-signal.ts';
import type { ByteChannel } from '../net/channel.ts';
import { HeaderList, type HeaderInit } from '../http/header-list.ts';
import { errorCode, Http2Error, type Http2Session, type Http2Stream, type StreamHandler } from '../http/h2/index.ts';
import { HboneRefusedError, hboneAborted, hboneClosed, reasonHeader } from './errors.ts';
import { Tunnel } from './tunnel.ts';

/** An open tunnel and what the peer said when it accepted. */
export interface TunnelChannel extends ByteChannel {
  readonly responseHeaders: HeaderList;
}

export interface ConnectAttemptOptions {
  readonly head: HeaderList;
  readonly resolve: (tunnel: TunnelChannel) => void;
  readonly reject: (error: Error) => void;
  readonly signal: Abortable | undefined;
  /** The peer did not process it: place it again, on another connection. */
  readonly retry: (attempt: ConnectAttempt) => void;
}

export interface TunnelRequest {
  readonly authority: string;
  /** `baggage`, `forwarded`, `traceparent`; names in lower case. */
  readonly headers?: HeaderInit;
}

export function connectHead({ authority, headers }: TunnelRequest): HeaderList {
  const head = new HeaderList([':method', 'CONNECT', ':authority', authority]);
  if (headers) head.fields.push(...HeaderList.from(headers).fields);
  return head;
}

const maxRetries = 2;

/**
 * The peer says that it did not process it, or the connection was lost before it answered: a pooled one may lead to a peer that
 * is gone. Nothing of the client's was sent yet, so that another CONNECT repeats nothing.
 */
function mayRetry(error: Http2Error): boolean {
  return error.scope === 'connection' || (error.remote && error.wireCode === errorCode.refusedStream);
}

export class ConnectAttempt implements StreamHandler {
  readonly #options: ConnectAttemptOptions;
  #stream: Http2Stream | undefined;
  #retries = 0;
  #settled = false;
  /** It succeeded, failed or was aborted, while it waited. */
  onSettled: (() => void) | undefined;

  constructor(options: ConnectAttemptOptions) {
    this.#options = options;
    options.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Sends the request; `session.canOpen`. */
  open(session: Http2Session): void {
    this.onSettled = undefined;
    this.#stream = session.openStream(this.#options.head, false, this);
  }

  fail(error: Error): void {
    if (this.#settle()) this.#options.reject(error);
  }

  onHeaders(headers: HeaderList, endStream: boolean): void {
    const status = Number(headers.get(':status'));
    const stream = this.#stream as Http2Stream;
    if (status < 200) return;
    if (status >= 300) {
      // A refused CONNECT has no body worth waiting for.
      if (!endStream) stream.reset(errorCode.cancel);
      this.fail(new HboneRefusedError(status, headers.get(reasonHeader)?.slice(0, 200)));
      return;
    }
    if (!this.#settle()) return;
    const tunnel = new Tunnel(stream, headers);
    stream.setHandler(tunnel);
    this.#options.resolve(tunnel);
  }

  onData(): void {}

  /** The peer ended its half together with a refusal: ours has nothing to say either. */
  onEnd(): void {
    this.#stream?.reset(errorCode.cancel);
  }

  onDrain(): void {}

  onClose(error?: Error): void {
    if (this.#settled) return;
    if (error instanceof Http2Error && mayRetry(error) && this.#retries++ < maxRetries) {
      this.#stream = undefined;
      this.#options.retry(this);
      return;
    }
    this.fail(hboneClosed(error?.message ?? 'the peer closed the stream', error));
  }

  readonly #onAbort = (): void => {
    const cause: unknown = this.#options.signal?.reason;
    this.fail(hboneAborted(cause));
    this.#stream?.reset(errorCode.cancel);
  };

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.onSettled?.();
    return true;
  }
}
