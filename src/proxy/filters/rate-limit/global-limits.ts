/** Limits that a rate limit service keeps for all proxies: one call for what goes to the same service under the same terms. */
import type { RateLimitRule } from '../../../api/l7/index.ts';
import type { Call } from '../../../http/call.ts';
import { callUnary } from '../../../http/grpc/index.ts';
import { messageOf } from '../../../lib/errors.ts';
import {
  type RateLimitStatus,
  type RateLimitVerdict,
  shouldRateLimitMethod,
} from '../../../wire/rate-limit-service.ts';
import type { FilterPlace } from '../../engine/filter.ts';
import { authorityOf, callAgain, clientOf, exchangesOf } from '../../own-calls.ts';
import type { CompiledLimit, LimitSubject } from './limit-rules.ts';
import type { LimitReport } from './local-limits.ts';

type GlobalEnforcement = Extract<RateLimitRule['enforcement'], { readonly kind: 'global' }>;

/** Rules that are asked about together. */
export interface GlobalGroup {
  readonly limits: readonly CompiledLimit[];
  readonly failOpen: boolean;
  /** Nobody waits for the answer. */
  readonly dryRun: boolean;
  /** The answer does not reject. `limits`: of this group, those that count this request. */
  ask(limits: readonly CompiledLimit[], subject: LimitSubject): Call<GlobalAnswer>;
}

export type GlobalAnswer =
  | { readonly kind: 'verdict'; readonly verdict: RateLimitVerdict }
  | { readonly kind: 'failed'; readonly message: string };

export function globalGroupsOf(place: FilterPlace, limits: readonly CompiledLimit[]): GlobalGroup[] {
  const groups = new Map<string, { readonly enforcement: GlobalEnforcement; readonly limits: CompiledLimit[] }>();
  for (const limit of limits) {
    const { enforcement, dryRun } = limit.rule;
    if (enforcement.kind !== 'global') continue;
    const key = JSON.stringify([enforcement, dryRun]);
    const group = groups.get(key);
    if (group) group.limits.push(limit);
    else groups.set(key, { enforcement, limits: [limit] });
  }
  return [...groups.values()].map((group) => ({
    limits: group.limits,
    failOpen: group.enforcement.failOpen,
    dryRun: group.limits[0]?.rule.dryRun === true,
    ask: askerOf(place, group.enforcement),
  }));
}

function askerOf({ snapshot, services }: FilterPlace, enforcement: GlobalEnforcement): GlobalGroup['ask'] {
  const { clock, upstreams } = services;
  const { domain, timeoutMs } = enforcement;
  const provider = snapshot.providers.get(enforcement.provider);
  const backend =
    provider?.use.kind === 'rate-limit' && provider.backend !== undefined
      ? snapshot.backends.get(provider.backend)
      : undefined;
  if (!backend) {
    const message = `there is no rate limit service behind provider "${enforcement.provider}"`;
    const answer = Promise.resolve({ kind: 'failed', message } as const);
    return () => ({ answer, cancel() {} });
  }
  const authority = authorityOf(backend);
  return (limits, subject) => {
    const descriptors = limits.map((limit) => limit.entries(subject));
    const message = shouldRateLimitMethod.encodeRequest({ domain, descriptors });
    const open = exchangesOf(upstreams, backend.name, clientOf(subject.run));
    const call = callAgain(() =>
      callUnary({ open, authority, path: shouldRateLimitMethod.path, message, clock, timeoutMs }),
    );
    return { answer: readAnswer(call.answer, descriptors.length), cancel: () => call.cancel() };
  };
}

async function readAnswer(answer: Promise<Uint8Array>, count: number): Promise<GlobalAnswer> {
  try {
    return { kind: 'verdict', verdict: shouldRateLimitMethod.decodeResponse(await answer, count) };
  } catch (error) {
    return { kind: 'failed', message: messageOf(error) };
  }
}

/** Of the limit that has the least left; undefined: the service knows none. */
export function globalReport(statuses: readonly RateLimitStatus[]): LimitReport | undefined {
  let tightest: RateLimitStatus | undefined;
  for (const status of statuses) {
    if (status.limit && status.remaining < (tightest?.remaining ?? Infinity)) tightest = status;
  }
  if (!tightest?.limit) return undefined;
  const { requests, windowSeconds } = tightest.limit;
  const limit = windowSeconds > 0 ? `${requests}, ${requests};w=${windowSeconds}` : String(requests);
  return { limit, remaining: tightest.remaining, resetMs: tightest.resetMs ?? 0 };
}
