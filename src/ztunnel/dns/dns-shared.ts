/** What the DNS proxies of one data part share, from its settings. */
import type { Clock } from '../../lib/clock.ts';
import type { MetricsRegistry } from '../../telemetry/index.ts';
import { registerDnsMetrics } from './dns-metrics.ts';
import { systemNameservers } from './resolv-conf.ts';
import type { DnsShared } from './responder.ts';

/** A plain value: it goes to workers. */
export interface DnsSettings {
  readonly clusterDomain: string;
  /** Of Services of several namespaces that claim one name, this one's is taken where nothing else decides. */
  readonly preferredNamespace?: string | undefined;
}

export function shareDns(
  { clusterDomain, preferredNamespace }: DnsSettings,
  { metrics, clock }: { readonly metrics: MetricsRegistry; readonly clock: Clock },
): DnsShared {
  return {
    metrics: registerDnsMetrics(metrics),
    clusterDomain,
    preferredNamespace,
    systemNameservers: systemNameservers(clock),
    waiting: { count: 0 },
  };
}
