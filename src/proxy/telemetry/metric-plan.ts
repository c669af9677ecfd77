/** Which metrics of a place are counted, and with which labels: Istio's own, changed by Telemetry resources. */
import { messageOf } from '../../lib/errors.ts';
import type { MetricOverride, TelemetryPolicy, TelemetrySide } from '../../api/l7/index.ts';
import {
  compileRequestExpression,
  type ExpressionContext,
  type RequestExpression,
} from '../../policy/request-expression.ts';
import { labelText, trafficLabel, unknownLabel } from '../../telemetry/index.ts';
import { ConfigError } from '../config/config-error.ts';

/** Istio's names, as Telemetry says them. */
export const metricNames = [
  'REQUEST_COUNT',
  'REQUEST_DURATION',
  'REQUEST_SIZE',
  'RESPONSE_SIZE',
  'GRPC_REQUEST_MESSAGES',
  'GRPC_RESPONSE_MESSAGES',
  'TCP_OPENED_CONNECTIONS',
  'TCP_CLOSED_CONNECTIONS',
  'TCP_SENT_BYTES',
  'TCP_RECEIVED_BYTES',
] as const;
export type MetricName = (typeof metricNames)[number];

/** Changes of one metric's labels. */
interface MetricPlan {
  readonly isDisabled: boolean;
  readonly removed: ReadonlySet<string>;
  /** Tag to the index of its value's expression. */
  readonly set: ReadonlyMap<string, number>;
}

export interface MetricPlans {
  readonly hasExpressions: boolean;
  /** Values of all expressions for one request; what cannot be evaluated is unknown. */
  evaluate(context: () => ExpressionContext): readonly string[];
  /** The label text of a series; undefined: the metric is not counted. */
  labels(
    metric: MetricName,
    names: readonly string[],
    values: readonly string[],
    evaluated: readonly string[],
  ): string | undefined;
}

/** Throws a ConfigError that names the policy. Policies in their order: later changes of a tag win. */
export function compileMetricPlans(policies: readonly TelemetryPolicy[], side: TelemetrySide): MetricPlans {
  const expressions: RequestExpression[] = [];
  const plans = new Map<MetricName, MetricPlan>(
    metricNames.map((name) => [name, { isDisabled: false, removed: new Set(), set: new Map() }]),
  );
  for (const policy of policies) {
    for (const override of policy.metrics) {
      if (override.side !== undefined && override.side !== side) continue;
      const set = compileTags(policy, override, expressions);
      for (const metric of metricNames) {
        if (override.metric !== 'ALL_METRICS' && override.metric !== metric) continue;
        const before = plans.get(metric);
        if (before) plans.set(metric, changed(before, override, set));
      }
    }
  }
  return {
    hasExpressions: expressions.length > 0,
    evaluate(makeContext) {
      if (expressions.length === 0) return none;
      const context = makeContext();
      return expressions.map((expression) => valueOf(expression, context));
    },
    labels(metric, names, values, evaluated) {
      const plan = plans.get(metric);
      if (!plan || plan.isDisabled) return undefined;
      if (plan.removed.size === 0 && plan.set.size === 0) return labelText(names, values);
      const left = new Map<string, string>();
      for (const [i, name] of names.entries()) if (!plan.removed.has(name)) left.set(name, values[i] ?? '');
      for (const [name, index] of plan.set) left.set(name, evaluated[index] ?? unknownLabel);
      return labelText([...left.keys()], [...left.values()]);
    },
  };
}

const none: readonly string[] = [];

/** Tag to the index of its expression, which is added to `expressions`. */
function compileTags(
  policy: TelemetryPolicy,
  override: MetricOverride,
  expressions: RequestExpression[],
): Map<string, number> {
  const set = new Map<string, number>();
  for (const { name, change } of override.tags) {
    if (!isLabelName(name)) throw new ConfigError(policy, `Cannot set the tag ${JSON.stringify(name)}: it is no label`);
    if (change.kind === 'remove') continue;
    try {
      expressions.push(compileRequestExpression(change.expression));
    } catch (error) {
      throw new ConfigError(policy, messageOf(error));
    }
    set.set(name, expressions.length - 1);
  }
  return set;
}

/** `le` is the histogram's own. */
function isLabelName(name: string): boolean {
  return /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) && name !== 'le' && !name.startsWith('__');
}

function changed(before: MetricPlan, override: MetricOverride, added: ReadonlyMap<string, number>): MetricPlan {
  const removed = new Set(before.removed);
  const set = new Map(before.set);
  for (const { name, change } of override.tags) {
    if (change.kind === 'remove') {
      removed.add(name);
      set.delete(name);
    } else {
      removed.delete(name);
      set.set(name, added.get(name) ?? 0);
    }
  }
  return { isDisabled: override.disabled ?? before.isDisabled, removed, set };
}

function valueOf(expression: RequestExpression, context: ExpressionContext): string {
  try {
    const value = expression.evaluate(context);
    if (typeof value === 'string') return trafficLabel(value);
    return typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean'
      ? String(value)
      : unknownLabel;
  } catch {
    return unknownLabel;
  }
}
