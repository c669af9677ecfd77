/** HTTP/1.1, server side (RFC 9112): requests of one connection, one after the other. */
import { systemClock, type Clock } from '../../lib/clock.ts';
import { writeResult, type ByteChannel, type ChannelReader, type WriteResult } from '../../net/channel.ts';
import { atTurnEnd, type TurnEnd } from '../../net/turn.ts';
import type { HeaderList } from '../header-list.ts';
import { ExchangeError, type RequestListener, type ResponseHead, type ServerConnection } from '../message.ts';
import { BodyFlow } from './body-flow.ts';
import { BodyWriter } from './body-writer.ts';
import { Http1Error } from './errors.ts';
import { statusLine } from './head-writer.ts';
import { HeldBytes } from './held-bytes.ts';
import { defaultHttp1Limits, type Http1Limits } from './limits.ts';
import { Outbox } from './outbox.ts';
import type { ParsedRequest } from './request-head.ts';
import { RequestIntake, type IntakeSink } from './request-intake.ts';
import { stageInformational, stageResponse, stageTunnelResponse } from './sent-heads.ts';
import { Http1ServerExchange, type ExchangeOwner } from './server-exchange.ts';

export interface Http1ServerOptions {
  readonly listener: RequestListener;
  /** What the connection is. */
  readonly scheme: 'http' | 'https';
  /** HTTP/1.0 is otherwise answered 426. */
  readonly allowHttp10?: boolean;
  readonly limits?: Partial<Http1Limits>;
  readonly clock?: Clock;
}

/** Takes over `channel`, from which nothing was read. */
export function serveHttp1(channel: ByteChannel, options: Http1ServerOptions): ServerConnection {
  return new Http1Server(channel, options);
}

type TimerKind = 'idle' | 'head' | 'drop' | 'drain' | 'half-closed' | 'linger';

class Http1Server implements ServerConnection, ChannelReader, IntakeSink, ExchangeOwner, TurnEnd {
  readonly neverKeeps: boolean = true;
  readonly #channel: ByteChannel;
  readonly #listener: RequestListener;
  readonly #limits: Http1Limits;
  readonly #clock: Clock;
  readonly #out: Outbox;
  readonly #body: BodyWriter;
  readonly #flow: BodyFlow;
  readonly #intake: RequestIntake;
  #exchange: Http1ServerExchange | undefined;
  /** Over, and its reader does not know yet. */
  #ended: Http1ServerExchange | undefined;
  /** Of the bytes that are just taken: those of bodies. */
  #deliveredNow = 0;
  readonly #held: HeldBytes;
  #turnDue = false;
  #consuming = false;
  #peerEnded = false;
  /** Of the answer to a client that has ended its side, when it was looked at last. */
  #writesSeen = 0;
  #closing = false;
  #draining = false;
  #quietSinceMs: number;
  #cancelTimer: (() => void) | undefined;
  #isClosed = false;

  constructor(channel: ByteChannel, options: Http1ServerOptions) {
    this.#channel = channel;
    this.#listener = options.listener;
    this.#limits = { ...defaultHttp1Limits, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    const { maxHeadBytes, maxFields } = this.#limits;
    const allowHttp10 = options.allowHttp10 ?? false;
    this.#intake = new RequestIntake(
      this.#limits,
      { scheme: options.scheme, allowHttp10, maxHeadBytes, maxFields },
      this,
    );
    this.#out = new Outbox(channel);
    this.#body = new BodyWriter(this.#out);
    this.#flow = new BodyFlow(channel, this.#limits.maxUncreditedBytes);
    this.#held = new HeldBytes(this.#flow);
    this.#quietSinceMs = this.#clock.nowMs();
    this.#arm('idle', this.#limits.idleTimeoutMs);
    channel.read(this);
  }

  get activeRequests(): number {
    return this.#exchange === undefined ? 0 : 1;
  }

  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    if (!this.#intake.isBetweenRequests) return;
    const quietMs = this.#clock.nowMs() - this.#quietSinceMs;
    if (quietMs >= this.#limits.drainQuietMs) this.#shut();
    else this.#arm('drain', this.#limits.drainQuietMs - quietMs);
  }

  close(error?: Error): void {
    this.#intake.stop();
    this.#channel.reset(error);
  }

  // --- what arrives

  onData(bytes: Uint8Array): boolean {
    const used = this.#held.isEmpty ? this.#take(bytes) : 0;
    if (used < bytes.length) this.#held.hold(used === 0 ? bytes : bytes.subarray(used));
    return false;
  }

  onEnd(): void {
    this.#peerEnded = true;
    if (this.#held.isEmpty) this.#applyEnd();
  }

  onDrain(): void {
    this.#out.drained();
    const exchange = this.#exchange;
    if (exchange === undefined || !exchange.drainOwed) return;
    exchange.drainOwed = false;
    if (!exchange.answered) exchange.reader?.onDrain();
  }

  onClose(error?: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#intake.stop();
    this.#cancelTimer?.();
    this.#held.clear();
    this.#notifyEnded();
    const exchange = this.#exchange;
    this.#exchange = undefined;
    if (exchange !== undefined) {
      exchange.isOver = true;
      const isWhole = exchange.isTunnel && error === undefined;
      exchange.error = isWhole ? undefined : (error ?? termination('The client has closed the connection'));
      this.#ended = exchange;
      this.#notifyEnded();
    }
    this.#listener.onClose?.(error);
  }

  onTurnEnd(): void {
    this.#turnDue = false;
    this.#notifyEnded();
    if (this.#held.isEmpty || !this.#held.release((bytes) => this.#take(bytes))) return;
    if (this.#peerEnded) this.#applyEnd();
  }

  /** Gives how many bytes were taken; the rest belongs to what cannot be read yet. */
  #take(bytes: Uint8Array): number {
    this.#deliveredNow = 0;
    this.#consuming = true;
    let taken = bytes.length;
    try {
      taken = this.#intake.take(bytes);
    } catch (error) {
      if (!(error instanceof Http1Error)) throw error;
      this.#refuse(error);
    } finally {
      this.#consuming = false;
    }
    if (taken > this.#deliveredNow) this.#channel.credit(taken - this.#deliveredNow);
    return taken;
  }

  onPartialHead(): void {
    if (this.#limits.headTimeoutMs > 0) this.#arm('head', this.#limits.headTimeoutMs);
  }

  onHeadEnd(): void {
    this.#arm('idle', this.#limits.idleTimeoutMs);
  }

  onRequest(parsed: ParsedRequest): void {
    this.#notifyEnded();
    const exchange = new Http1ServerExchange(this, parsed);
    this.#exchange = exchange;
    this.#listener.onRequest(exchange);
  }

  takesBody(): boolean {
    return this.#exchange?.reader !== undefined;
  }

  onBody(bytes: Uint8Array): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    exchange.continued = true;
    this.#deliveredNow += bytes.length;
    this.#flow.delivered(bytes.length);
    exchange.reader?.onData(bytes);
  }

  onBodyEnd(trailers: HeaderList | undefined): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    exchange.received = true;
    exchange.reader?.onEnd(trailers);
  }

  onDropEnd(isWhole: boolean): void {
    if (isWhole) this.#next();
    else this.#shut();
  }

  /** The client has ended its side, and everything before was read. */
  #applyEnd(): void {
    const exchange = this.#exchange;
    switch (this.#intake.reading) {
      case 'head':
      case 'drop-length':
      case 'drop-chunked':
        this.#shut();
        break;
      case 'length':
      case 'chunked':
        if (exchange === undefined) this.#shut();
        else this.abort(termination('The client ended the connection before the request was whole'));
        break;
      case 'answer':
        this.#closing = true;
        this.#writesSeen = this.#out.writes;
        this.#arm('half-closed', this.#limits.halfClosedTimeoutMs);
        break;
      case 'tunnel':
        if (exchange?.reader === undefined) this.#turnSoon();
        else if (!exchange.received) {
          exchange.received = true;
          exchange.reader.onEnd();
        }
        break;
      case 'over':
        break;
    }
  }

  // --- what is sent

  onReader(): void {
    if (this.#consuming) return;
    if (!this.#held.isEmpty || this.#ended !== undefined) this.#turnSoon();
    else if (this.#peerEnded && this.#intake.reading === 'tunnel') this.#turnSoon();
  }

  onCredit(byteCount: number): void {
    this.#flow.credit(byteCount);
  }

  sendInformational(head: ResponseHead): void {
    stageInformational(this.#out, head);
    this.#out.flush();
  }

  sendHead(exchange: Http1ServerExchange, head: ResponseHead, ends: boolean): void {
    const { request } = exchange;
    const { status } = head;
    if (status === 101 || (request.method === 'CONNECT' && status >= 200 && status < 300)) {
      this.#beginTunnel(exchange, head);
      return;
    }
    if (this.#draining || (this.#peerEnded && this.#held.isEmpty) || this.#mustClose(exchange)) this.#closing = true;
    const framing = stageResponse(this.#out, head, { request, ends, closes: this.#closing });
    if (framing === 'raw') this.#closing = true;
    this.#body.start(framing);
    if (ends) this.sendEnd(exchange, undefined);
  }

  sendBody(bytes: Uint8Array): WriteResult {
    if (this.#body.exceeds(bytes.length)) {
      this.abort(new Error('The answer is longer than its Content-Length'));
      return writeResult.done;
    }
    return this.#body.write(bytes);
  }

  sendEnd(exchange: Http1ServerExchange, trailers: HeaderList | undefined): void {
    if (!exchange.responded) throw new Error('An answer begins with a head');
    exchange.answered = true;
    if (exchange.isTunnel) {
      this.#out.flush();
      this.#channel.end();
      return;
    }
    if (!this.#body.end(trailers)) return this.abort(new Error('The answer is shorter than its Content-Length'));
    if (exchange.received) return this.#finish(exchange);
    this.#giveUpBody(exchange);
  }

  abort(error: Error | undefined): void {
    this.#intake.stop();
    this.#channel.reset(error);
  }

  /** Whether nothing can follow this exchange on the connection. */
  #mustClose(exchange: Http1ServerExchange): boolean {
    if (!exchange.keepsAlive) return true;
    // Bytes that the client sent behind it in hope of a tunnel are no request.
    if (exchange.request.method === 'CONNECT') return true;
    if (exchange.request.upgrade !== undefined && !this.#held.isEmpty) return true;
    // Whether the body comes is for the client to choose.
    return exchange.expectsContinue && !exchange.continued;
  }

  #beginTunnel(exchange: Http1ServerExchange, head: ResponseHead): void {
    const { upgrade } = exchange.request;
    if (head.status === 101 && upgrade === undefined)
      return this.abort(new Error('101 to a request that asks for no upgrade'));
    exchange.isTunnel = true;
    exchange.received = false;
    this.#intake.tunnel();
    stageTunnelResponse(this.#out, head, upgrade);
    this.#body.start('raw');
    if (!this.#held.isEmpty || this.#peerEnded) this.#turnSoon();
  }

  // --- from one request to the next

  /** Both directions are over. */
  #finish(exchange: Http1ServerExchange): void {
    this.#endExchange(exchange);
    this.#next();
  }

  #endExchange(exchange: Http1ServerExchange): void {
    exchange.isOver = true;
    this.#exchange = undefined;
    this.#flow.settle();
    this.#notifyEnded();
    if (exchange.reader === undefined) return;
    this.#ended = exchange;
    this.#turnSoon();
  }

  #next(): void {
    if (this.#closing) return this.#shut();
    this.#intake.next();
    this.#quietSinceMs = this.#clock.nowMs();
    if (this.#draining) this.#arm('drain', this.#limits.drainQuietMs);
    if (!this.#held.isEmpty) this.#turnSoon();
    else if (this.#peerEnded) this.#shut();
  }

  /** The answer was whole before the request: a little more of it is read for the sake of the connection. */
  #giveUpBody(exchange: Http1ServerExchange): void {
    const isDropped = !this.#closing && this.#intake.drop();
    this.#endExchange(exchange);
    if (!isDropped) return this.#shut();
    if (this.#limits.headTimeoutMs > 0) this.#arm('drop', this.#limits.headTimeoutMs);
    if (!this.#held.isEmpty) this.#turnSoon();
  }

  #notifyEnded(): void {
    const exchange = this.#ended;
    if (exchange === undefined) return;
    this.#ended = undefined;
    exchange.reader?.onClose(exchange.error);
  }

  #turnSoon(): void {
    if (this.#turnDue) return;
    this.#turnDue = true;
    atTurnEnd(this);
  }

  /** Answers what is no request that we take, and ends. */
  #refuse(error: Http1Error): void {
    const exchange = this.#exchange;
    // What is wrong with a body behind its answer is told to nobody: it would be taken for another answer.
    const canAnswer = exchange === undefined ? !this.#intake.isDropping : !exchange.responded;
    const status = canAnswer ? error.status : 0;
    const isKnown = exchange !== undefined || this.#intake.isDropping;
    this.#listener.onBadRequest?.({ status, problem: error.message, isKnown });
    if (exchange !== undefined) {
      exchange.error = new ExchangeError('protocol-error', error.message, { sent: 'maybe', status, cause: error });
      this.#endExchange(exchange);
    }
    if (!canAnswer) return this.abort(error);
    const upgrade = error.status === 426 ? 'upgrade: HTTP/1.1\r\nconnection: upgrade, close' : 'connection: close';
    this.#out.text(`${statusLine(error.status)}\r\ncontent-length: 0\r\n${upgrade}\r\n\r\n`);
    this.#shut();
  }

  /** Ends our side; what still comes is dropped, for a while, so that the client gets to read the answer. */
  #shut(): void {
    if (this.#intake.reading === 'over') return;
    this.#intake.stop();
    this.#held.clear();
    this.#flow.holds(false);
    this.#out.flush();
    this.#channel.end();
    this.#arm('linger', this.#limits.lingerMs);
  }

  // --- time

  #arm(kind: TimerKind, delayMs: number): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (delayMs <= 0 && kind !== 'linger') return;
    this.#cancelTimer = this.#clock.after(delayMs, () => this.#onTimer(kind));
  }

  #onTimer(kind: TimerKind): void {
    this.#cancelTimer = undefined;
    switch (kind) {
      case 'idle': {
        // Armed once, not for each request: it looks how long the quiet has been.
        const { idleTimeoutMs } = this.#limits;
        const { isBetweenRequests } = this.#intake;
        const restMs = isBetweenRequests ? this.#quietSinceMs + idleTimeoutMs - this.#clock.nowMs() : idleTimeoutMs;
        if (restMs > 0) this.#arm('idle', restMs);
        else this.#shut();
        break;
      }
      case 'head':
        if (this.#intake.reading === 'head' && !this.#intake.isBetweenRequests) {
          this.#listener.onBadRequest?.({ status: 408, problem: 'The head took too long' });
          this.#out.text(`${statusLine(408)}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`);
          this.#shut();
        }
        break;
      case 'drop':
        if (this.#intake.isDropping) this.#shut();
        else this.#arm('idle', this.#limits.idleTimeoutMs);
        break;
      case 'drain':
        if (this.#intake.isBetweenRequests) this.#shut();
        break;
      case 'half-closed':
        if (this.#exchange === undefined) break;
        if (this.#out.writes === this.#writesSeen) {
          this.abort(termination('The client has ended its side and does not take an answer'));
        } else {
          this.#writesSeen = this.#out.writes;
          this.#arm('half-closed', this.#limits.halfClosedTimeoutMs);
        }
        break;
      case 'linger':
        this.#channel.reset();
        break;
    }
  }
}

function termination(message: string): ExchangeError {
  return new ExchangeError('connection-termination', message, { sent: 'maybe' });
}
