/** One attempt: waits for a connection, then joins the codec's exchange to its reader. */
import type { HeaderList } from '../../http/header-list.ts';
import {
  ExchangeError,
  type ClientExchange,
  type ClientExchangeReader,
  type ResponseHead,
} from '../../http/message.ts';
import { writeResult, type WriteResult } from '../../net/channel.ts';
import type { BackendPool } from './backend-pool.ts';
import type { Host } from './host.ts';
import type { HostPool } from './host-pool.ts';
import { exchangeFailure, upstreamFailure } from './failures.ts';
import type { PooledConnection } from './pooled-connection.ts';
import type { UpstreamExchange, UpstreamFailure, UpstreamReader, UpstreamRequest } from './upstream.ts';

/** Body that may wait for a connection. */
const maxHeldBytes = 64 * 1024;

/** Connections that turned out to be ending: after so many it is the host's fault. */
const maxReopens = 2;

/** RFC 9110, 9.2.1: nothing happens by asking twice. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

export class Attempt implements UpstreamExchange, ClientExchangeReader {
  readonly request: UpstreamRequest;
  readonly #backend: BackendPool;
  readonly #reader: UpstreamReader;
  /** Chosen; undefined before, and where there is none. */
  host: Host | undefined;
  #pool: HostPool | undefined;
  #connection: PooledConnection | undefined;
  #exchange: ClientExchange | undefined;
  #held: Uint8Array[] | undefined;
  #heldBytes = 0;
  #drainOwed = false;
  #ended: boolean;
  #trailers: HeaderList | undefined;
  /** Some of the body is with a codec, so that the request cannot be sent again from here. */
  #bodySent = false;
  /** Something of an answer has come. */
  #answered = false;
  #responded = false;
  #isGrpc = false;
  #reopens = 0;
  /** Not on a connection that has been idle: it may be ending, too. */
  wantsFresh = false;
  #isOver = false;
  #timedOut = false;
  /** A cookie that the response has to set, for consistent hashing. */
  setCookie: string | undefined;

  constructor(backend: BackendPool, request: UpstreamRequest, reader: UpstreamReader) {
    this.#backend = backend;
    this.request = request;
    this.#reader = reader;
    this.#ended = request.ends;
  }

  // The engine's side.

  write(bytes: Uint8Array): WriteResult {
    if (this.#exchange) {
      this.#bodySent = true;
      return this.#exchange.write(bytes);
    }
    if (this.#isOver || this.#ended) return writeResult.done;
    (this.#held ??= []).push(Buffer.from(bytes));
    this.#heldBytes += bytes.length;
    if (this.#heldBytes < maxHeldBytes) return writeResult.done;
    this.#drainOwed = true;
    return writeResult.full;
  }

  end(trailers?: HeaderList): void {
    if (this.#isOver || this.#ended) return;
    this.#ended = true;
    this.#trailers = trailers;
    this.#exchange?.end(trailers);
  }

  credit(byteCount: number): void {
    this.#exchange?.credit(byteCount);
  }

  reset(reason?: 'timeout'): void {
    if (this.#isOver) return;
    this.#timedOut = reason === 'timeout';
    if (this.#exchange) return this.#exchange.reset();
    this.fail(upstreamFailure('local-reset', 'given up', 'no', this.host?.describe()));
  }

  // The pool's side.

  waitIn(pool: HostPool): void {
    this.#pool = pool;
    this.#reader.onHost(pool.host.describe());
  }

  start(connection: PooledConnection): void {
    this.#pool = undefined;
    this.#connection = connection;
    this.#backend.countActive(1);
    this.#reader.onHost(connection.host);
    const ends = this.#ended && this.#held === undefined && this.#trailers === undefined;
    const exchange = connection.connection.request(this.request.head, ends, this);
    this.#exchange = exchange;
    if (!ends) this.#flush(exchange);
  }

  #flush(exchange: ClientExchange): void {
    let result: WriteResult = writeResult.done;
    for (const bytes of this.#held ?? []) {
      this.#bodySent = true;
      result = exchange.write(bytes);
    }
    this.#held = undefined;
    this.#heldBytes = 0;
    if (this.#ended) exchange.end(this.#trailers);
    else if (this.#drainOwed && result === writeResult.done) queueMicrotask(() => this.onDrain());
  }

  /** Ends without an exchange; the reader hears of it after the call. */
  fail(failure: UpstreamFailure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pool?.leave(this);
    this.#pool = undefined;
    this.#held = undefined;
    this.#backend.release(this);
    queueMicrotask(() => this.#reader.onClose(failure));
  }

  // The codec's side.

  onInformational(head: ResponseHead): void {
    this.#answered = true;
    this.#reader.onInformational(head);
  }

  onResponse(head: ResponseHead, ends: boolean): void {
    this.#answered = true;
    this.#responded = true;
    if (this.setCookie !== undefined) head.headers.add('set-cookie', this.setCookie);
    if (this.#backend.config.outlierDetection) this.#noteResponse(head, ends);
    this.#reader.onResponse(head, ends);
  }

  onData(bytes: Uint8Array): void {
    this.#reader.onData(bytes);
  }

  onEnd(trailers?: HeaderList): void {
    if (this.#isGrpc && this.host) {
      this.#isGrpc = false;
      this.#backend.noteGrpcStatus(this.host, trailers?.get('grpc-status'));
    }
    this.#reader.onEnd(trailers);
  }

  onDrain(): void {
    if (this.#isOver) return;
    this.#drainOwed = false;
    this.#reader.onDrain();
  }

  onClose(error?: Error): void {
    const connection = this.#connection;
    if (this.#isOver || !connection) return;
    this.#exchange = undefined;
    this.#backend.countActive(-1);
    if (error && this.#mayReopen(error, connection)) {
      this.#reopens++;
      this.#connection = undefined;
      this.#backend.placeAgain(this);
      return;
    }
    this.#isOver = true;
    const failure = error ? exchangeFailure(error, connection.host) : undefined;
    if (failure && this.host) this.#noteFailure(failure);
    this.#backend.release(this);
    // First the connection is idle again, then the next request may come.
    connection.pool.onChange(connection);
    this.#reader.onClose(failure);
  }

  /** All of it is still here, and nobody has seen it; or nobody minds, and the host had every right to end an idle connection. */
  #mayReopen(error: Error, { requests }: PooledConnection): boolean {
    if (!(error instanceof ExchangeError) || this.#answered || this.#bodySent) return false;
    if (this.#reopens >= maxReopens) return false;
    if (error.sent === 'no') return error.reason === 'connection-termination' || error.reason === 'refused';
    if (error.reason !== 'connection-termination' || requests < 2 || this.wantsFresh) return false;
    const { method, upgrade } = this.request.head;
    this.wantsFresh = this.request.ends && upgrade === undefined && safeMethods.has(method);
    return this.wantsFresh;
  }

  #noteResponse(head: ResponseHead, ends: boolean): void {
    const { host } = this;
    if (!host) return;
    const grpcStatus = head.headers.get('grpc-status');
    if (grpcStatus !== undefined) this.#backend.noteGrpcStatus(host, grpcStatus);
    else if (!ends && head.headers.get('content-type')?.startsWith('application/grpc')) this.#isGrpc = true;
    else this.#backend.noteStatus(host, head.status);
  }

  #noteFailure(failure: UpstreamFailure): void {
    const { host } = this;
    if (!host || !this.#backend.config.outlierDetection) return;
    if (failure.kind === 'local-reset' && !this.#timedOut) return;
    if (!this.#responded || failure.kind !== 'local-reset') this.#backend.noteFailure(host);
  }
}
