/** One try of one request at one host. What comes after it was given up is nobody's. */
import type { HeaderList } from '../../http/header-list.ts';
import type { ResponseHead } from '../../http/message.ts';
import type { ExceptionOwner } from './exceptions.ts';
import type { UpstreamExchange, UpstreamFailure, UpstreamHost, UpstreamReader } from '../upstream/upstream.ts';

/** Whoever tries: the run. What its callbacks throw comes to `onException`. */
export interface AttemptOwner extends ExceptionOwner {
  onHost(host: UpstreamHost): void;
  onInformational(head: ResponseHead): void;
  onUpstreamResponse(attempt: Attempt, head: ResponseHead, ends: boolean): void;
  onUpstreamData(bytes: Uint8Array): void;
  onUpstreamEnd(trailers: HeaderList | undefined): void;
  onUpstreamDrain(): void;
  onUpstreamFailure(attempt: Attempt, failure: UpstreamFailure): void;
}

export class Attempt implements UpstreamReader {
  readonly #owner: AttemptOwner;
  /** Its answers count. */
  #counts = true;
  /** Undefined as long as it is being opened. */
  #exchange: UpstreamExchange | undefined;
  host: UpstreamHost | undefined;
  /** The final head has come. */
  answered = false;
  /** The whole answer has come. */
  complete = false;
  cancelTimeout: (() => void) | undefined;

  constructor(owner: AttemptOwner) {
    this.#owner = owner;
  }

  /** There once it was opened. */
  get exchange(): UpstreamExchange {
    return this.#exchange as UpstreamExchange;
  }

  /** False: it was given up while it was being opened. */
  opened(exchange: UpstreamExchange): boolean {
    this.#exchange = exchange;
    if (!this.#counts) exchange.reset();
    return this.#counts;
  }

  /** Its answers count no more. `timeout`: it took too long. */
  giveUp(reason?: 'timeout'): void {
    this.cancelTimeout?.();
    if (!this.#counts) return;
    this.#counts = false;
    this.#exchange?.reset(reason);
  }

  // Called by the upstream, where an exception would be everybody's.

  onHost(host: UpstreamHost): void {
    this.host = host;
    if (!this.#counts) return;
    try {
      this.#owner.onHost(host);
    } catch (error) {
      this.#owner.onException(error);
    }
  }

  onInformational(head: ResponseHead): void {
    if (!this.#counts) return;
    try {
      this.#owner.onInformational(head);
    } catch (error) {
      this.#owner.onException(error);
    }
  }

  onResponse(head: ResponseHead, ends: boolean): void {
    this.answered = true;
    this.complete = ends;
    this.cancelTimeout?.();
    if (!this.#counts) return;
    try {
      this.#owner.onUpstreamResponse(this, head, ends);
    } catch (error) {
      this.#owner.onException(error);
    }
  }

  onData(bytes: Uint8Array): void {
    if (!this.#counts) return;
    try {
      this.#owner.onUpstreamData(bytes);
    } catch (error) {
      this.#owner.onException(error);
    }
  }

  onEnd(trailers?: HeaderList): void {
    this.complete = true;
    if (!this.#counts) return;
    try {
      this.#owner.onUpstreamEnd(trailers);
    } catch (error) {
      this.#owner.onException(error);
    }
  }

  onDrain(): void {
    if (!this.#counts) return;
    try {
      this.#owner.onUpstreamDrain();
    } catch (error) {
      this.#owner.onException(error);
    }
  }

  onClose(failure?: UpstreamFailure): void {
    this.cancelTimeout?.();
    if (!this.#counts) return;
    this.#counts = false;
    if (this.complete) return;
    try {
      this.#owner.onUpstreamFailure(
        this,
        failure ?? { kind: 'connection-termination', flag: 'UC', message: 'the connection ended', sent: 'maybe' },
      );
    } catch (error) {
      this.#owner.onException(error);
    }
  }
}
