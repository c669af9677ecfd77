/** What AUDIT and dry-run policies found: all of it counted, and some of it in the log. */
import type { LogFields } from '../../../lib/log.ts';
import type { HttpFinding } from '../../../policy/http-authorization.ts';
import type { MetricGroup, MetricsRegistry } from '../../../telemetry/index.ts';
import type { ProxyServices } from '../../proxy-services.ts';

export interface FindingReports {
  /** `about`: of the request or connection, for the log. */
  report(findings: readonly HttpFinding[], about: LogFields): void;
}

/** Of each policy one line in this time, with the number of those that were left out: a dry run must not fill a disk. */
const quietMs = 10_000;

/** Filters are built once a configuration, metrics are registered once. */
const groups = new WeakMap<MetricsRegistry, MetricGroup<'findings'>>();

export function createFindingReports({ services }: { readonly services: ProxyServices }): FindingReports {
  const { metrics, log, clock } = services;
  const group = groupOf(metrics);
  const lines = new Map<string, { readonly sinceMs: number; skipped: number }>();
  return {
    report(findings, about) {
      for (const finding of findings) {
        const { policy, action, result } = summaryOf(finding);
        group.record([policy, action, result], (values) => void values.findings++);
        if (result === 'would_allow') continue;
        const line = lines.get(policy);
        if (line && clock.nowMs() - line.sinceMs < quietMs) {
          line.skipped++;
          continue;
        }
        lines.set(policy, { sinceMs: clock.nowMs(), skipped: 0 });
        const message = finding.kind === 'audit' ? 'request audited' : 'dry-run policy would deny';
        log.info(message, {
          policy,
          ...(finding.rule ? { rule: finding.rule.name } : {}),
          ...about,
          ...(line && line.skipped > 0 ? { alsoSinceLastLine: line.skipped } : {}),
        });
      }
    },
  };
}

function summaryOf(finding: HttpFinding): {
  readonly policy: string;
  readonly action: string;
  readonly result: string;
} {
  if (finding.kind === 'audit') return { policy: finding.rule.policy, action: 'audit', result: 'matched' };
  return { policy: finding.policy, action: finding.action, result: finding.wouldDeny ? 'would_deny' : 'would_allow' };
}

function groupOf(metrics: MetricsRegistry): MetricGroup<'findings'> {
  const known = groups.get(metrics);
  if (known) return known;
  const group = metrics.group({
    metrics: {
      findings: {
        name: 'ambit_authorization_findings',
        help: 'Requests and connections that AUDIT and dry-run policies spoke of.',
        kind: 'counter',
      },
    },
    labelNames: ['policy', 'action', 'result'],
  });
  groups.set(metrics, group);
  return group;
}
