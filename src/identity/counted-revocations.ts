/** Revocations of a process, whose refusals its metrics tell. */
import type { MetricsRegistry } from '../telemetry/index.ts';
import { createRevocations, type Revocations } from './revocations.ts';

/** Peers that are refused or cut for a revoked certificate are counted, by the side that we are of the connection. */
export function createCountedRevocations(metrics: MetricsRegistry): Revocations {
  const rejections = metrics.group({
    metrics: {
      rejections: {
        name: 'istio_crl_policy_rejections',
        help: 'The total number of connections rejected or ended because a certificate is revoked',
        kind: 'counter',
      },
    },
    labelNames: ['reporter'],
  });
  return createRevocations({
    onRevoked(role) {
      rejections.record([role === 'server' ? 'destination' : 'source'], (values) => values.rejections++);
    },
  });
}
