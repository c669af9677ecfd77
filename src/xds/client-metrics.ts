/** Metrics of a process that is told its configuration: Istio's names. */
import type { MetricsRegistry } from '../telemetry/index.ts';
import type { DeltaTermination } from './delta-client.ts';

export interface XdsClientMetrics {
  xdsMessage(typeUrl: string, byteCount: number): void;
  xdsTermination(reason: DeltaTermination): void;
}

export function registerXdsMetrics(registry: MetricsRegistry): XdsClientMetrics {
  const messages = registry.group({
    metrics: {
      messages: { name: 'istio_xds_message', help: 'Total number of messages received', kind: 'counter' },
      bytes: { name: 'istio_xds_message_bytes', help: 'Total number of bytes received', kind: 'counter' },
    },
    labelNames: ['url'],
    neverExpires: true,
  });
  const terminations = registry.group({
    metrics: {
      count: {
        name: 'istio_xds_connection_terminations',
        help: 'The total number of completed connections to the xds server',
        kind: 'counter',
      },
    },
    labelNames: ['reason'],
    neverExpires: true,
  });
  return {
    xdsMessage(typeUrl, byteCount) {
      messages.record([typeUrl], (values) => {
        values.messages++;
        values.bytes += byteCount;
      });
    },
    xdsTermination(reason) {
      terminations.record([reason], (values) => void values.count++);
    },
  };
}
