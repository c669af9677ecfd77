/** One request of ours to an HTTP/2 server, and what becomes of it. */
import { type WriteResult, writeResult } from '../../net/channel.ts';
import type { HeaderList } from '../header-list.ts';
import type { ClientExchange, ClientExchangeReader, ExchangeError, RequestHead } from '../message.ts';
import { errorCode } from './constants.ts';
import { exchangeError } from './exchange-errors.ts';
import { readResponseHead, readTrailers, switchedHead } from './exchange-heads.ts';
import { contentLength } from './message-validation.ts';
import { type Http2Stream, streamError, type StreamHandler } from './stream.ts';
import { deferToTurnEnd, type TurnTask } from './turn-queue.ts';

export class Http2ClientExchange implements ClientExchange, StreamHandler, TurnTask {
  readonly #reader: ClientExchangeReader;
  readonly #kind: 'request' | 'head' | 'connect' | 'upgrade';
  readonly #webSocketKey: string | undefined;
  #stream: Http2Stream | undefined;
  #failure: ExchangeError | undefined;
  #givenUp = false;
  /** The head was told to be the end. */
  #endTold = false;
  #complete = false;

  constructor(head: RequestHead, reader: ClientExchangeReader) {
    this.#reader = reader;
    if (head.upgrade !== undefined) this.#kind = 'upgrade';
    else if (head.method === 'CONNECT') this.#kind = 'connect';
    else this.#kind = head.method === 'HEAD' ? 'head' : 'request';
    this.#webSocketKey = head.upgrade === 'websocket' ? head.headers.get('sec-websocket-key') : undefined;
  }

  /** The stream that the request went out on. */
  start(stream: Http2Stream): void {
    this.#stream = stream;
  }

  /** The request cannot go out. */
  fail(failure: ExchangeError): void {
    this.#failure = failure;
    deferToTurnEnd(this);
  }

  write(bytes: Uint8Array): WriteResult {
    return this.#stream?.sendData(bytes) ?? writeResult.done;
  }

  end(trailers?: HeaderList): void {
    this.#stream?.end(trailers !== undefined && trailers.size > 0 ? trailers : undefined);
  }

  credit(byteCount: number): void {
    this.#stream?.credit(byteCount);
  }

  reset(error?: Error): void {
    const stream = this.#stream;
    if (stream === undefined || stream.closed) return;
    this.#givenUp = true;
    stream.reset(errorCode.cancel, error ?? new Error('Exchange was given up'));
  }

  // The stream's handler.

  onHeaders(list: HeaderList, endStream: boolean): void {
    const stream = this.#stream as Http2Stream;
    const status = Number(list.fields[1]);
    if (status < 200) {
      this.#reader.onInformational(readResponseHead(list));
      return;
    }
    const accepted = status < 300;
    if (this.#kind === 'upgrade' && accepted) {
      this.#reader.onResponse(switchedHead(list, this.#webSocketKey), false);
      return;
    }
    if (this.#kind !== 'connect' || !accepted) {
      const bodiless = this.#kind === 'head' || status === 204 || status === 304;
      const length = bodiless ? 0 : contentLength(list);
      if (endStream && length !== undefined && length > 0) {
        stream.reset(
          errorCode.protocolError,
          streamError(errorCode.protocolError, 'Peer sent content-length without a body'),
        );
        return;
      }
      stream.expectContent(length);
    }
    this.#endTold = endStream;
    this.#reader.onResponse(readResponseHead(list), endStream);
  }

  onData(bytes: Uint8Array): void {
    this.#reader.onData(bytes);
  }

  onEnd(list?: HeaderList): void {
    this.#complete = true;
    if (!this.#endTold) this.#reader.onEnd(readTrailers(list));
  }

  onDrain(): void {
    this.#reader.onDrain();
  }

  onClose(error?: Error): void {
    // Whatever ended the rest of the request, the answer is whole.
    this.#reader.onClose(error === undefined || this.#complete ? undefined : exchangeError(error, this.#givenUp));
  }

  runTurn(): void {
    this.#reader.onClose(this.#failure);
  }
}
