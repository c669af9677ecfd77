/** One request of an HTTP/2 client, and our answer to it. */
import type { WriteResult } from '../../net/channel.ts';
import { writeResult } from '../../net/channel.ts';
import { HeaderList } from '../header-list.ts';
import {
  type BodyLength,
  ExchangeError,
  type RequestHead,
  type ResponseHead,
  type ServerExchange,
  type ServerExchangeReader,
} from '../message.ts';
import { ByteQueue } from './byte-queue.ts';
import { errorCode } from './constants.ts';
import { exchangeError } from './exchange-errors.ts';
import { readTrailers, responseList } from './exchange-heads.ts';
import type { Http2Stream, StreamHandler } from './stream.ts';
import { deferToTurnEnd, type TurnTask } from './turn-queue.ts';

export class Http2ServerExchange implements ServerExchange, StreamHandler, TurnTask {
  readonly request: RequestHead;
  readonly bodyLength: BodyLength;
  readonly #stream: Http2Stream;
  #reader: ServerExchangeReader | undefined;
  /** What came before the reader: at most a stream's first window. */
  #early: ByteQueue | undefined;
  /** The reader has had everything that came before it. */
  #flowing = false;
  #endToTell = false;
  #trailers: HeaderList | undefined;
  #drainToTell = false;
  #over = false;
  #error: Error | undefined;
  #responded = false;
  /** Nothing may follow the head. */
  #bodiless = false;
  #isTunnel = false;
  #givenUp = false;

  constructor(stream: Http2Stream, request: RequestHead, bodyLength: BodyLength) {
    this.#stream = stream;
    this.request = request;
    this.bodyLength = bodyLength;
  }

  read(reader: ServerExchangeReader): void {
    this.#reader = reader;
    if (this.#early === undefined && !this.#endToTell && !this.#drainToTell && !this.#over) this.#flowing = true;
    else deferToTurnEnd(this);
  }

  credit(byteCount: number): void {
    this.#stream.credit(byteCount);
  }

  sendInformational(head: ResponseHead): void {
    if (!this.#responded) this.#stream.sendInformational(responseList(head));
  }

  respond(head: ResponseHead, ends: boolean): void {
    if (this.#responded) return;
    this.#responded = true;
    const list = this.#answer(head);
    const { status } = head;
    this.#isTunnel ||= this.request.method === 'CONNECT' && status < 300;
    this.#bodiless ||= ends || status === 204 || status === 304 || this.request.method === 'HEAD';
    this.#stream.sendHeaders(list, this.#bodiless);
  }

  write(bytes: Uint8Array): WriteResult {
    return this.#bodiless || !this.#responded ? writeResult.done : this.#stream.sendData(bytes);
  }

  end(trailers?: HeaderList): void {
    if (this.#responded && !this.#bodiless) {
      this.#stream.end(trailers !== undefined && trailers.size > 0 ? trailers : undefined);
    }
  }

  reset(error?: Error): void {
    if (this.#stream.closed) return;
    this.#givenUp = true;
    // The answer is whole: only the rest of the request is not wanted (RFC 9113 section 8.1).
    if (this.#stream.sendEnded) this.#stream.reset(errorCode.noError);
    else this.#stream.reset(this.#resetCode(error), error ?? new Error('Exchange was given up'));
  }

  // The stream's handler.

  onHeaders(): void {}

  onData(bytes: Uint8Array): void {
    if (this.#flowing) this.#reader?.onData(bytes);
    else (this.#early ??= new ByteQueue()).append(bytes);
  }

  onEnd(list?: HeaderList): void {
    if (this.bodyLength === 0) return;
    const trailers = readTrailers(list);
    if (this.#flowing) this.#reader?.onEnd(trailers);
    else {
      this.#endToTell = true;
      this.#trailers = trailers;
    }
  }

  onDrain(): void {
    if (this.#flowing) this.#reader?.onDrain();
    else this.#drainToTell = true;
  }

  /** The answer is whole: nobody needs the rest of the request. A tunnel's halves end each for itself. */
  onSent(): void {
    if (this.#isTunnel) return;
    // What comes in this turn may be the rest.
    deferToTurnEnd({ runTurn: () => this.#stream.reset(errorCode.noError) });
  }

  onClose(error?: Error): void {
    this.#over = true;
    this.#error = error && exchangeError(error, this.#givenUp);
    if (this.#flowing) this.#reader?.onClose(this.#error);
    else if (error) this.#early = undefined;
  }

  /** Hands the reader what came before it. */
  runTurn(): void {
    const reader = this.#reader as ServerExchangeReader;
    const early = this.#early;
    this.#early = undefined;
    this.#flowing = true;
    if (this.#error === undefined) {
      while (early !== undefined && early.length > 0 && !this.#stream.closedByReset) {
        const piece = early.peek();
        reader.onData(piece);
        early.consume(piece.length);
      }
      if (this.#endToTell && !this.#stream.closedByReset) reader.onEnd(this.#trailers);
      if (this.#drainToTell && !this.#over) reader.onDrain();
    }
    if (this.#over) reader.onClose(this.#error);
  }

  /** The list to send, in the terms of HTTP/2 where the client asked to switch protocols. */
  #answer(head: ResponseHead): HeaderList {
    const { status } = head;
    const switches = status === 101;
    if (this.request.upgrade !== undefined) {
      const webSocket = this.request.upgrade === 'websocket';
      if (switches) {
        this.#isTunnel = true;
        return responseList({ status: 200, headers: head.headers }, webSocket);
      }
      // To the client, any 2xx would be the tunnel that it did not get.
      if (status < 200 || status > 299) return responseList(head, webSocket);
    } else if (!switches) return responseList(head);
    this.#bodiless = true;
    return new HeaderList([':status', '502']);
  }

  #resetCode(error: Error | undefined): number {
    if (!this.#responded && error instanceof ExchangeError && error.sent === 'no') return errorCode.refusedStream;
    return this.request.method === 'CONNECT' ? errorCode.connectError : errorCode.internalError;
  }
}
