/** How many pods a HorizontalPodAutoscaler wants: decisions only (`pkg/controller/podautoscaler`). */
import type { HorizontalPodAutoscaler, MetricSpec, MetricStatus, Pod, ScalingRules } from '../../api/index.ts';
import { parseQuantity } from '../../api/serving.ts';
import { isActive, isReady } from './ownership.ts';

/** A ratio this near to 1 changes nothing. */
const defaultTolerance = 0.1;
const defaultStabilizationMs = 300_000;

/** What the pods use now, by pod name; `undefined` where nobody knows. Amounts are cores, and bytes. */
export type PodUsage = (pod: Pod, resource: string) => number | undefined;

export type MetricResult =
  | { readonly kind: 'ok'; readonly replicas: number; readonly status: MetricStatus; readonly name: string }
  | { readonly kind: 'failed'; readonly reason: string; readonly message: string };

/** What one metric asks for. `pods` are those of the target. */
export function proposeReplicas(
  metric: MetricSpec,
  input: {
    readonly current: number;
    readonly pods: readonly Pod[];
    readonly usage: PodUsage;
    readonly tolerance?: number;
  },
): MetricResult {
  if (metric.type !== 'Resource' || !metric.resource) {
    const message = `invalid metrics (1 invalid out of 1), first error is: failed to get ${metric.type} metric: no metrics are served for it`;
    return { kind: 'failed', reason: `FailedGet${metric.type}Metric`, message };
  }
  const { name, target } = metric.resource;
  const { current, usage, tolerance = defaultTolerance } = input;
  const pods = input.pods.filter(isActive);
  const used = new Map(pods.map((pod) => [pod, isReady(pod) ? usage(pod, name) : undefined]));
  const known = pods.filter((pod) => used.get(pod) !== undefined);
  const failed = (why: string): MetricResult => {
    const prefix = `failed to get ${name} ${target.averageUtilization === undefined ? 'resource metric value' : 'utilization'}`;
    return { kind: 'failed', reason: 'FailedGetResourceMetric', message: `${prefix}: ${why}` };
  };
  if (known.length === 0)
    return failed(`unable to get metrics for resource ${name}: no metrics returned from resource metrics API`);
  const sum = (of: readonly Pod[], amount: (pod: Pod) => number): number =>
    of.reduce((total, pod) => total + amount(pod), 0);
  const total = sum(known, (pod) => used.get(pod) ?? 0);
  const average = total / known.length;
  const averageValue = formatAmount(name, average);
  let perPod: number;
  let ratioOf: (total: number, of: readonly Pod[]) => number;
  let status: MetricStatus;
  if (target.averageUtilization !== undefined) {
    const wanted = target.averageUtilization;
    for (const pod of pods) {
      const missing = requestOf(pod, name);
      if (typeof missing === 'string')
        return failed(`missing request for ${name} in container ${missing} of Pod ${pod.metadata.name}`);
    }
    const requests = (of: readonly Pod[]): number => sum(of, (pod) => Number(requestOf(pod, name)));
    const averageUtilization = Math.trunc((total * 100) / requests(known));
    status = { type: 'Resource', resource: { name, current: { averageUtilization, averageValue } } };
    ratioOf = (amount, of) => (amount * 100) / requests(of) / wanted;
    perPod = (wanted / 100) * (requests(pods) / pods.length);
  } else {
    perPod = parseQuantity(target.averageValue) ?? 0;
    status = { type: 'Resource', resource: { name, current: { averageValue } } };
    ratioOf = (amount, of) => amount / of.length / perPod;
  }
  const ratio = ratioOf(total, known);
  const unknown = pods.filter((pod) => used.get(pod) === undefined);
  const keep: MetricResult = { kind: 'ok', replicas: current, status, name };
  if (Math.abs(ratio - 1) <= tolerance) return keep;
  if (unknown.length === 0) return { ...keep, replicas: Math.ceil(ratio * known.length - 1e-9) };
  // Those that nobody knows of are taken as idle when it would grow, and as busy as wanted when it would shrink.
  const assumed = ratio > 1 ? 0 : perPod * unknown.length;
  const careful = ratioOf(total + assumed, pods);
  const isUndone = (ratio > 1 && careful < 1) || (ratio < 1 && careful > 1);
  if (isUndone || Math.abs(careful - 1) <= tolerance) return keep;
  const replicas = Math.ceil(careful * pods.length - 1e-9);
  if ((careful < 1 && replicas > current) || (careful > 1 && replicas < current)) return keep;
  return { ...keep, replicas };
}

/** Where the replicas were, or were wanted, at a time. */
export interface ScaleMemory {
  /** Proposals, for the stabilization windows. */
  readonly proposals: readonly { readonly atMs: number; readonly replicas: number }[];
  /** Changes made, for the rates of the policies. */
  readonly changes: readonly { readonly atMs: number; readonly delta: number }[];
}

export interface LimitedScale {
  readonly replicas: number;
  /** For the condition AbleToScale. */
  readonly able: { readonly reason: string; readonly message: string };
  /** For the condition ScalingLimited; absent when nothing limits. */
  readonly limited?: { readonly reason: string; readonly message: string };
}

/** Brings a proposal within windows, rates and bounds. */
export function limitScale(
  { spec }: HorizontalPodAutoscaler,
  input: { readonly current: number; readonly proposed: number; readonly memory: ScaleMemory; readonly nowMs: number },
): LimitedScale {
  const { current, proposed, memory, nowMs } = input;
  const { scaleUp, scaleDown } = spec.behavior ?? {};
  const windowMs = (rules: ScalingRules | undefined, fallbackMs: number): number =>
    rules?.stabilizationWindowSeconds === undefined ? fallbackMs : rules.stabilizationWindowSeconds * 1000;
  const within = (ms: number): number[] =>
    memory.proposals.filter(({ atMs }) => atMs > nowMs - ms).map(({ replicas }) => replicas);
  const lowest = Math.min(proposed, ...within(windowMs(scaleUp, 0)));
  const highest = Math.max(proposed, ...within(windowMs(scaleDown, defaultStabilizationMs)));
  const stable = Math.max(Math.min(current, highest), lowest);
  const able =
    stable === proposed
      ? { reason: 'ReadyForNewScale', message: 'recommended size matches current size' }
      : stable > proposed
        ? {
            reason: 'ScaleDownStabilized',
            message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
          }
        : {
            reason: 'ScaleUpStabilized',
            message: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
          };
  const min = spec.minReplicas ?? 1;
  if (stable > current) {
    const rate = rateLimit(scaleUp ?? defaultScaleUp, current, memory, nowMs, 1);
    if (spec.maxReplicas <= rate && stable > spec.maxReplicas)
      return { replicas: spec.maxReplicas, able, limited: tooMany };
    if (stable > rate) return { replicas: Math.max(current, Math.min(rate, spec.maxReplicas)), able, limited: upLimit };
  } else if (stable < current) {
    const rate = rateLimit(scaleDown ?? defaultScaleDown, current, memory, nowMs, -1);
    if (min >= rate && stable < min) return { replicas: min, able, limited: tooFew };
    if (stable < rate) return { replicas: Math.min(current, Math.max(rate, min)), able, limited: downLimit };
  }
  if (stable < min) return { replicas: min, able, limited: tooFew };
  if (stable > spec.maxReplicas) return { replicas: spec.maxReplicas, able, limited: tooMany };
  return { replicas: stable, able };
}

const tooMany = {
  reason: 'TooManyReplicas',
  message: 'the desired replica count is more than the maximum replica count',
};
const tooFew = {
  reason: 'TooFewReplicas',
  message: 'the desired replica count is less than the minimum replica count',
};
const upLimit = {
  reason: 'ScaleUpLimit',
  message: 'the desired replica count is increasing faster than the maximum scale rate',
};
const downLimit = {
  reason: 'ScaleDownLimit',
  message: 'the desired replica count is decreasing faster than the maximum scale rate',
};

const defaultScaleUp: ScalingRules = {
  policies: [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ],
};
const defaultScaleDown: ScalingRules = { policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] };

/** As far as the policies let the replicas go in a direction. */
function rateLimit(rules: ScalingRules, current: number, memory: ScaleMemory, nowMs: number, sign: 1 | -1): number {
  if (rules.selectPolicy === 'Disabled') return current;
  const bounds = (rules.policies ?? []).map(({ type, value, periodSeconds }) => {
    const changed = memory.changes
      .filter(({ atMs, delta }) => atMs > nowMs - periodSeconds * 1000 && Math.sign(delta) === sign)
      .reduce((total, { delta }) => total + delta, 0);
    const start = current - changed;
    if (type === 'Pods') return start + sign * value;
    return sign > 0 ? Math.ceil(start * (1 + value / 100)) : Math.floor(start * (1 - value / 100));
  });
  const farthest = (rules.selectPolicy ?? 'Max') === 'Max';
  return sign > 0 === farthest ? Math.max(...bounds) : Math.min(...bounds);
}

/** What the containers request in all, or the name of the first that requests nothing. */
function requestOf({ spec }: Pod, resource: string): number | string {
  let total = 0;
  for (const { name, resources } of spec.containers) {
    const amount = parseQuantity(resources?.requests?.[resource]);
    if (amount === undefined) return name;
    total += amount;
  }
  return total;
}

function formatAmount(resource: string, amount: number): string {
  return resource === 'cpu' ? `${Math.round(amount * 1000)}m` : String(Math.round(amount));
}
