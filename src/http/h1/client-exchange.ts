/** One request that a client connection sends, and its answer. */
import { writeResult, type WriteResult } from '../../net/channel.ts';
import type { HeaderList } from '../header-list.ts';
import type { ClientExchange, ClientExchangeReader } from '../message.ts';

/** The connection, as its exchange knows it. */
export interface ClientExchangeOwner {
  sendBody(bytes: Uint8Array): WriteResult;
  sendEnd(exchange: Http1ClientExchange, trailers: HeaderList | undefined): void;
  onCredit(byteCount: number): void;
  abort(error: Error | undefined): void;
}

export class Http1ClientExchange implements ClientExchange {
  readonly method: string;
  readonly upgrade: string | undefined;
  readonly reader: ClientExchangeReader;
  readonly #owner: ClientExchangeOwner;
  /** The request is whole. */
  sent = false;
  isTunnel = false;
  /** Of a tunnel: the peer has ended its side. */
  received = false;
  informational = 0;
  drainOwed = false;
  isOver = false;
  wasReset = false;

  constructor(owner: ClientExchangeOwner, method: string, upgrade: string | undefined, reader: ClientExchangeReader) {
    this.#owner = owner;
    this.method = method;
    this.upgrade = upgrade;
    this.reader = reader;
  }

  get asksForTunnel(): boolean {
    return this.upgrade !== undefined || this.method === 'CONNECT';
  }

  write(bytes: Uint8Array): WriteResult {
    if (this.isOver || this.sent || this.wasReset) return writeResult.done;
    const result = this.#owner.sendBody(bytes);
    if (result !== writeResult.done) this.drainOwed = true;
    return result;
  }

  end(trailers?: HeaderList): void {
    if (this.isOver || this.sent || this.wasReset) return;
    this.sent = true;
    this.#owner.sendEnd(this, trailers);
  }

  credit(byteCount: number): void {
    if (!this.isOver) this.#owner.onCredit(byteCount);
  }

  reset(error?: Error): void {
    if (this.isOver || this.wasReset) return;
    this.wasReset = true;
    this.#owner.abort(error);
  }
}
