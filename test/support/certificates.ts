/** A throw-away authority for tests, and certificates of it. */
import { createCertificateAuthority, createRoot, type CertificateAuthority } from '../../src/ca/authority.ts';
import { spiffeId, type SpiffeId } from '../../src/api/names.ts';
import { createCsr } from '../../src/identity/csr.ts';
import { acceptCertificate, type WorkloadCertificate } from '../../src/identity/workload-certificate.ts';
import { systemClock, type Clock } from '../../src/lib/clock.ts';

export interface TestAuthority extends CertificateAuthority {
  /** The signing certificate's key, for tests that build odd things. */
  readonly caKeyPem: string;
  readonly caCertPem: string;
  /** Of `spiffe://cluster.local/ns/<namespace>/sa/<name>`, for `"namespace/name"`, or of a full id. */
  certificate(identity: string, options?: { readonly ttlSeconds?: number }): Promise<WorkloadCertificate>;
}

export async function createTestAuthority(clock: Clock = systemClock): Promise<TestAuthority> {
  return openTestAuthority(await createRoot({ clock }), clock);
}

/** The authority of a root whose key is at hand: a mesh's own, for certificates that it would not make. */
export async function openTestAuthority(
  { certPem, keyPem }: { readonly certPem: string; readonly keyPem: string },
  clock: Clock = systemClock,
): Promise<TestAuthority> {
  const authority = await createCertificateAuthority({ caCertPem: certPem, caKeyPem: keyPem, rootPem: certPem, clock });
  return {
    ...authority,
    caKeyPem: keyPem,
    caCertPem: certPem,
    async certificate(name, { ttlSeconds = 3600 } = {}) {
      const identity = testIdentity(name);
      const { csrPem, key } = createCsr(identity);
      const answer = await authority.signWorkload({ csrPem, identity, ttlSeconds });
      return acceptCertificate({ identity, key, answer, generation: 1, nowMs: clock.nowMs() });
    },
  };
}

export function testIdentity(name: string): SpiffeId {
  if (name.startsWith('spiffe://')) return name as SpiffeId;
  const [namespace = '', account = ''] = name.split('/');
  return spiffeId('cluster.local', namespace, account);
}
