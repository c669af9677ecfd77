/** How authorizers answered: counted by provider. */
import type { MetricGroup, MetricsRegistry } from '../../../telemetry/index.ts';

/** `dry_run`: a policy on trial would have asked. */
export type CheckResult = 'allowed' | 'denied' | 'error' | 'dry_run';

/** Filters are built once a configuration, metrics are registered once. */
const groups = new WeakMap<MetricsRegistry, MetricGroup<'checks'>>();

export function countChecks(metrics: MetricsRegistry): (provider: string, result: CheckResult) => void {
  let group = groups.get(metrics);
  if (!group) {
    group = metrics.group({
      metrics: {
        checks: {
          name: 'ambit_ext_authz_checks',
          help: 'Requests and connections that external authorizers were asked about.',
          kind: 'counter',
        },
      },
      labelNames: ['provider', 'result'],
    });
    groups.set(metrics, group);
  }
  const counted = group;
  return (provider, result) => counted.record([provider, result], (values) => void values.checks++);
}
