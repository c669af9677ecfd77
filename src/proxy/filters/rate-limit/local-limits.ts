/** Limits that the proxy keeps itself: their buckets outlive configurations that leave the rule as it was. */
import { createHash } from 'node:crypto';
import type { RateLimitRule } from '../../../api/l7/index.ts';
import { type BucketLevel, TokenBuckets, type TokenStore } from '../../../policy/rate-limit.ts';
import type { FilterPlace } from '../../engine/filter.ts';
import type { ProxyServices } from '../../proxy-services.ts';
import type { CompiledLimit, LimitSubject } from './limit-rules.ts';

const longestKey = 128;

interface KeptBuckets {
  readonly rule: string;
  readonly buckets: TokenStore;
}

/** Of one proxy: by policy and rule. A policy has the same buckets wherever it applies. */
const kept = new WeakMap<ProxyServices, Map<string, KeptBuckets>>();

export interface LocalLimit {
  readonly limit: CompiledLimit;
  readonly burst: number;
  readonly buckets: TokenStore;
}

/** Undefined: the rule is not local. */
export function localLimitOf({ services, snapshot }: FilterPlace, limit: CompiledLimit): LocalLimit | undefined {
  const { enforcement } = limit.rule;
  if (enforcement.kind !== 'local') return undefined;
  let ofProxy = kept.get(services);
  if (!ofProxy) kept.set(services, (ofProxy = new Map()));
  for (const key of ofProxy.keys()) if (!snapshot.policies['rate-limit'].has(policyOf(key))) ofProxy.delete(key);
  const key = `${limit.policy} ${limit.rule.name}`;
  const rule = shapeOf(limit.rule);
  let entry = ofProxy.get(key);
  if (entry?.rule !== rule) {
    const buckets = services.bucketsOf?.(`${key} ${rule}`, enforcement) ?? new TokenBuckets(enforcement);
    ofProxy.set(key, (entry = { rule, buckets }));
  }
  return { limit, burst: enforcement.burst, buckets: entry.buckets };
}

function policyOf(key: string): string {
  return key.slice(0, key.indexOf(' '));
}

/** What decides whether buckets still mean the same. */
function shapeOf({ matches, by, enforcement }: RateLimitRule): string {
  return JSON.stringify([matches, by, enforcement]);
}

/** One text for each combination of values. Long ones are told by their hash: what a client sends must not fill our memory. */
export function bucketKey(limit: CompiledLimit, subject: LimitSubject): string {
  const values = limit.entries(subject).map(([, value]) => value);
  const key = values.length > 1 ? JSON.stringify(values) : (values[0] ?? '');
  return key.length <= longestKey ? key : createHash('sha256').update(key).digest('base64');
}

/** What a client is told of its bucket. */
export interface LimitReport {
  readonly limit: string;
  readonly remaining: number;
  readonly resetMs: number;
}

export function reportOf({ burst }: LocalLimit, { remaining, nextMs, fullMs }: BucketLevel): LimitReport {
  return { limit: String(burst), remaining, resetMs: remaining > 0 ? fullMs : nextMs };
}
