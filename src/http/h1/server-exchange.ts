/** One request of a server connection, and its answer. */
import { writeResult, type WriteResult } from '../../net/channel.ts';
import { atTurnEnd } from '../../net/turn.ts';
import type { HeaderList } from '../header-list.ts';
import type { BodyLength, RequestHead, ResponseHead, ServerExchange, ServerExchangeReader } from '../message.ts';
import type { ParsedRequest } from './request-head.ts';

/** The connection, as its exchange knows it. */
export interface ExchangeOwner {
  /** A reader came: what waits for it may flow. */
  onReader(): void;
  onCredit(byteCount: number): void;
  sendInformational(head: ResponseHead): void;
  sendHead(exchange: Http1ServerExchange, head: ResponseHead, ends: boolean): void;
  sendBody(bytes: Uint8Array): WriteResult;
  sendEnd(exchange: Http1ServerExchange, trailers: HeaderList | undefined): void;
  abort(error: Error | undefined): void;
}

export class Http1ServerExchange implements ServerExchange {
  readonly request: RequestHead;
  readonly bodyLength: BodyLength;
  readonly keepsAlive: boolean;
  readonly expectsContinue: boolean;
  readonly #owner: ExchangeOwner;
  reader: ServerExchangeReader | undefined;
  /** 100 was sent, or some of the body came unasked. */
  continued = false;
  /** Headers of the final answer are out, or staged. */
  responded = false;
  /** The answer is whole. */
  answered = false;
  isTunnel = false;
  /** The request is whole. */
  received: boolean;
  drainOwed = false;
  isOver = false;
  error: Error | undefined;

  constructor(owner: ExchangeOwner, parsed: ParsedRequest) {
    this.#owner = owner;
    this.request = parsed.head;
    this.bodyLength = parsed.bodyLength;
    this.keepsAlive = parsed.keepsAlive;
    this.expectsContinue = parsed.expectsContinue;
    this.received = parsed.bodyLength === 0;
  }

  read(reader: ServerExchangeReader): void {
    if (this.reader !== undefined) throw new Error('An exchange has one reader');
    this.reader = reader;
    if (this.isOver) atTurnEnd({ onTurnEnd: () => reader.onClose(this.error) });
    else this.#owner.onReader();
  }

  credit(byteCount: number): void {
    if (!this.isOver) this.#owner.onCredit(byteCount);
  }

  sendInformational(head: ResponseHead): void {
    if (this.responded || this.isOver || this.request.version === 'http/1.0') return;
    if (head.status < 100 || head.status > 199 || head.status === 101)
      throw new Error(`${head.status} is not informational`);
    if (head.status === 100) this.continued = true;
    this.#owner.sendInformational(head);
  }

  respond(head: ResponseHead, ends: boolean): void {
    if (this.isOver) return;
    if (this.responded) throw new Error('A request has one answer');
    if (head.status < 200 && head.status !== 101) throw new Error(`${head.status} is no final answer`);
    this.responded = true;
    this.#owner.sendHead(this, head, ends);
  }

  write(bytes: Uint8Array): WriteResult {
    if (this.isOver || this.answered) return writeResult.done;
    const result = this.#owner.sendBody(bytes);
    if (result !== writeResult.done) this.drainOwed = true;
    return result;
  }

  end(trailers?: HeaderList): void {
    if (this.isOver || this.answered) return;
    this.#owner.sendEnd(this, trailers);
  }

  reset(error?: Error): void {
    if (!this.isOver) this.#owner.abort(error);
  }
}
