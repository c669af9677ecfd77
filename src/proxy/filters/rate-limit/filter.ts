/** Rate limits (policy.ambit.dev RateLimit; ambient-l7, 3.3): buckets of the proxy's own, then those of a rate limit service. */
import type { Call } from '../../../http/call.ts';
import { HeaderList } from '../../../http/header-list.ts';
import type { ResponseHead } from '../../../http/message.ts';
import type { BucketLevel } from '../../../policy/rate-limit.ts';
import type { FilterKind, FilterPlace, HttpFilter, LocalReply } from '../../engine/filter.ts';
import type { HttpRun } from '../../engine/http-run.ts';
import { type GlobalAnswer, type GlobalGroup, globalGroupsOf, globalReport } from './global-limits.ts';
import { countLimits, type LimitCounter } from './limit-counts.ts';
import { type CompiledLimit, compileLimit, LimitSubject } from './limit-rules.ts';
import { bucketKey, type LimitReport, type LocalLimit, localLimitOf, reportOf } from './local-limits.ts';

const name = 'rate-limit';

export const rateLimitFilter: FilterKind = {
  name,
  reads: ['rateLimits'],
  build(place) {
    const limits = limitsOf(place);
    return limits.length === 0 ? undefined : new RateLimitFilter(place, limits);
  },
};

function limitsOf({ policies, snapshot }: FilterPlace): CompiledLimit[] {
  const resolved = [...new Set(policies.rateLimits)].flatMap(
    (policy) => snapshot.policies['rate-limit'].get(policy) ?? [],
  );
  return resolved.flatMap((policy) => policy.limits.map((rule) => compileLimit(policy.name, rule)));
}

/** What is kept of a request. */
interface LimitState {
  /** Of the limit that has the least left. */
  report: LimitReport | undefined;
  responseHeaders: (readonly [name: string, value: string])[];
  calls: Call<GlobalAnswer>[];
  isOver: boolean;
}

class RateLimitFilter implements HttpFilter {
  readonly name: string = name;
  readonly #local: readonly LocalLimit[];
  readonly #global: readonly GlobalGroup[];
  readonly #count: LimitCounter;
  readonly #nowMs: () => number;

  constructor(place: FilterPlace, limits: readonly CompiledLimit[]) {
    this.#local = limits.flatMap((limit) => localLimitOf(place, limit) ?? []);
    this.#global = globalGroupsOf(place, limits);
    this.#count = countLimits(place.services);
    this.#nowMs = () => place.services.clock.nowMs();
  }

  onRequest(run: HttpRun): Promise<LocalReply | undefined> | LocalReply | undefined {
    const subject = new LimitSubject(run);
    const state: LimitState = { report: undefined, responseHeaders: [], calls: [], isOver: false };
    run.state.set(this, state);
    return this.#takeLocal(subject, state) ?? (this.#global.length === 0 ? undefined : this.#askAll(subject, state));
  }

  onResponse(run: HttpRun, head: ResponseHead): void {
    const state = run.state.get(this) as LimitState | undefined;
    if (!state) return;
    for (const [field, value] of state.responseHeaders) head.headers.add(field, value);
    const { report } = state;
    // The application may have limits of its own, nearer to what it does.
    if (!report || head.headers.has('x-ratelimit-limit')) return;
    head.headers.add('x-ratelimit-limit', report.limit);
    head.headers.add('x-ratelimit-remaining', String(report.remaining));
    head.headers.add('x-ratelimit-reset', String(seconds(report.resetMs)));
  }

  onFinish(run: HttpRun): void {
    const state = run.state.get(this) as LimitState | undefined;
    if (!state) return;
    state.isOver = true;
    for (const call of state.calls) call.cancel();
  }

  /** A request that one bucket refuses takes nothing from the others. */
  #takeLocal(subject: LimitSubject, state: LimitState): LocalReply | undefined {
    if (this.#local.length === 0) return undefined;
    const nowMs = this.#nowMs();
    const takes: { readonly local: LocalLimit; readonly key: string }[] = [];
    for (const local of this.#local) {
      const { limit, buckets } = local;
      if (!limit.counts(subject)) continue;
      const key = bucketKey(limit, subject);
      const level = buckets.level(key, nowMs);
      if (level.remaining > 0) takes.push({ local, key });
      else if (limit.rule.dryRun) this.#count(limit, 'dry_run');
      else return this.#refuse(local, level, state);
    }
    for (const [i, { local, key }] of takes.entries()) {
      const level = local.buckets.take(key, nowMs);
      if (level) {
        if (!local.limit.rule.dryRun) state.report = tighter(state.report, reportOf(local, level));
      } else if (local.limit.rule.dryRun) this.#count(local.limit, 'dry_run');
      else {
        // Another thread took the last one in between.
        for (const taken of takes.slice(0, i)) taken.local.buckets.giveBack(taken.key, nowMs);
        return this.#refuse(local, local.buckets.level(key, nowMs), state);
      }
    }
    return undefined;
  }

  #refuse(local: LocalLimit, level: BucketLevel, state: LimitState): LocalReply {
    const { limit } = local;
    this.#count(limit, 'limited');
    state.report = reportOf(local, level);
    return refusal(limit, { details: 'local_rate_limited', body: 'local_rate_limited', retryMs: level.nextMs });
  }

  async #askAll(subject: LimitSubject, state: LimitState): Promise<LocalReply | undefined> {
    const waited: Promise<LocalReply | undefined>[] = [];
    for (const group of this.#global) {
      const limits = group.limits.filter((limit) => limit.counts(subject));
      const [first] = limits;
      if (!first) continue;
      const call = group.ask(limits, subject);
      if (group.dryRun) void call.answer.then((answer) => this.#noteTrial(answer, limits, first));
      else {
        state.calls.push(call);
        waited.push(call.answer.then((answer) => this.#settle(answer, { group, limits, first, subject, state })));
      }
    }
    const replies = await Promise.all(waited);
    state.calls = [];
    return state.isOver ? undefined : replies.find((reply) => reply !== undefined);
  }

  #settle(answer: GlobalAnswer, asked: Asked): LocalReply | undefined {
    const { group, limits, first, subject, state } = asked;
    if (state.isOver) return undefined;
    if (answer.kind === 'failed') {
      this.#count(first, 'error', answer.message);
      return group.failOpen ? undefined : unanswered(first, answer.message);
    }
    const { verdict } = answer;
    state.responseHeaders.push(...verdict.responseHeaders);
    const report = globalReport(verdict.statuses);
    if (!verdict.overLimit) {
      for (const [field, value] of verdict.requestHeaders) subject.run.request.headers.add(field, value);
      if (report) state.report = tighter(state.report, report);
      return undefined;
    }
    state.report = report ?? state.report;
    const over = limits[verdict.statuses.findIndex(({ overLimit }) => overLimit)] ?? first;
    this.#count(over, 'limited');
    const body = verdict.body.length > 0 ? verdict.body : undefined;
    return refusal(over, { details: 'request_rate_limited', body, retryMs: report?.resetMs ?? 0 });
  }

  #noteTrial(answer: GlobalAnswer, limits: readonly CompiledLimit[], first: CompiledLimit): void {
    if (answer.kind === 'failed') this.#count(first, 'error', answer.message);
    else if (answer.verdict.overLimit) {
      this.#count(limits[answer.verdict.statuses.findIndex(({ overLimit }) => overLimit)] ?? first, 'dry_run');
    }
  }
}

interface Asked {
  readonly group: GlobalGroup;
  readonly limits: readonly CompiledLimit[];
  readonly first: CompiledLimit;
  readonly subject: LimitSubject;
  readonly state: LimitState;
}

interface Refusal {
  readonly details: string;
  readonly body: string | Uint8Array | undefined;
  /** 0: not known. */
  readonly retryMs: number;
}

function refusal({ policy, rule }: CompiledLimit, { details, body, retryMs }: Refusal): LocalReply {
  const headers = new HeaderList(['x-envoy-ratelimited', 'true']);
  if (retryMs > 0) headers.add('retry-after', String(seconds(retryMs)));
  return {
    status: rule.status,
    headers,
    ...(body === undefined ? {} : { body }),
    flag: 'RL',
    details,
    reason: `rate limit ${policy} is used up, by rule "${rule.name}"`,
  };
}

function unanswered({ policy, rule }: CompiledLimit, message: string): LocalReply {
  return {
    status: 500,
    flag: 'RLSE',
    details: 'rate_limiter_error',
    reason: `rate limit ${policy}, rule "${rule.name}", could not be asked for: ${message}`,
  };
}

function tighter(before: LimitReport | undefined, report: LimitReport): LimitReport {
  return before && before.remaining <= report.remaining ? before : report;
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
