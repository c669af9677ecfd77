/** Connections and CONNECTs that a proxy refuses before there is a request to tell of: each is counted, with a line in its log. */
import type { LogFields } from '../../lib/log.ts';
import type { MetricGroup } from '../../telemetry/index.ts';
import type { ProxyServices } from '../proxy-services.ts';

/**
 * `configuration`: nobody is there to serve it. `handshake`: TLS failed, or who the client is. `connect`: a CONNECT to what is not
 * served. `protocol`: the client broke HTTP/2, or floods.
 */
export type RefusalReason = 'configuration' | 'handshake' | 'connect' | 'protocol';

type Services = Pick<ProxyServices, 'log' | 'metrics'>;

const groupOf = new WeakMap<object, MetricGroup<'refusals'>>();

/** `message` is constant; `fields` name the client and what was wrong. */
export function tellRefusal(services: Services, reason: RefusalReason, message: string, fields: LogFields): void {
  refusals(services).record([reason], (values) => values.refusals++);
  services.log.warn(message, fields);
}

/** One for all that have the same metrics. */
function refusals({ metrics }: Services): MetricGroup<'refusals'> {
  let group = groupOf.get(metrics);
  if (!group) {
    group = metrics.group({
      metrics: {
        refusals: {
          name: 'ambit_proxy_refusals',
          help: 'Connections and CONNECTs that were refused before there was a request.',
          kind: 'counter',
        },
      },
      labelNames: ['reason'],
      neverExpires: true,
    });
    groupOf.set(metrics, group);
  }
  return group;
}
