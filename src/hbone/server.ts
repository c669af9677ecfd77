/** HBONE server: the CONNECT requests of one HTTP/2 connection, each answered by a tunnel or a refusal. */
import type { Clock } from '../lib/clock.ts';
import type { ByteChannel } from '../net/channel.ts';
import { HeaderList, type HeaderInit } from '../http/header-list.ts';
import {
  Http2Session,
  type Http2Limits,
  type Http2Stream,
  type ReceiveBudget,
  type StreamHandler,
} from '../http/h2/index.ts';
import { reasonHeader } from './errors.ts';
import { hboneLimits } from './settings.ts';
import { Tunnel } from './tunnel.ts';

export interface HboneServerOptions {
  /** Called once a CONNECT. `accept` or `refuse` it, now or later; until then the peer waits. */
  readonly onConnect: (request: ConnectRequest) => void;
  /** A request that was no proper CONNECT was answered with an error; `problem` says what was wrong with it. */
  readonly onRefused?: (problem: string) => void;
  /** The peer broke HTTP/2, or floods: the connection ends, with the tunnels that it has. */
  readonly onBroken?: (error: Error) => void;
  /** The connection is over. Exactly once, last. */
  readonly onClose?: (error?: Error) => void;
  readonly settings?: Partial<Http2Limits>;
  readonly clock?: Clock;
  readonly budget?: ReceiveBudget;
}

export interface HboneServerSession {
  readonly activeTunnels: number;
  /** Graceful: no new tunnels (two GOAWAYs), the running ones end by themselves, then the connection closes. */
  drain(): void;
  /** At once: tunnels are reset. Idempotent. */
  close(error?: Error): void;
}

/** Serves HBONE on `channel` (TLS done, ALPN h2, nothing read). Requests other than CONNECT are answered 400. */
export function serveHbone(channel: ByteChannel, options: HboneServerOptions): HboneServerSession {
  const { onConnect, onRefused, onBroken, onClose, settings, clock, budget } = options;
  const session = new Http2Session({
    role: 'server',
    channel,
    limits: hboneLimits(settings),
    ...(clock ? { clock } : {}),
    ...(budget ? { budget } : {}),
    handler: {
      onRequest(stream, headers) {
        if (headers.get(':method') !== 'CONNECT') {
          refuseStream(stream, 400, { [reasonHeader]: 'method is not CONNECT' });
          onRefused?.('method is not CONNECT');
          return discard;
        }
        const request = new ConnectRequest(stream, headers);
        onConnect(request);
        return request.handler;
      },
      ...(onRefused ? { onMalformedRequest: onRefused } : {}),
      ...(onBroken ? { onBroken } : {}),
      ...(onClose ? { onClose } : {}),
    },
  });
  session.start();
  return {
    get activeTunnels() {
      return session.activeStreams;
    },
    drain: () => session.drain(),
    close: (error) => session.close(error),
  };
}

/** One CONNECT that waits for its answer. */
export class ConnectRequest {
  /** `ip:port`, `[v6]:port` or `host:port`, as sent; never empty. */
  readonly authority: string;
  /** All fields, pseudo fields included. */
  readonly headers: HeaderList;
  readonly handler: StreamHandler;
  /** The peer gave up before the answer. Set at once, where it is set. */
  onAbandoned: (() => void) | undefined;
  readonly #stream: Http2Stream;
  readonly #tunnel: Tunnel;
  #answered = false;
  #abort: AbortController | undefined;
  #aborted: Error | undefined;

  constructor(stream: Http2Stream, headers: HeaderList) {
    this.#stream = stream;
    this.headers = headers;
    this.authority = headers.get(':authority') ?? '';
    const tunnel = new Tunnel(stream);
    this.#tunnel = tunnel;
    // What comes before the answer waits in the tunnel.
    this.handler = tunnel;
    tunnel.onUnreadClose = this.#onUnreadClose;
  }

  /** Aborted when the peer gives up before the answer; made on first use. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#aborted) this.#abort.abort(this.#aborted);
    return this.#abort.signal;
  }

  /** Whether the peer gave up. */
  get aborted(): boolean {
    return this.#stream.closed;
  }

  /** Answers 200; the channel is the tunnel. Also works after the peer gave up: the channel then closes at once. */
  accept(headers?: HeaderInit): ByteChannel {
    this.#answer();
    this.#stream.sendHeaders(responseHead(200, headers));
    return this.#tunnel;
  }

  /** Answers `status` (400, 401, 503) without a body. */
  refuse(status: number, headers?: HeaderInit): void {
    this.#answer();
    refuseStream(this.#stream, status, headers);
  }

  readonly #onUnreadClose = (error: Error | undefined): void => {
    this.#aborted = error ?? new Error('The peer closed the stream');
    this.#abort?.abort(this.#aborted);
    if (!this.#answered) this.onAbandoned?.();
  };

  #answer(): void {
    if (this.#answered) throw new Error('A CONNECT is answered once');
    this.#answered = true;
  }
}

/** Headers with END_STREAM, then RST_STREAM(NO_ERROR) for the half that the peer still has open (RFC 9113 section 8.1). */
function refuseStream(stream: Http2Stream, status: number, headers?: HeaderInit): void {
  stream.sendHeaders(responseHead(status, headers), true);
  stream.reset(0);
}

function responseHead(status: number, headers: HeaderInit | undefined): HeaderList {
  const head = new HeaderList([':status', String(status)]);
  if (headers) head.fields.push(...HeaderList.from(headers).fields);
  return head;
}

const discard: StreamHandler = {
  onHeaders() {},
  onData() {},
  onEnd() {},
  onDrain() {},
  onClose() {},
};
