/**
 * HTTP messages and exchanges whatever the version: what the codecs (`h1`, `h2`) give, and what the proxy speaks.
 *
 * Body memory: `onData` lends bytes until it returns; `write` takes a copy of what it cannot send at once. Flow is by credit:
 * bytes that were delivered and have left their reader are credited, and a codec stops its peer when too many are not.
 */
import type { WriteResult } from '../net/channel.ts';
import type { HeaderList } from './header-list.ts';

export type HttpVersion = 'http/1.0' | 'http/1.1' | 'http/2';

/** Owned by whoever handles the request, who may change it. */
export interface RequestHead {
  method: string;
  scheme: 'http' | 'https';
  /** Host and, where the client named it, port. Of CONNECT: the target. Never empty, but in HTTP/1.0 without Host. */
  authority: string;
  /** Path and query, as in `:path`; `*` of OPTIONS; "" of a plain CONNECT. */
  path: string;
  /**
   * Without pseudo fields, Host, and what belongs to one hop (Connection and what it names, Keep-Alive, Proxy-Connection, Upgrade,
   * Transfer-Encoding). `TE` is kept only as `trailers`. Content-Length is kept.
   */
  headers: HeaderList;
  readonly version: HttpVersion;
  /**
   * Protocol that the client asks to switch to (`websocket`), in lower case; 101 accepts it. An extended CONNECT of HTTP/2 (RFC 8441) looks
   * the same here: method GET, `Sec-WebSocket-Key` and `-Accept` are there.
   */
  upgrade?: string;
}

export interface ResponseHead {
  /** 100-599. */
  status: number;
  /** As for requests. */
  headers: HeaderList;
}

/** The length of a body, as far as its head tells. */
export type BodyLength = number | 'unknown';

/** One request that we answer. Given to the `RequestListener` of a server connection. */
export interface ServerExchange {
  readonly request: RequestHead;
  /** 0: there is no body, `onEnd` does not come. */
  readonly bodyLength: BodyLength;
  /** Starts the flow of the body towards `reader`, once. Before that, nothing of it is read beyond a small buffer. */
  read(reader: ServerExchangeReader): void;
  /** So many bytes of `onData` have left the reader. */
  credit(byteCount: number): void;
  /** 1xx, but 101. HTTP/1.0 clients never see it. */
  sendInformational(head: ResponseHead): void;
  /**
   * The final head, once. `ends`: there is no body. 101 (or 2xx to CONNECT) makes the exchange a tunnel: `write`, `onData` and `end` are
   * raw from then on.
   */
  respond(head: ResponseHead, ends: boolean): void;
  /** Body bytes: `done`, or `full`: then stop until `onDrain`. Dropped where no body may be (HEAD, 204, 304). */
  write(bytes: Uint8Array): WriteResult;
  end(trailers?: HeaderList): void;
  /** Gives the exchange up: RST_STREAM, or the connection's end where part of an answer has been sent. */
  reset(error?: Error): void;
}

/** Callbacks never throw. */
export interface ServerExchangeReader {
  onData(bytes: Uint8Array): void;
  onEnd(trailers?: HeaderList): void;
  /** After a `write` that was `full`. */
  onDrain(): void;
  /** The exchange is over in both directions. Once, last. `error`: the client gave up, or broke the protocol. */
  onClose(error?: Error): void;
}

export interface RequestListener {
  /** A request whose head is complete and valid. Called once a request; of HTTP/1.1, never before the one before is answered. */
  onRequest(exchange: ServerExchange): void;
  /** The codec answered by itself (400, 431, ...) or hung up; for metrics and the log. */
  onBadRequest?(problem: BadRequest): void;
  /** The connection is over. Once, last. */
  onClose?(error?: Error): void;
}

export interface BadRequest {
  /** What was answered; 0: nothing could be. */
  readonly status: number;
  /** For the log: what was wrong, and where. */
  readonly problem: string;
  /** The request has come to `onRequest`: its reader hears of this by `onClose`, or has nothing more to hear. */
  readonly isKnown?: boolean;
}

export interface ServerConnection {
  readonly activeRequests: number;
  /** No more requests: GOAWAY, or `Connection: close` with the next answer. Idle connections end. */
  drain(): void;
  /** At once. */
  close(error?: Error): void;
}

/** One request that we send. */
export interface ClientExchange {
  write(bytes: Uint8Array): WriteResult;
  end(trailers?: HeaderList): void;
  credit(byteCount: number): void;
  /** Gives it up: RST_STREAM, or the end of the connection. `onClose` follows, with `error`. Idempotent. */
  reset(error?: Error): void;
}

/** Callbacks never throw, and never come from inside a call. */
export interface ClientExchangeReader {
  onInformational(head: ResponseHead): void;
  /** `ends`: there is no body, `onEnd` does not come. 101 and 2xx to CONNECT begin a tunnel. */
  onResponse(head: ResponseHead, ends: boolean): void;
  onData(bytes: Uint8Array): void;
  onEnd(trailers?: HeaderList): void;
  onDrain(): void;
  /** Both directions are over. Once, last. `error` is an `ExchangeError` whose `sent` tells whether a retry is safe. */
  onClose(error?: Error): void;
}

/** A connection that requests are sent on: one at a time (HTTP/1.1), or many (HTTP/2). */
export interface ClientConnection {
  readonly version: HttpVersion;
  /** Whether `request` may be called now. */
  readonly canOpen: boolean;
  readonly activeRequests: number;
  /** `ends`: no body follows. */
  request(head: RequestHead, ends: boolean, reader: ClientExchangeReader): ClientExchange;
  /** Takes no more requests, and closes when the running ones have ended. */
  drain(): void;
  close(error?: Error): void;
}

export interface ClientConnectionListener {
  /** `canOpen` may have changed: an exchange has ended, settings came, or the peer is going away. */
  onChange(): void;
  onClose(error?: Error): void;
}

/** Why an exchange ended before its answer was whole. */
export class ExchangeError extends Error {
  readonly reason: ExchangeFailure;
  /** Whether the peer may have seen any of the request. `no`: never processed, may be sent again whatever the method. */
  readonly sent: 'no' | 'maybe';
  /** Of a server's: what the codec has answered by itself; 0: nothing. */
  readonly status: number;

  constructor(
    reason: ExchangeFailure,
    message: string,
    options: { readonly sent: 'no' | 'maybe'; readonly status?: number; readonly cause?: unknown },
  ) {
    super(message, { cause: options.cause });
    this.name = 'ExchangeError';
    this.reason = reason;
    this.sent = options.sent;
    this.status = options.status ?? 0;
  }
}

export type ExchangeFailure =
  /** The connection ended: FIN before the answer was whole, or a reset. */
  | 'connection-termination'
  /** RST_STREAM of the peer. */
  | 'remote-reset'
  /** RST_STREAM(REFUSED_STREAM), or GOAWAY below this stream. */
  | 'refused'
  /** Given up by us. */
  | 'local-reset'
  /** What came was no HTTP. */
  | 'protocol-error';
