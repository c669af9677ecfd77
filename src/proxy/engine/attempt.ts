/** One try of one request at one host. What comes after it was given up is nobody's. */
import type { HeaderList } from '../../http/header-list.ts';
import type { ResponseHead } from '../../http/message.ts';
import type { UpstreamExchange, UpstreamFailure, UpstreamHost, UpstreamReader } from '../upstream/upstream.ts';

/** Whoever tries: the run. */
export interface AttemptOwner {
  onHost(host: UpstreamHost): void;
  onInformational(head: ResponseHead): void;
  onUpstreamResponse(attempt: Attempt, head: ResponseHead, ends: boolean): void;
  onUpstreamData(bytes: Uint8Array): void;
  onUpstreamEnd(trailers: HeaderList | undefined): void;
  onUpstreamDrain(): void;
  onUpstreamFailure(attempt: Attempt, failure: UpstreamFailure): void;
}

export class Attempt implements UpstreamReader {
  #owner: AttemptOwner | undefined;
  /** Set right after the attempt was opened. */
  exchange!: UpstreamExchange;
  host: UpstreamHost | undefined;
  /** The final head has come. */
  answered = false;
  /** The whole answer has come. */
  complete = false;
  cancelTimeout: (() => void) | undefined;

  constructor(owner: AttemptOwner) {
    this.#owner = owner;
  }

  /** Its answers count no more. `timeout`: it took too long. */
  giveUp(reason?: 'timeout'): void {
    this.cancelTimeout?.();
    if (this.#owner === undefined) return;
    this.#owner = undefined;
    this.exchange.reset(reason);
  }

  onHost(host: UpstreamHost): void {
    this.host = host;
    this.#owner?.onHost(host);
  }

  onInformational(head: ResponseHead): void {
    this.#owner?.onInformational(head);
  }

  onResponse(head: ResponseHead, ends: boolean): void {
    this.answered = true;
    this.complete = ends;
    this.cancelTimeout?.();
    this.#owner?.onUpstreamResponse(this, head, ends);
  }

  onData(bytes: Uint8Array): void {
    this.#owner?.onUpstreamData(bytes);
  }

  onEnd(trailers?: HeaderList): void {
    this.complete = true;
    this.#owner?.onUpstreamEnd(trailers);
  }

  onDrain(): void {
    this.#owner?.onUpstreamDrain();
  }

  onClose(failure?: UpstreamFailure): void {
    this.cancelTimeout?.();
    const owner = this.#owner;
    this.#owner = undefined;
    if (!owner || this.complete) return;
    owner.onUpstreamFailure(
      this,
      failure ?? { kind: 'connection-termination', flag: 'UC', message: 'the connection ended', sent: 'maybe' },
    );
  }
}
