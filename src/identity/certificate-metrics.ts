/** When certificates and the roots that they bring end, and how far the authority's clock is away, as metrics. */
import { X509Certificate } from 'node:crypto';
import type { SpiffeId } from '../api/names.ts';
import type { MetricsRegistry, Series } from '../telemetry/index.ts';
import type { CertificateManager } from './certificate-manager.ts';
import { validToMs } from './chain.ts';
import { splitCertificates } from './pem.ts';
import type { WorkloadCertificate } from './workload-certificate.ts';

export interface CertificateMetrics {
  setClockSkew(skewMs: number): void;
  /** Follows the certificates of `manager`: its series end with their identities. */
  follow(manager: CertificateManager): void;
}

type Expiry = Series<'expiry'>;

export function registerCertificateMetrics(registry: MetricsRegistry): CertificateMetrics {
  const expiry = registry.group({
    labelNames: ['kind', 'identity', 'serial'],
    metrics: {
      expiry: {
        name: 'ambit_certificate_expiry_timestamp_seconds',
        help: 'When certificates end, in seconds since 1970',
        kind: 'gauge',
      },
    },
  });
  let skewSeconds = 0;
  registry.gauge(
    'ambit_ca_clock_skew_seconds',
    "How far the authority's clock is ahead of ours, negative when it is behind",
    () => skewSeconds,
  );
  const byIdentity = new Map<SpiffeId, Expiry>();
  let roots: { readonly pem: string; readonly series: readonly Expiry[] } | undefined;

  const open = (kind: string, identity: string, serial: string, notAfterMs: number): Expiry => {
    const series = expiry.acquire([kind, identity, serial]);
    series.values.expiry = Math.floor(notAfterMs / 1000);
    return series;
  };
  const take = ({ identity, notAfterMs, rootsPem }: WorkloadCertificate): void => {
    // One series an identity: its certificates come and go, and each would leave a series behind.
    const series = byIdentity.get(identity) ?? open('workload', identity, '', notAfterMs);
    series.values.expiry = Math.floor(notAfterMs / 1000);
    byIdentity.set(identity, series);
    if (roots?.pem === rootsPem) return;
    const before = roots?.series ?? [];
    const certificates = splitCertificates(rootsPem).map((pem) => new X509Certificate(pem));
    roots = {
      pem: rootsPem,
      series: certificates.map((root) => open('root', '', root.serialNumber.toLowerCase(), validToMs(root))),
    };
    for (const one of before) expiry.release(one);
  };
  return {
    setClockSkew: (skewMs) => (skewSeconds = Math.round(skewMs / 100) / 10),
    follow(manager) {
      manager.onRotate(take);
      manager.onForget((identity) => {
        const series = byIdentity.get(identity);
        if (!series) return;
        byIdentity.delete(identity);
        expiry.release(series);
      });
      const count = (wanted: string): number => manager.list().filter(({ state }) => state.kind === wanted).length;
      registry.gauge('ambit_certificates_available', 'Identities that have a certificate', () => count('available'));
      registry.gauge(
        'ambit_certificates_overdue',
        'Identities whose certificate could not be renewed when it was due, and still holds',
        () => manager.list().filter(({ state }) => state.kind === 'available' && state.renewalError).length,
      );
      registry.gauge('ambit_certificates_unavailable', 'Identities whose certificate was refused', () =>
        count('unavailable'),
      );
    },
  };
}
