/** When the authority's own certificates end: in metrics, and said aloud while there is still time. */
import { X509Certificate } from 'node:crypto';
import type { RotatingAuthority } from '../ca/index.ts';
import { splitCertificates, validToMs } from '../identity/index.ts';
import type { Clock } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import type { MetricGroup, MetricsRegistry, Series } from '../telemetry/index.ts';

export interface AuthorityExpiryOptions {
  readonly authority: RotatingAuthority;
  readonly registry: MetricsRegistry;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

const dayMs = 24 * 3600_000;
/** Leaves may be asked for 90 days, and a rotation wants a day of both roots and somebody who does it. */
const warnBeforeMs = 30 * dayMs;

type ExpiryName = 'expiry';

interface Watched {
  readonly kind: 'signer' | 'root' | 'serving';
  readonly subject: string;
  readonly serial: string;
  readonly notAfterMs: number;
}

export interface AuthorityExpiry {
  /** The certificate of 15012 and 15017. */
  setServing(chainPem: string): void;
}

export function watchAuthorityExpiry(options: AuthorityExpiryOptions): AuthorityExpiry {
  const { authority, registry, clock, log, signal } = options;
  const group: MetricGroup<ExpiryName> = registry.group({
    labelNames: ['kind', 'subject', 'serial'],
    metrics: {
      expiry: {
        name: 'ambit_certificate_expiry_timestamp_seconds',
        help: 'When certificates end, in seconds since 1970',
        kind: 'gauge',
      },
    },
  });
  let series: Series<ExpiryName>[] = [];
  let serving: string | undefined;
  const watched = (): Watched[] => [
    ...about('signer', authority.signerPem),
    ...about('root', authority.rootPem),
    ...(serving === undefined ? [] : about('serving', serving).slice(0, 1)),
  ];
  const endOf = (kind: Watched['kind']): number =>
    Math.min(...watched().flatMap((one) => (one.kind === kind ? [one.notAfterMs / 1000] : [])));
  registry.gauge('citadel_server_root_cert_expiry_timestamp', 'When the first root ends, in seconds since 1970', () =>
    endOf('root'),
  );
  registry.gauge('citadel_server_cert_chain_expiry_timestamp', 'When the signer ends, in seconds since 1970', () =>
    endOf('signer'),
  );
  registry.gauge(
    'ambit_ca_roots_published',
    'Roots that the mesh trusts now',
    () => splitCertificates(authority.rootPem).length,
  );

  const refresh = (): void => {
    const before = series;
    series = watched().map(({ kind, subject, serial, notAfterMs }) => {
      const one = group.acquire([kind, subject, serial]);
      one.values.expiry = Math.floor(notAfterMs / 1000);
      return one;
    });
    for (const one of before) group.release(one);
  };
  const warn = (): void => {
    for (const { kind, subject, serial, notAfterMs } of watched()) {
      const leftMs = notAfterMs - clock.nowMs();
      if (kind === 'serving' || leftMs > warnBeforeMs) continue;
      const days = Math.floor(leftMs / dayMs);
      const state = leftMs > 0 ? `ends in ${days} days` : 'has ended';
      log.warn(`the ${kind} of the mesh ${state}: give the Secret "cacerts" another one`, {
        subject,
        serial,
        notAfter: new Date(notAfterMs).toISOString(),
      });
    }
  };
  const daily = (): void => {
    warn();
    const cancel = clock.after(dayMs, daily);
    signal.addEventListener('abort', cancel, { once: true });
  };
  authority.onChange(() => {
    refresh();
    warn();
  });
  refresh();
  daily();
  return {
    setServing(chainPem) {
      serving = chainPem;
      refresh();
    },
  };
}

function about(kind: Watched['kind'], bundle: string): Watched[] {
  return splitCertificates(bundle).map((pem) => {
    const certificate = new X509Certificate(pem);
    const { subject, serialNumber } = certificate;
    return {
      kind,
      subject: (subject ?? '').replaceAll('\n', ','),
      serial: serialNumber.toLowerCase(),
      notAfterMs: validToMs(certificate),
    };
  });
}
