/** The body of a request between its client and one attempt after another: kept while an attempt may follow, or a filter wants to read it. */
import { writeResult } from '../../net/channel.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { ServerExchange } from '../../http/message.ts';
import type { UpstreamExchange } from '../upstream/upstream.ts';

/** A longer body is sent once: then there is no other attempt. */
export const maxReplayBytes = 65_536;

export class RequestBody {
  readonly #exchange: ServerExchange;
  #target: UpstreamExchange | undefined;
  #kept: Uint8Array[] | undefined;
  #keptBytes = 0;
  #ended: boolean;
  #trailers: HeaderList | undefined;
  /** Delivered and not credited. */
  #owed = 0;
  /** Credited while it waited for a filter. */
  #wanted: { readonly bytes: number; readonly resolve: () => void } | undefined;
  /** Whether what goes on to an attempt is also kept. */
  #keeps = true;

  constructor(exchange: ServerExchange) {
    this.#exchange = exchange;
    // Who asks to switch protocols will have more to say once that was granted.
    this.#ended = exchange.bodyLength === 0 && exchange.request.upgrade === undefined;
  }

  /** The client has sent all of it. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Nothing of it is missing here, so that another attempt may have it. */
  get replayable(): boolean {
    return this.#keeps;
  }

  /** Nothing is there, and nothing will come. */
  get isEmpty(): boolean {
    return this.#ended && this.#keptBytes === 0 && this.#trailers === undefined;
  }

  /** What came before anybody took it. */
  get keptSoFar(): readonly Uint8Array[] {
    return this.#kept ?? [];
  }

  onData(bytes: Uint8Array): void {
    const target = this.#target;
    if (target === undefined) {
      this.#keep(bytes);
      if (this.#wanted) this.#exchange.credit(bytes.length);
      else this.#owed += bytes.length;
      this.#settleWanted();
      return;
    }
    if (this.#keeps) {
      if (this.#keptBytes + bytes.length <= maxReplayBytes) this.#keep(bytes);
      else this.forget();
    }
    if (target.write(bytes) === writeResult.done) this.#exchange.credit(bytes.length);
    else this.#owed += bytes.length;
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.#ended = true;
    this.#trailers = trailers;
    this.#target?.end(trailers);
    this.#settleWanted();
  }

  /** The attempt takes more. */
  onDrain(): void {
    const owed = this.#owed;
    this.#owed = 0;
    if (owed > 0) this.#exchange.credit(owed);
  }

  /** What is here goes to `target`, and what comes follows. With `keeps`, another attempt can have it all again. */
  sendTo(target: UpstreamExchange, keeps: boolean): void {
    this.#target = target;
    let isFull = false;
    for (const bytes of this.#kept ?? []) if (target.write(bytes) !== writeResult.done) isFull = true;
    if (this.#ended) target.end(this.#trailers);
    if (!keeps || this.#keptBytes > maxReplayBytes) this.forget();
    if (!isFull) this.onDrain();
  }

  /** Between two attempts: what comes waits. */
  hold(): void {
    this.#target = undefined;
  }

  /** No other attempt will ask for it. */
  forget(): void {
    if (this.#ended && this.#keptBytes === 0) return;
    this.#keeps = false;
    this.#kept = undefined;
    this.#keptBytes = 0;
  }

  /** Waits until `maxBytes` or all of it are here; also ends when the client gives up. */
  async read(maxBytes: number): Promise<{ readonly bytes: Uint8Array; readonly whole: boolean }> {
    if (!this.#ended && this.#keptBytes <= maxBytes) {
      this.onDrain();
      await new Promise<void>((resolve) => {
        this.#wanted = { bytes: maxBytes, resolve };
      });
    }
    const all = Buffer.concat(this.#kept ?? []);
    return { bytes: all.subarray(0, maxBytes), whole: this.#ended && all.length <= maxBytes };
  }

  /** The client is gone. */
  abort(): void {
    this.#wanted?.resolve();
    this.#wanted = undefined;
  }

  #settleWanted(): void {
    const wanted = this.#wanted;
    if (!wanted || (!this.#ended && this.#keptBytes <= wanted.bytes)) return;
    this.#wanted = undefined;
    wanted.resolve();
  }

  #keep(bytes: Uint8Array): void {
    (this.#kept ??= []).push(Buffer.from(bytes));
    this.#keptBytes += bytes.length;
  }
}
