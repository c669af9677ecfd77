/** One request with a small body and its whole answer, for the calls that a proxy makes itself. */
import type { Clock } from '../lib/clock.ts';
import { AmbitError } from '../lib/errors.ts';
import type { HeaderList } from './header-list.ts';
import type { ClientExchange, ClientExchangeReader, RequestHead, ResponseHead } from './message.ts';

/** Begins an exchange somewhere: on a connection, or on whichever a pool chooses. */
export type OpenExchange = (head: RequestHead, ends: boolean, reader: ClientExchangeReader) => ClientExchange;

export interface HttpCallOptions {
  readonly open: OpenExchange;
  readonly head: RequestHead;
  readonly body?: Uint8Array;
  readonly clock: Clock;
  /** For the whole answer. */
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  readonly body: Buffer;
  readonly trailers: HeaderList | undefined;
}

/** A call under way. */
export interface Call<Answer> {
  readonly answer: Promise<Answer>;
  /** Gives it up: `answer` rejects. Idempotent. */
  cancel(): void;
}

/** `answer` rejects with an `ExchangeError`, or an AmbitError of code `http.call-timeout` or `http.answer-too-large`. */
export function callHttp(options: HttpCallOptions): Call<HttpAnswer> {
  const pending = new PendingCall(options);
  return { answer: pending.answer, cancel: () => pending.cancel() };
}

class PendingCall implements ClientExchangeReader {
  readonly answer: Promise<HttpAnswer>;
  readonly #maxResponseBytes: number;
  readonly #exchange: ClientExchange;
  readonly #cancelTimeout: () => void;
  #resolve!: (answer: HttpAnswer) => void;
  #reject!: (error: Error) => void;
  #head: ResponseHead | undefined;
  #chunks: Buffer[] = [];
  #byteCount = 0;
  #trailers: HeaderList | undefined;
  #complete = false;
  #failure: Error | undefined;

  constructor(options: HttpCallOptions) {
    const { open, head, body, clock, timeoutMs } = options;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#maxResponseBytes = options.maxResponseBytes;
    const ends = body === undefined || body.length === 0;
    this.#exchange = open(head, ends, this);
    if (!ends) {
      this.#exchange.write(body);
      this.#exchange.end();
    }
    this.#cancelTimeout = clock.after(timeoutMs, () => {
      this.#fail('call-timeout', `no whole answer within ${timeoutMs} ms`);
    });
  }

  cancel(): void {
    this.#exchange.reset();
  }

  onInformational(): void {}

  onResponse(head: ResponseHead, ends: boolean): void {
    this.#head = head;
    this.#complete = ends;
  }

  onData(bytes: Uint8Array): void {
    this.#byteCount += bytes.length;
    if (this.#byteCount > this.#maxResponseBytes) {
      this.#fail('answer-too-large', `its answer has more than ${this.#maxResponseBytes} bytes`);
      return;
    }
    this.#chunks.push(Buffer.from(bytes));
    this.#exchange.credit(bytes.length);
  }

  onEnd(trailers?: HeaderList): void {
    this.#trailers = trailers;
    this.#complete = true;
  }

  onDrain(): void {}

  onClose(error?: Error): void {
    this.#cancelTimeout();
    const head = this.#head;
    if (this.#failure !== undefined) this.#reject(this.#failure);
    else if (head !== undefined && this.#complete) {
      const body = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
      this.#resolve({ status: head.status, headers: head.headers, body, trailers: this.#trailers });
    } else this.#reject(error ?? new Error('Exchange ended without an answer'));
  }

  #fail(reason: 'call-timeout' | 'answer-too-large', state: string): void {
    if (this.#complete) return;
    this.#failure ??= new AmbitError(`Call failed: ${state}`, { code: `http.${reason}`, blame: 'upstream' });
    this.#exchange.reset(this.#failure);
  }
}
