/** A request that asks to become a tunnel (WebSocket), as filters look at it again when the configuration changes. */
import type { RequestHead } from '../../http/message.ts';
import type { ExceptionOwner } from './exceptions.ts';
import type { FilterResult, HttpFilter, LiveTunnel, LocalReply } from './filter.ts';
import type { HttpRun } from './http-run.ts';

/** The run, as its tunnel knows it. */
export interface TunnelRun extends HttpRun, ExceptionOwner {
  /** Filters would not let it in now. */
  onTunnelRefused(refusal: LocalReply): void;
}

export class RunTunnel {
  readonly #run: TunnelRun;
  /** The request as it came, before any filter. */
  readonly #arrived: RequestHead;
  /** As filters saw it, before its rule changed it; undefined: they still do. */
  #entered: RequestHead | undefined;
  /** Of a tunnel that is looked at again: aborted at its end. */
  #end: AbortController | undefined;
  #reviews = 0;

  /** Before the first filter. */
  constructor(run: TunnelRun) {
    this.#run = run;
    this.#arrived = copyOf(run.request);
  }

  get entered(): RequestHead {
    return this.#entered ?? this.#run.request;
  }

  /** All filters have seen the request. */
  onFiltered(): void {
    this.#entered = copyOf(this.#run.request);
  }

  /** Whether these filters would let it in now; one of them may take its time. */
  review(filters: readonly HttpFilter[]): void {
    const run = this.#run;
    const { connection, remoteAddress, token } = run;
    const tunnel: LiveTunnel = {
      connection,
      remoteAddress,
      token,
      request: this.entered,
      arrived: this.#arrived,
      run,
    };
    const { signal } = (this.#end ??= new AbortController());
    const review = ++this.#reviews;
    for (const filter of filters) {
      let verdict: FilterResult;
      try {
        verdict = filter.review?.(tunnel, signal);
      } catch (error) {
        run.onException(error, filter.name);
        return;
      }
      if (verdict instanceof Promise) {
        verdict.then(
          // What a configuration said that was replaced meanwhile counts no more.
          (refusal) => refusal && review === this.#reviews && run.onTunnelRefused(refusal),
          (error: unknown) => run.onException(error, filter.name),
        );
      } else if (verdict) return run.onTunnelRefused(verdict);
    }
  }

  /** It is over. */
  close(): void {
    this.#end?.abort();
  }
}

function copyOf(head: RequestHead): RequestHead {
  return { ...head, headers: head.headers.copy() };
}
