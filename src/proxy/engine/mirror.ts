/** Copies of a request that nobody waits for: a rule's mirrors (ambient-l7, 2.1). */
import type { Mirror } from '../../api/l7/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { writeResult } from '../../net/channel.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { RequestHead } from '../../http/message.ts';
import type { UpstreamClient, UpstreamExchange, UpstreamReader, Upstreams } from '../upstream/upstream.ts';

/** Nobody gives up a copy that is not answered: it ends so long after the request does, where the rule says nothing. */
const defaultTimeoutMs = 60_000;

/** Answers are read and dropped. */
class Shadow implements UpstreamReader {
  exchange: UpstreamExchange | undefined;
  closed = false;
  cancelTimeout: (() => void) | undefined;

  onHost(): void {}
  onInformational(): void {}
  onResponse(): void {}
  onEnd(): void {}
  onDrain(): void {}

  onData(bytes: Uint8Array): void {
    this.exchange?.credit(bytes.length);
  }

  onClose(): void {
    this.closed = true;
    this.cancelTimeout?.();
  }

  giveUpAfter(ms: number, clock: Clock): void {
    if (!this.closed) this.cancelTimeout = clock.after(ms, () => this.giveUp());
  }

  giveUp(): void {
    if (this.closed) return;
    this.onClose();
    this.exchange?.reset();
  }
}

/** The copies of one request; a copy whose host is slower than the request itself is given up. */
export class Mirrors {
  readonly #shadows: Shadow[] = [];
  readonly #copy: MirroredRequest;

  constructor(upstreams: Upstreams, mirrors: readonly Mirror[], copy: MirroredRequest) {
    this.#copy = copy;
    for (const { backend, percent } of mirrors) {
      if (copy.random() * 100 >= percent) continue;
      const shadow = new Shadow();
      const head: RequestHead = { ...copy.head, headers: copy.head.headers.copy() };
      // Nobody switches protocols with a copy.
      delete head.upgrade;
      shadow.exchange = upstreams.open(
        backend,
        { head, ends: copy.ends, client: copy.client, attempt: 0, isRetry: false },
        shadow,
      );
      this.#shadows.push(shadow);
    }
    if (copy.ends) this.#limit();
  }

  write(bytes: Uint8Array): void {
    for (const shadow of this.#shadows) {
      if (shadow.closed || shadow.exchange?.write(bytes) === writeResult.done) continue;
      shadow.giveUp();
    }
  }

  end(trailers: HeaderList | undefined): void {
    for (const shadow of this.#shadows) if (!shadow.closed) shadow.exchange?.end(trailers);
    this.#limit();
  }

  /** Of a request that was given up before its end. */
  abort(): void {
    for (const shadow of this.#shadows) shadow.giveUp();
  }

  #limit(): void {
    const { timeoutMs, clock } = this.#copy;
    for (const shadow of this.#shadows) shadow.giveUpAfter(timeoutMs || defaultTimeoutMs, clock);
  }
}

export interface MirroredRequest {
  readonly head: RequestHead;
  readonly ends: boolean;
  readonly client: UpstreamClient;
  readonly random: () => number;
  readonly clock: Clock;
  /** Of the rule, from the end of the request on; 0: it has none. */
  readonly timeoutMs: number;
}
