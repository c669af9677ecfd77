/** The authority's material as people hand it in: files by name, checked before anything is signed with it. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { AmbitError } from '../lib/errors.ts';
import { splitCertificates, validToMs, verifyChain } from '../identity/index.ts';
import type { CertificateAuthorityOptions } from './authority.ts';

export type MaterialFiles = Readonly<Record<string, string | undefined>>;

type AuthorityMaterial = Omit<CertificateAuthorityOptions, 'clock'>;

/** Istio's names, and those of cert-manager and `kubectl create secret tls`. */
const namings = [
  { cert: 'ca-cert.pem', key: 'ca-key.pem', root: 'root-cert.pem', chain: 'cert-chain.pem' },
  { cert: 'tls.crt', key: 'tls.key', root: 'ca.crt', chain: undefined },
] as const;

/**
 * Checks that the key signs for the certificate, now, and that the certificate chains to one of the roots. Throws
 * `ca.bad-material`, naming the file that is to blame.
 */
export function readMaterial(files: MaterialFiles, nowMs: number): AuthorityMaterial {
  const naming = namingOf(files);
  if (!naming) throw badMaterial('ca-cert.pem', 'is missing, and so is tls.crt');
  const [caCertPem, ...following] = certificatesOf(files, naming.cert);
  if (caCertPem === undefined) throw badMaterial(naming.cert, 'is missing');
  const certificate = new X509Certificate(caCertPem);
  const key = keyOf(files, naming.key);
  if (!certificate.checkPrivateKey(key)) throw badMaterial(naming.key, `is not the key of ${naming.cert}`);
  if (!certificate.ca)
    throw badMaterial(naming.cert, 'is not the certificate of an authority (basicConstraints CA:TRUE)');

  const chain = [...following, ...(naming.chain === undefined ? [] : certificatesOf(files, naming.chain))];
  const given = certificatesOf(files, naming.root);
  // A signer that is a root itself needs no other.
  const isSelfSigned = certificate.checkIssued(certificate);
  if (given.length === 0 && !isSelfSigned)
    throw badMaterial(naming.root, `is missing, and ${naming.cert} is not a root itself`);
  const roots = [...new Set(given.length > 0 ? given : [caCertPem])];
  for (const root of roots.map(parsed)) {
    if (!root.ca) throw badMaterial(naming.root, `holds ${JSON.stringify(root.subject)}, which is not an authority`);
  }
  const living = roots.filter((root) => validToMs(parsed(root)) > nowMs);
  const verdict = verifyChain({
    leaf: certificate,
    intermediates: chain.map(parsed),
    roots: (living.length > 0 ? living : roots).map(parsed),
    nowMs,
  });
  if (verdict.kind === 'invalid') {
    const { subject, validFrom, validTo } = verdict.certificate;
    switch (verdict.reason) {
      case 'unknown-authority':
        throw badMaterial(
          naming.cert,
          `chains to none of the certificates in ${naming.root}: nothing signs ${JSON.stringify(subject)}`,
        );
      case 'expired':
        throw badMaterial(naming.cert, `cannot sign: ${JSON.stringify(subject)} ended at ${validTo}`);
      case 'not-yet-valid':
        throw badMaterial(
          naming.cert,
          `cannot sign yet: ${JSON.stringify(subject)} starts at ${validFrom}, by this machine's clock later than now`,
        );
    }
  }
  return {
    caCertPem,
    caKeyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    chainPem: chain.join(''),
    rootPem: living.join(''),
  };
}

/** The file that has the signing certificate. */
export function certificateFileOf(files: MaterialFiles): string {
  return (namingOf(files) ?? namings[0]).cert;
}

function namingOf(files: MaterialFiles): (typeof namings)[number] | undefined {
  return namings.find(({ cert, key }) => files[cert] || files[key]);
}

function certificatesOf(files: MaterialFiles, name: string): string[] {
  const text = files[name]?.trim() ?? '';
  if (text === '') return [];
  const blocks = splitCertificates(text);
  if (blocks.length === 0) throw badMaterial(name, 'holds no certificate in PEM');
  for (const [i, block] of blocks.entries()) {
    try {
      parsed(block);
    } catch (error) {
      throw badMaterial(name, `holds a certificate that cannot be parsed, number ${i + 1}`, error);
    }
  }
  return blocks;
}

function keyOf(files: MaterialFiles, name: string): KeyObject {
  const text = files[name] ?? '';
  if (text.trim() === '') throw badMaterial(name, 'is missing');
  if (/ENCRYPTED/.test(text)) throw badMaterial(name, 'is encrypted: there is nobody to ask for its passphrase');
  try {
    return createPrivateKey(text);
  } catch {
    // The parser's own words could quote the key.
    throw badMaterial(name, 'is not a private key in PEM');
  }
}

function parsed(pem: string): X509Certificate {
  return new X509Certificate(pem);
}

/** `state`: what is wrong with the file, as in "is missing". */
export function badMaterial(file: string, state: string, cause?: unknown): AmbitError {
  return new AmbitError(`Cannot use the authority's material: ${file} ${state}`, {
    code: 'ca.bad-material',
    blame: 'downstream',
    cause,
  });
}
