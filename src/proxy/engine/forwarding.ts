/** A request at its backend: attempts one after another, with their timeouts, until one answer counts. */
import type { HttpRule, RetryPolicy } from '../../api/l7/index.ts';
import type { WorkloadUid } from '../../api/names.ts';
import { parseGrpcTimeout } from '../../http/grpc/index.ts';
import type { HeaderList } from '../../http/header-list.ts';
import type { RequestHead, ResponseHead } from '../../http/message.ts';
import type { ProxyServices } from '../proxy-services.ts';
import type { UpstreamClient, UpstreamFailure, UpstreamHost } from '../upstream/upstream.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import { replyToFailure, timeoutReply } from './failure-reply.ts';
import type { LocalReply } from './filter.ts';
import type { RequestBody } from './request-body.ts';
import { isRetriable, retryDelayMs, type AttemptOutcome } from './retry.ts';

/** The run that the answer is for. */
export interface ForwardingOwner extends Omit<AttemptOwner, 'onUpstreamResponse' | 'onUpstreamFailure'> {
  /** The answer that counts. */
  onAnswer(attempt: Attempt, head: ResponseHead, ends: boolean): void;
  /** There is none, and there will be none. */
  onNoAnswer(reply: LocalReply, failure: UpstreamFailure | undefined): void;
  /** The answer that counted broke off. */
  onBrokenAnswer(failure: UpstreamFailure): void;
  /** Another attempt begins: it is number `attempts`, from 1. */
  onAttempt(attempts: number): void;
}

export interface ForwardingOptions {
  readonly owner: ForwardingOwner;
  readonly services: ProxyServices;
  readonly backend: string;
  readonly head: RequestHead;
  readonly body: RequestBody;
  readonly client: UpstreamClient;
  readonly rule: HttpRule;
  readonly retry: RetryPolicy | undefined;
  readonly isGrpc: boolean;
  readonly preferred: WorkloadUid | undefined;
}

export class Forwarding implements AttemptOwner {
  readonly #options: ForwardingOptions;
  readonly #timeoutMs: number;
  #attempt: Attempt | undefined;
  #attempts = 0;
  #failed: Set<WorkloadUid> | undefined;
  #cancelTimeout: (() => void) | undefined;
  #cancelDelay: (() => void) | undefined;
  #retryToken: { end(): void } | undefined;
  #over = false;

  constructor(options: ForwardingOptions) {
    this.#options = options;
    this.#timeoutMs = timeoutOf(options);
  }

  start(): void {
    if (this.#options.body.ended) this.onRequestEnd();
    this.#try();
  }

  /** The client has sent everything: the route's timeout runs from here. */
  onRequestEnd(): void {
    if (this.#timeoutMs === 0 || this.#cancelTimeout || this.#over) return;
    this.#cancelTimeout = this.#options.services.clock.after(this.#timeoutMs, () => this.#onTimeout());
  }

  /** The client is gone, or the answer was the proxy's own. */
  end(reason?: 'timeout'): void {
    if (this.#over) return;
    this.#over = true;
    this.#cancelTimeout?.();
    this.#cancelDelay?.();
    this.#retryToken?.end();
    this.#attempt?.giveUp(reason);
  }

  // The attempt's owner.

  onHost(host: UpstreamHost): void {
    this.#options.owner.onHost(host);
  }

  onInformational(head: ResponseHead): void {
    this.#options.owner.onInformational(head);
  }

  onUpstreamResponse(attempt: Attempt, head: ResponseHead, ends: boolean): void {
    const { retry, isGrpc } = this.#options;
    if (retry && this.#retries({ kind: 'answered', head, isGrpc }, retry)) {
      this.#noteFailed(attempt.host);
      attempt.giveUp();
      return;
    }
    this.#endRetry();
    this.#options.owner.onAnswer(attempt, head, ends);
  }

  onUpstreamData(bytes: Uint8Array): void {
    this.#options.owner.onUpstreamData(bytes);
  }

  onUpstreamEnd(trailers: HeaderList | undefined): void {
    this.#cancelTimeout?.();
    this.#options.owner.onUpstreamEnd(trailers);
  }

  onUpstreamDrain(): void {
    this.#options.owner.onUpstreamDrain();
  }

  onException(error: unknown): void {
    this.#options.owner.onException(error);
  }

  onUpstreamFailure(attempt: Attempt, failure: UpstreamFailure): void {
    const { owner, retry } = this.#options;
    if (attempt.answered) {
      this.end();
      owner.onBrokenAnswer(failure);
      return;
    }
    this.#noteFailed(attempt.host);
    if (retry && this.#retries({ kind: 'failed', failure }, retry)) return;
    this.end();
    owner.onNoAnswer(replyToFailure(failure), failure);
  }

  #try(): void {
    const { services, backend, head, body, client, retry, preferred, owner } = this.#options;
    const attempt = new Attempt(this);
    this.#attempt = attempt;
    const number = this.#attempts++;
    owner.onAttempt(this.#attempts);
    const exchange = services.upstreams.open(
      backend,
      {
        head,
        ends: body.isEmpty,
        client,
        attempt: number,
        isRetry: number > 0,
        avoid: retry?.avoidsPreviousHosts === true ? this.#failed : undefined,
        avoidLocalitiesOf: retry?.remoteLocalities === true ? this.#failed : undefined,
        preferred,
      },
      attempt,
    );
    if (!attempt.opened(exchange)) return;
    if (!body.isEmpty) body.sendTo(exchange, retry !== undefined && number < retry.attempts);
    const perTryMs = retry?.perTryTimeoutMs ?? 0;
    if (perTryMs > 0)
      attempt.cancelTimeout = services.clock.after(perTryMs, () => this.#onTryTimeout(attempt, perTryMs));
  }

  /** Whether another attempt is under way, or will be. */
  #retries(outcome: AttemptOutcome, retry: RetryPolicy): boolean {
    const { services, backend, body, owner } = this.#options;
    if (this.#over || this.#attempts > retry.attempts || !body.replayable || !isRetriable(retry, outcome)) return false;
    this.#endRetry();
    this.#retryToken = services.upstreams.startRetry(backend);
    if (!this.#retryToken) return false;
    body.hold();
    owner.onUpstreamDrain();
    const delayMs = retryDelayMs(retry, this.#attempts, services.random());
    this.#cancelDelay = services.clock.after(delayMs, () => this.#onDelayOver());
    return true;
  }

  #onDelayOver(): void {
    if (this.#over) return;
    try {
      this.#try();
    } catch (error) {
      this.onException(error);
    }
  }

  #endRetry(): void {
    this.#retryToken?.end();
    this.#retryToken = undefined;
  }

  #noteFailed(host: UpstreamHost | undefined): void {
    const { retry } = this.#options;
    const isAvoided = retry?.avoidsPreviousHosts === true || retry?.remoteLocalities === true;
    if (host?.workload && isAvoided) (this.#failed ??= new Set()).add(host.workload.uid);
  }

  #onTryTimeout(attempt: Attempt, perTryMs: number): void {
    if (this.#over || attempt !== this.#attempt || attempt.answered) return;
    const { retry, owner } = this.#options;
    try {
      this.#noteFailed(attempt.host);
      attempt.giveUp('timeout');
      if (retry && this.#retries({ kind: 'timed-out' }, retry)) return;
      this.end();
      owner.onNoAnswer(timeoutReply(perTryMs, true), undefined);
    } catch (error) {
      this.onException(error);
    }
  }

  #onTimeout(): void {
    if (this.#over) return;
    const { owner } = this.#options;
    const answered = this.#attempt?.answered === true;
    const reply = timeoutReply(this.#timeoutMs, false);
    try {
      this.end('timeout');
      if (answered) owner.onBrokenAnswer({ kind: 'local-reset', flag: 'UT', message: reply.reason, sent: 'maybe' });
      else owner.onNoAnswer(reply, undefined);
    } catch (error) {
      this.onException(error);
    }
  }
}

/** The route's timeout; a gRPC client may ask for a shorter one, or for one where there is none. 0: none. */
function timeoutOf({ rule, isGrpc, head }: ForwardingOptions): number {
  const ofRule = rule.timeoutMs ?? 0;
  if (!isGrpc) return ofRule;
  const text = head.headers.get('grpc-timeout');
  const parsed = text === undefined ? undefined : parseGrpcTimeout(text);
  if (parsed === undefined) return ofRule;
  const asked = Math.max(1, Math.ceil(parsed));
  return ofRule === 0 ? asked : Math.min(ofRule, asked);
}
