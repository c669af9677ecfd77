/** The one answer to a client: decided on, then its head, then its body, which waits while a filter thinks about the head. */
import { writeResult } from '../../net/channel.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { ResponseHead, ServerExchange } from '../../http/message.ts';
import type { UpstreamExchange } from '../upstream/upstream.ts';
import { sendReply, type RenderedReply } from './local-reply.ts';

export class ClientAnswer {
  readonly #exchange: ServerExchange;
  /** A final head is there, and may wait for filters. */
  isDecided = false;
  /** It went out. */
  isSent = false;
  #source: UpstreamExchange | undefined;
  /** In place of a backend's. */
  #own: RenderedReply | undefined;
  /** Of a backend's: it has no body. */
  #ends = false;
  #held: Uint8Array[] | undefined;
  #heldEnd: { readonly trailers: HeaderList | undefined } | undefined;
  #holding = false;
  /** Delivered and not credited. */
  #owed = 0;

  constructor(exchange: ServerExchange) {
    this.#exchange = exchange;
  }

  /** The answer is the backend's: what comes from now on is `source`'s, and waits until the head is sent. */
  decide(source: UpstreamExchange, ends: boolean): void {
    this.isDecided = true;
    this.#source = source;
    this.#ends = ends;
    this.#holding = true;
  }

  /** The answer is the proxy's own, whatever it was to be. */
  decideOwn(reply: RenderedReply): void {
    this.isDecided = true;
    this.#own = reply;
  }

  /** Body of the proxy's own answer; undefined: the answer is a backend's. */
  get ownBytes(): number | undefined {
    return this.#own && (this.#own.body?.length ?? 0);
  }

  /** With what waits for it. */
  send(head: ResponseHead): void {
    this.isSent = true;
    if (this.#own) return sendReply(this.#exchange, head, this.#own.body);
    this.#exchange.respond(head, this.#ends);
    this.#release();
  }

  onData(bytes: Uint8Array): void {
    if (this.#holding) {
      (this.#held ??= []).push(Buffer.from(bytes));
      this.#owed += bytes.length;
    } else if (this.#exchange.write(bytes) === writeResult.done) this.#source?.credit(bytes.length);
    else this.#owed += bytes.length;
  }

  onEnd(trailers: HeaderList | undefined): void {
    if (this.#holding) this.#heldEnd = { trailers };
    else this.#exchange.end(trailers);
  }

  /** The client takes more. */
  onDrain(): void {
    const owed = this.#owed;
    this.#owed = 0;
    if (owed > 0) this.#source?.credit(owed);
  }

  #release(): void {
    this.#holding = false;
    let isFull = false;
    for (const bytes of this.#held ?? []) if (this.#exchange.write(bytes) !== writeResult.done) isFull = true;
    this.#held = undefined;
    if (this.#heldEnd) this.#exchange.end(this.#heldEnd.trailers);
    if (!isFull) this.onDrain();
  }
}
