/** The answer on its way from an attempt to the client; it waits while a filter thinks about the head. */
import { writeResult } from '../../net/channel.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { ServerExchange } from '../../http/message.ts';
import type { UpstreamExchange } from '../upstream/upstream.ts';

export class ResponseBody {
  readonly #exchange: ServerExchange;
  #source: UpstreamExchange | undefined;
  #held: Uint8Array[] | undefined;
  #heldEnd: { readonly trailers: HeaderList | undefined } | undefined;
  #holding = false;
  /** Delivered and not credited. */
  #owed = 0;

  constructor(exchange: ServerExchange) {
    this.#exchange = exchange;
  }

  /** What comes from now on is `source`'s. */
  begin(source: UpstreamExchange): void {
    this.#source = source;
  }

  hold(): void {
    this.#holding = true;
  }

  release(): void {
    this.#holding = false;
    let isFull = false;
    for (const bytes of this.#held ?? []) if (this.#exchange.write(bytes) !== writeResult.done) isFull = true;
    this.#held = undefined;
    if (this.#heldEnd) this.#exchange.end(this.#heldEnd.trailers);
    if (!isFull) this.onDrain();
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
}
