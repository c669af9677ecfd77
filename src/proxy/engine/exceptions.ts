/** Exceptions of our own code: each ends one request or connection, is counted, and is told of with its stack. */
import { messageOf } from '../../lib/errors.ts';
import type { MetricGroup } from '../../telemetry/index.ts';
import type { ProxyServices } from '../proxy-services.ts';
import type { LocalReply } from './filter.ts';
import { SparingLog } from './sparing-log.ts';

/** Whom an exception is told that was thrown on behalf of a request: the run. */
export interface ExceptionOwner {
  /** `part`: a filter's name, or `engine`. Never throws. */
  onException(error: unknown, part?: string): void;
}

type Services = Pick<ProxyServices, 'clock' | 'log' | 'metrics'>;

interface Told {
  readonly group: MetricGroup<'exceptions'>;
  readonly lines: SparingLog;
}

const toldOf = new WeakMap<object, Told>();

/** Makes the counter, so that it is there before it counts. One for all that have the same metrics. */
export function registerExceptions({ clock, metrics }: Services): Told {
  let told = toldOf.get(metrics);
  if (told) return told;
  const group = metrics.group({
    metrics: {
      exceptions: {
        name: 'ambit_proxy_exceptions',
        help: 'Faults of the proxy itself, each of which ended one request or connection.',
        kind: 'counter',
      },
    },
    labelNames: ['part'],
    neverExpires: true,
  });
  group.acquire([enginePart]);
  toldOf.set(metrics, (told = { group, lines: new SparingLog(clock) }));
  return told;
}

export const enginePart = 'engine';

/** `part`: a filter's name, or `engine`: a small number of them. Never throws. */
export function reportException(services: Services, part: string, error: unknown): void {
  const { group, lines } = registerExceptions(services);
  group.record([part], (values) => values.exceptions++);
  const more = lines.due(part);
  if (!more) return;
  const stack = error instanceof Error ? error.stack : undefined;
  services.log.error('an exception ended one request or connection', { part, error: messageOf(error), stack, ...more });
}

/** What the client is told. */
export function exceptionReply(part: string, error: unknown): LocalReply {
  const isFilter = part !== enginePart;
  return {
    status: 500,
    flag: '',
    details: isFilter ? `filter_failed{${part}}` : 'internal_error',
    reason: `${isFilter ? `filter ${part}` : 'the proxy'} failed: ${messageOf(error)}`,
  };
}
