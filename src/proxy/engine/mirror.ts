/** Copies of a request that nobody waits for: a rule's mirrors (ambient-l7, 2.1). */
import type { Mirror } from '../../api/l7/index.ts';
import { writeResult } from '../../net/channel.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { RequestHead } from '../../http/message.ts';
import type { UpstreamClient, UpstreamExchange, UpstreamReader, Upstreams } from '../upstream/upstream.ts';

/** Answers are read and dropped. */
class Shadow implements UpstreamReader {
  exchange: UpstreamExchange | undefined;
  closed = false;

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
  }
}

/** The copies of one request; a copy whose host is slower than the request itself is given up. */
export class Mirrors {
  readonly #shadows: Shadow[] = [];

  constructor(upstreams: Upstreams, mirrors: readonly Mirror[], copy: MirroredRequest) {
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
  }

  write(bytes: Uint8Array): void {
    for (const shadow of this.#shadows) {
      if (shadow.closed || shadow.exchange?.write(bytes) === writeResult.done) continue;
      shadow.closed = true;
      shadow.exchange?.reset();
    }
  }

  end(trailers: HeaderList | undefined): void {
    for (const shadow of this.#shadows) if (!shadow.closed) shadow.exchange?.end(trailers);
  }

  /** Of a request that was given up before its end. */
  abort(): void {
    for (const shadow of this.#shadows) if (!shadow.closed) shadow.exchange?.reset();
  }
}

export interface MirroredRequest {
  readonly head: RequestHead;
  readonly ends: boolean;
  readonly client: UpstreamClient;
  readonly random: () => number;
}
