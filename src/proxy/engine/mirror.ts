/** Copies of a request that nobody waits for: a rule's mirrors (ambient-l7, 2.1). What goes wrong with one is no matter of the request. */
import type { Mirror } from '../../api/l7/index.ts';
import { writeResult } from '../../net/channel.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { RequestHead } from '../../http/message.ts';
import type { ProxyServices } from '../proxy-services.ts';
import type { UpstreamClient, UpstreamExchange, UpstreamReader } from '../upstream/upstream.ts';
import { reportException } from './exceptions.ts';
import type { RequestBody } from './request-body.ts';

/** Nobody gives up a copy that is not answered: it ends so long after the request does, where the rule says nothing. */
const defaultTimeoutMs = 60_000;

/** Answers are read and dropped. */
class Shadow implements UpstreamReader {
  readonly #services: ProxyServices;
  #exchange: UpstreamExchange | undefined;
  #closed = false;
  #cancelTimeout: (() => void) | undefined;

  constructor(services: ProxyServices) {
    this.#services = services;
  }

  start(backend: string, head: RequestHead, { body, client }: MirroredRequest): void {
    try {
      const request = { head, ends: body.isEmpty, client, attempt: 0, isRetry: false };
      this.#exchange = this.#services.upstreams.open(backend, request, this);
    } catch (error) {
      this.#broke(error);
    }
  }

  onHost(): void {}
  onInformational(): void {}
  onResponse(): void {}
  onEnd(): void {}
  onDrain(): void {}

  onData(bytes: Uint8Array): void {
    this.#exchange?.credit(bytes.length);
  }

  onClose(): void {
    this.#closed = true;
    this.#cancelTimeout?.();
  }

  write(bytes: Uint8Array): void {
    if (this.#closed) return;
    try {
      if (this.#exchange?.write(bytes) !== writeResult.done) this.giveUp();
    } catch (error) {
      this.#broke(error);
    }
  }

  end(trailers: HeaderList | undefined): void {
    if (this.#closed) return;
    try {
      this.#exchange?.end(trailers);
    } catch (error) {
      this.#broke(error);
    }
  }

  giveUpAfter(ms: number): void {
    if (!this.#closed) this.#cancelTimeout = this.#services.clock.after(ms, () => this.giveUp());
  }

  giveUp(): void {
    if (this.#closed) return;
    this.onClose();
    try {
      this.#exchange?.reset();
    } catch (error) {
      reportException(this.#services, 'mirror', error);
    }
  }

  #broke(error: unknown): void {
    reportException(this.#services, 'mirror', error);
    this.giveUp();
  }
}

/** The copies of one request; a copy whose host is slower than the request itself is given up. */
export class Mirrors {
  readonly #shadows: Shadow[] = [];
  readonly #copy: MirroredRequest;

  constructor(services: ProxyServices, mirrors: readonly Mirror[], copy: MirroredRequest) {
    this.#copy = copy;
    for (const { backend, percent } of mirrors) {
      if (services.random() * 100 >= percent) continue;
      const shadow = new Shadow(services);
      const head: RequestHead = { ...copy.head, headers: copy.head.headers.copy() };
      // Nobody switches protocols with a copy.
      delete head.upgrade;
      shadow.start(backend, head, copy);
      this.#shadows.push(shadow);
    }
    const { body } = copy;
    for (const bytes of body.keptSoFar) this.write(bytes);
    if (body.isEmpty) this.#limit();
    else if (body.ended) this.end(undefined);
  }

  write(bytes: Uint8Array): void {
    for (const shadow of this.#shadows) shadow.write(bytes);
  }

  end(trailers: HeaderList | undefined): void {
    for (const shadow of this.#shadows) shadow.end(trailers);
    this.#limit();
  }

  /** Of a request that was given up before its end. */
  abort(): void {
    for (const shadow of this.#shadows) shadow.giveUp();
  }

  #limit(): void {
    for (const shadow of this.#shadows) shadow.giveUpAfter(this.#copy.timeoutMs || defaultTimeoutMs);
  }
}

export interface MirroredRequest {
  readonly head: RequestHead;
  /** What is here of it goes to the copies at once; what comes is for the owner to write. */
  readonly body: Pick<RequestBody, 'isEmpty' | 'ended' | 'keptSoFar'>;
  readonly client: UpstreamClient;
  /** Of the rule, from the end of the request on; 0: it has none. */
  readonly timeoutMs: number;
}
