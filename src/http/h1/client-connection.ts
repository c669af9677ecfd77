/** HTTP/1.1, client side (RFC 9112): one request at a time, and the connection is free again as soon as its answer is whole. */
import { systemClock, type Clock } from '../../lib/clock.ts';
import { writeResult, type ByteChannel, type ChannelReader, type WriteResult } from '../../net/channel.ts';
import { atTurnEnd } from '../../net/turn.ts';
import type { HeaderList } from '../header-list.ts';
import {
  ExchangeError,
  type ClientConnection,
  type ClientConnectionListener,
  type ClientExchange,
  type ClientExchangeReader,
  type RequestHead,
} from '../message.ts';
import { BodyFlow } from './body-flow.ts';
import { BodyWriter } from './body-writer.ts';
import { authorityPattern, targetPattern, tokenPattern } from './characters.ts';
import { ChunkedDecoder, type ChunkSink } from './chunked-decoder.ts';
import { Http1ClientExchange, type ClientExchangeOwner } from './client-exchange.ts';
import { Http1Error, malformed } from './errors.ts';
import { HeadBuffer } from './head-buffer.ts';
import { defaultHttp1Limits, type Http1Limits } from './limits.ts';
import { Outbox } from './outbox.ts';
import { stageRequest } from './sent-heads.ts';
import { parseResponse, type ParsedResponse } from './response-head.ts';

export interface Http1ClientOptions {
  readonly listener: ClientConnectionListener;
  readonly limits?: Partial<Http1Limits>;
  readonly clock?: Clock;
}

/** Takes over `channel`: connected, nothing read or written. */
export function createHttp1Client(channel: ByteChannel, options: Http1ClientOptions): ClientConnection {
  return new Http1Client(channel, options);
}

/** What the next byte belongs to. `idle`: to no answer that we wait for. `over`: the connection is ending. */
type Reading = 'idle' | 'head' | 'length' | 'chunked' | 'close' | 'tunnel' | 'over';

class Http1Client implements ClientConnection, ChannelReader, ChunkSink, ClientExchangeOwner {
  readonly version = 'http/1.1';
  readonly neverKeeps: boolean = true;
  readonly #channel: ByteChannel;
  readonly #listener: ClientConnectionListener;
  readonly #limits: Http1Limits;
  readonly #clock: Clock;
  readonly #out: Outbox;
  readonly #body: BodyWriter;
  readonly #flow: BodyFlow;
  readonly #partial: HeadBuffer = new HeadBuffer(431);
  readonly #chunks: ChunkedDecoder;
  #reading: Reading = 'idle';
  #exchange: Http1ClientExchange | undefined;
  #remaining = 0;
  #keepsAlive = true;
  #draining = false;
  #deliveredNow = 0;
  #failure: ExchangeError | undefined;
  #isClosed = false;
  #cancelLinger: (() => void) | undefined;

  constructor(channel: ByteChannel, options: Http1ClientOptions) {
    this.#channel = channel;
    this.#listener = options.listener;
    this.#limits = { ...defaultHttp1Limits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#out = new Outbox(channel);
    this.#body = new BodyWriter(this.#out);
    this.#flow = new BodyFlow(channel, this.#limits.maxUncreditedBytes);
    this.#chunks = new ChunkedDecoder(this.#limits);
    channel.read(this);
  }

  get canOpen(): boolean {
    return this.#reading === 'idle' && this.#keepsAlive && !this.#draining;
  }

  get activeRequests(): number {
    return this.#exchange === undefined ? 0 : 1;
  }

  request(head: RequestHead, ends: boolean, reader: ClientExchangeReader): ClientExchange {
    const { method } = head;
    const exchange = new Http1ClientExchange(this, method, head.upgrade, reader);
    if (!this.canOpen) return failLater(exchange, 'connection-termination', 'The connection takes no request now');
    const target = method === 'CONNECT' ? head.authority : head.path;
    const isWritable = tokenPattern.test(method) && targetPattern.test(target) && authorityPattern.test(head.authority);
    if (!isWritable || (head.upgrade !== undefined && !upgradePattern.test(head.upgrade))) {
      return failLater(exchange, 'protocol-error', 'The request cannot be written as HTTP/1.1');
    }
    const { asksForTunnel } = exchange;
    const framing = stageRequest(this.#out, head, { target, ends, asksForTunnel });
    if (framing === undefined) {
      return failLater(exchange, 'protocol-error', 'The request has a Content-Length that is not true');
    }
    this.#exchange = exchange;
    this.#reading = 'head';
    this.#body.start(framing);
    if (ends || asksForTunnel) this.#out.flush();
    // A tunnel begins with the answer: what was said of a body means nothing.
    exchange.sent = ends && !asksForTunnel;
    return exchange;
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    if (this.#exchange === undefined) this.#shut();
  }

  close(error?: Error): void {
    this.#reading = 'over';
    this.#channel.reset(error);
  }

  // --- what is sent

  sendBody(bytes: Uint8Array): WriteResult {
    if (this.#body.exceeds(bytes.length)) {
      this.abort(new Error('The request is longer than its Content-Length'));
      return writeResult.done;
    }
    return this.#body.write(bytes);
  }

  sendEnd(exchange: Http1ClientExchange, trailers: HeaderList | undefined): void {
    if (exchange.isTunnel) {
      this.#out.flush();
      this.#channel.end();
    } else if (!this.#body.end(trailers)) {
      this.abort(new Error('The request is shorter than its Content-Length'));
    }
  }

  onCredit(byteCount: number): void {
    this.#flow.credit(byteCount);
  }

  abort(error: Error | undefined): void {
    const message = error?.message ?? 'The request was given up';
    this.#failure ??= new ExchangeError('local-reset', message, { sent: 'maybe', cause: error });
    this.#reading = 'over';
    this.#channel.reset(error);
  }

  // --- what arrives

  onData(bytes: Uint8Array): boolean {
    const end = bytes.length;
    let at = 0;
    this.#deliveredNow = 0;
    try {
      while (at < end) at = this.#step(bytes, at);
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error;
      this.#fail(error);
    }
    if (end > this.#deliveredNow) this.#channel.credit(end - this.#deliveredNow);
    return false;
  }

  onChunkData(bytes: Uint8Array): void {
    this.#deliver(bytes);
  }

  onEnd(): void {
    const exchange = this.#exchange;
    switch (this.#reading) {
      case 'close':
        this.#keepsAlive = false;
        this.#answered(undefined);
        break;
      case 'tunnel':
        if (exchange !== undefined && !exchange.received) {
          exchange.received = true;
          exchange.reader.onEnd();
        }
        break;
      case 'head':
      case 'length':
      case 'chunked':
        this.#failure = termination('The server ended the connection before the answer was whole');
        this.#reading = 'over';
        this.#channel.reset(this.#failure);
        break;
      case 'idle':
      case 'over':
        this.#shut();
        this.#listener.onChange();
        break;
    }
  }

  onDrain(): void {
    this.#out.drained();
    const exchange = this.#exchange;
    if (exchange === undefined || !exchange.drainOwed) return;
    exchange.drainOwed = false;
    if (!exchange.sent) exchange.reader.onDrain();
  }

  onClose(error?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#reading = 'over';
    this.#cancelLinger?.();
    this.#partial.clear();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (exchange !== undefined) {
      exchange.isOver = true;
      const isWhole = exchange.isTunnel && error === undefined && this.#failure === undefined;
      const failure = this.#failure ?? termination(error?.message ?? 'The server has closed the connection', error);
      exchange.reader.onClose(isWhole ? undefined : failure);
    }
    this.#listener.onClose(error);
  }

  /** Takes what belongs together, from `at` on; gives where that ends. */
  #step(bytes: Uint8Array, at: number): number {
    switch (this.#reading) {
      case 'head':
        return this.#readHead(bytes, at);
      case 'length': {
        const end = Math.min(bytes.length, at + this.#remaining);
        this.#remaining -= end - at;
        this.#deliver(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
        if (this.#remaining === 0) this.#answered(undefined, end < bytes.length);
        return end;
      }
      case 'chunked': {
        const end = this.#chunks.decode(bytes, at, this);
        if (this.#chunks.isOver) this.#answered(this.#chunks.trailers, end < bytes.length);
        return end;
      }
      case 'close':
      case 'tunnel':
        this.#deliver(at === 0 ? bytes : bytes.subarray(at));
        return bytes.length;
      case 'idle':
        throw malformed('An answer to no request');
      case 'over':
        return bytes.length;
    }
  }

  #readHead(bytes: Uint8Array, at: number): number {
    const exchange = this.#exchange;
    if (exchange === undefined) throw malformed('An answer to no request');
    const partial = this.#partial;
    if (partial.isEmpty) {
      const parsed = parseResponse(bytes, at, bytes.length, exchange.method, this.#limits);
      if (parsed !== undefined) {
        this.#begin(exchange, parsed, parsed.end < bytes.length);
        return parsed.end;
      }
    }
    const end = partial.take(bytes, at, this.#limits.maxHeadBytes);
    if (end < 0) return bytes.length;
    const head = partial.bytes();
    partial.clear();
    const parsed = parseResponse(head, 0, head.length, exchange.method, this.#limits);
    if (parsed === undefined || parsed.end !== head.length) throw malformed('The head ends early');
    this.#begin(exchange, parsed, end < bytes.length);
    return end;
  }

  #begin(exchange: Http1ClientExchange, parsed: ParsedResponse, isMore: boolean): void {
    const { head, body } = parsed;
    const { status } = head;
    if (status < 200 && status !== 101) {
      exchange.informational++;
      if (exchange.informational > this.#limits.maxInformational) throw malformed('Too many informational responses');
      exchange.reader.onInformational(head);
      return;
    }
    if (status === 101 || (exchange.method === 'CONNECT' && status < 300)) {
      this.#beginTunnel(exchange, parsed);
      return;
    }
    this.#keepsAlive = parsed.keepsAlive;
    if (exchange.asksForTunnel) exchange.sent = true;
    if (body === 0) {
      this.#answered(undefined, isMore, parsed);
      return;
    }
    if (body === 'chunked') {
      this.#chunks.start();
      this.#reading = 'chunked';
    } else if (body === 'close') {
      this.#reading = 'close';
    } else {
      this.#remaining = body;
      this.#reading = 'length';
    }
    exchange.reader.onResponse(head, false);
  }

  #beginTunnel(exchange: Http1ClientExchange, { head, upgrade }: ParsedResponse): void {
    if (head.status === 101 && (exchange.upgrade === undefined || upgrade !== exchange.upgrade)) {
      throw malformed('101 for a protocol that was not asked for');
    }
    this.#keepsAlive = false;
    this.#reading = 'tunnel';
    exchange.isTunnel = true;
    this.#body.start('raw');
    exchange.reader.onResponse(head, false);
    if (exchange.sent && !exchange.isOver) this.#channel.end();
  }

  #deliver(bytes: Uint8Array): void {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#reading === 'over') return;
    this.#deliveredNow += bytes.length;
    this.#flow.delivered(bytes.length);
    exchange.reader.onData(bytes);
  }

  /** The answer is whole. `isMore`: bytes follow that no request asked for. */
  #answered(trailers: HeaderList | undefined, isMore = false, bodiless?: ParsedResponse): void {
    const exchange = this.#exchange;
    if (exchange === undefined || this.#reading === 'over') return;
    // Before the callbacks: they may send the next request.
    this.#exchange = undefined;
    exchange.isOver = true;
    this.#flow.settle();
    const isReusable = this.#keepsAlive && exchange.sent && !isMore && !this.#draining;
    this.#reading = isReusable ? 'idle' : 'over';
    if (bodiless === undefined) exchange.reader.onEnd(trailers);
    else exchange.reader.onResponse(bodiless.head, true);
    exchange.reader.onClose();
    // What is left of the request must not be taken for another one.
    if (!exchange.sent) this.#channel.reset(termination('The server answered before the request was whole'));
    else if (!isReusable) this.#end();
    this.#listener.onChange();
  }

  #fail(error: Http1Error): void {
    this.#failure = new ExchangeError('protocol-error', error.message, { sent: 'maybe', cause: error });
    this.#reading = 'over';
    this.#channel.reset(error);
  }

  #shut(): void {
    if (this.#reading === 'over' && this.#cancelLinger !== undefined) return;
    this.#reading = 'over';
    this.#end();
  }

  /** Ends our side, and all of it when the server does not end its own. */
  #end(): void {
    if (this.#cancelLinger !== undefined || this.#isClosed) return;
    this.#out.flush();
    this.#channel.end();
    this.#cancelLinger = this.#clock.after(this.#limits.lingerMs, () => this.#channel.reset());
  }
}

/** Protocols with or without a version (RFC 9110 section 7.8). */
const upgradePattern = /^[!-~]+(?:, *[!-~]+)*$/;

function termination(message: string, cause?: Error): ExchangeError {
  return new ExchangeError('connection-termination', message, { sent: 'maybe', cause });
}

function failLater(
  exchange: Http1ClientExchange,
  reason: 'connection-termination' | 'protocol-error',
  message: string,
): ClientExchange {
  exchange.wasReset = true;
  atTurnEnd({
    onTurnEnd() {
      exchange.isOver = true;
      exchange.reader.onClose(new ExchangeError(reason, message, { sent: 'no' }));
    },
  });
  return exchange;
}
