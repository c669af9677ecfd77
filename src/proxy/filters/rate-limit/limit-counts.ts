/** What became of requests that were over a limit, or that a service could not be asked about: counted, and trials logged. */
import type { MetricGroup, MetricsRegistry } from '../../../telemetry/index.ts';
import type { ProxyServices } from '../../proxy-services.ts';
import type { CompiledLimit } from './limit-rules.ts';

/** `dry_run`: in force, the rule would have refused. */
export type LimitResult = 'limited' | 'dry_run' | 'error';

export type LimitCounter = (limit: CompiledLimit, result: LimitResult, about?: string) => void;

/** Of each rule one line in this time, with the number of those that were left out. */
const quietMs = 10_000;

/** Filters are built once a configuration, metrics are registered once. */
const groups = new WeakMap<MetricsRegistry, MetricGroup<'requests'>>();

export function countLimits({ metrics, log, clock }: ProxyServices): LimitCounter {
  const group = groupOf(metrics);
  const lines = new Map<string, { readonly sinceMs: number; skipped: number }>();
  return (limit, result, about) => {
    const { policy, rule } = limit;
    group.record([policy, rule.name, result], (values) => void values.requests++);
    if (result === 'limited') return;
    const key = `${policy} ${rule.name} ${result}`;
    const line = lines.get(key);
    if (line && clock.nowMs() - line.sinceMs < quietMs) {
      line.skipped++;
      return;
    }
    lines.set(key, { sinceMs: clock.nowMs(), skipped: 0 });
    const fields = {
      policy,
      rule: rule.name,
      ...(about === undefined ? {} : { about }),
      ...(line && line.skipped > 0 ? { alsoSinceLastLine: line.skipped } : {}),
    };
    if (result === 'error') log.warn('rate limit service could not be asked', fields);
    else log.info('dry-run rate limit would refuse', fields);
  };
}

function groupOf(metrics: MetricsRegistry): MetricGroup<'requests'> {
  const known = groups.get(metrics);
  if (known) return known;
  const group = metrics.group({
    metrics: {
      requests: {
        name: 'ambit_rate_limit_requests',
        help: 'Requests over a rate limit, and those that a rate limit service could not be asked about.',
        kind: 'counter',
      },
    },
    labelNames: ['policy', 'rule', 'result'],
  });
  groups.set(metrics, group);
  return group;
}
