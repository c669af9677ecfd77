/** Certificates of gateways in time: when they end is in metrics, and what time changes is decided again at its moment. */
import type { Collection, Source } from '../collection/index.ts';
import type { ServedCertificate } from '../discovery/index.ts';
import { afterTime, type Clock } from '../lib/clock.ts';
import type { MetricsRegistry, Series } from '../telemetry/index.ts';

export interface GatewayCertificatesOptions {
  /** By `<cluster>/<namespace>/<name>` of the Secret. */
  readonly served: Collection<ServedCertificate>;
  /** Told, under the same key, of each moment that has come. */
  readonly due: Source<number>;
  readonly registry: MetricsRegistry;
  readonly clock: Clock;
  /** Ends it. */
  readonly signal: AbortSignal;
}

interface Followed {
  readonly series: Series<'ends'> | undefined;
  readonly cancel: () => void;
}

/** Hears of certificates with the first flush after the start. */
export function followGatewayCertificates({ served, due, registry, clock, signal }: GatewayCertificatesOptions): void {
  const group = registry.group({
    labelNames: ['namespace', 'secret'],
    metrics: {
      ends: {
        name: 'ambit_gateway_certificate_expiry_timestamp_seconds',
        help: 'When the certificate ends that gateways serve with, in seconds since 1970, by its Secret',
        kind: 'gauge',
      },
    },
  });
  registry.gauge(
    'ambit_gateway_certificates_faulty',
    'Secrets of gateways whose certificate cannot be used, has ended or is not valid yet',
    () => [...served.entries()].filter(([, { problem }]) => problem !== undefined).length,
  );
  const followed = new Map<string, Followed>();
  const forget = (key: string): void => {
    const known = followed.get(key);
    known?.cancel();
    if (known?.series) group.release(known.series);
    followed.delete(key);
  };
  const follow = (key: string, { certificate, changesAtMs }: ServedCertificate): void => {
    const [, namespace = '', name = ''] = key.split('/');
    const series = certificate && group.acquire([namespace, name]);
    if (series && certificate) series.values.ends = Math.floor(certificate.validToMs / 1000);
    const cancel =
      changesAtMs === undefined ? () => {} : afterTime(clock, changesAtMs, () => due.set(key, changesAtMs));
    followed.set(key, { series, cancel });
  };
  const unsubscribe = served.subscribe((changes) => {
    for (const [key, { after }] of changes) {
      forget(key);
      if (after) follow(key, after);
    }
  });
  const stop = (): void => {
    unsubscribe();
    for (const { cancel } of followed.values()) cancel();
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
}
