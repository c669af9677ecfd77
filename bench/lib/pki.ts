/** Certificates of a benchmark: one root, made once, from which every process gets its own. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCertificateAuthority, createRoot } from '../../src/ca/index.ts';
import { acceptCertificate, createCsr, type WorkloadCertificate } from '../../src/identity/index.ts';
import type { SpiffeId } from '../../src/api/names.ts';
import { systemClock } from '../../src/lib/clock.ts';

export async function writeRoot(dir: string): Promise<void> {
  const { certPem, keyPem } = await createRoot({ clock: systemClock });
  writeFileSync(join(dir, 'root-cert.pem'), certPem);
  writeFileSync(join(dir, 'root-key.pem'), keyPem, { mode: 0o600 });
}

export async function issueCertificate(dir: string, identity: SpiffeId): Promise<WorkloadCertificate> {
  const rootPem = readFileSync(join(dir, 'root-cert.pem'), 'utf8');
  const authority = await createCertificateAuthority({
    caCertPem: rootPem,
    caKeyPem: readFileSync(join(dir, 'root-key.pem'), 'utf8'),
    rootPem,
    clock: systemClock,
  });
  const request = createCsr(identity);
  const answer = await authority.signWorkload({ csrPem: request.csrPem, identity });
  return acceptCertificate({ identity, key: request.key, answer, generation: 1, nowMs: Date.now() });
}

/** Key and chain in one file, as haproxy wants them. */
export async function writeBundle(dir: string, name: string, identity: SpiffeId): Promise<string> {
  const { key, chainPem } = await issueCertificate(dir, identity);
  const path = join(dir, `${name}.pem`);
  writeFileSync(path, `${chainPem.join('\n')}\n${key.export({ type: 'pkcs8', format: 'pem' }).toString()}`, {
    mode: 0o600,
  });
  return path;
}
