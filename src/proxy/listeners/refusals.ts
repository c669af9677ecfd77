/**
 * Connections and CONNECTs that a proxy refuses before there is a request to tell of: each is counted, with a line in its log as far as
 * strangers do not decide how long that grows.
 */
import type { LogFields } from '../../lib/log.ts';
import type { MetricGroup } from '../../telemetry/index.ts';
import type { ProxyServices } from '../proxy-services.ts';

/**
 * `configuration`: nobody is there to serve it. `handshake`: TLS failed, or who the client is. `connect`: a CONNECT to what is not
 * served. `protocol`: the client broke HTTP/2, or floods.
 */
export type RefusalReason = 'configuration' | 'handshake' | 'connect' | 'protocol';

type Services = Pick<ProxyServices, 'clock' | 'log' | 'metrics'>;

const groupOf = new WeakMap<object, MetricGroup<'refusals'>>();
/** Lines of the period, by reason; of all that have the same metrics. */
const linesOf = new WeakMap<object, Map<RefusalReason, Lines>>();

interface Lines {
  readonly sinceMs: number;
  written: number;
  unwritten: number;
}

/** More lines than these of one reason are not written; the first of the next period says how many those were. */
const mostLines = 100;
const periodMs = 10_000;

/** `message` is constant; `fields` name the client and what was wrong. */
export function tellRefusal(services: Services, reason: RefusalReason, message: string, fields: LogFields): void {
  refusals(services).record([reason], (values) => values.refusals++);
  const more = due(services, reason);
  if (more) services.log.warn(message, { ...fields, ...more });
}

/** What a line gets besides its own fields; undefined: it is one too many. */
function due({ clock, metrics }: Services, reason: RefusalReason): LogFields | undefined {
  let byReason = linesOf.get(metrics);
  if (!byReason) linesOf.set(metrics, (byReason = new Map()));
  const nowMs = clock.nowMs();
  const lines = byReason.get(reason);
  if (!lines || Math.abs(nowMs - lines.sinceMs) >= periodMs) {
    byReason.set(reason, { sinceMs: nowMs, written: 1, unwritten: 0 });
    return lines && lines.unwritten > 0 ? { alsoSinceLastLine: lines.unwritten } : {};
  }
  if (lines.written < mostLines) {
    lines.written++;
    return {};
  }
  lines.unwritten++;
  return undefined;
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
