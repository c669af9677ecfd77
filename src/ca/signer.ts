/** What signs leaves: a certificate, and whoever holds its key. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { AmbitError } from '../lib/errors.ts';

/**
 * The seam for keys that are elsewhere (PKCS#11, a key service): it is given what is to be signed and nothing else. An
 * authority that signs whole requests by its own rules (Vault) is a `CertificateAuthority` instead.
 */
export interface Signer {
  /** PEM. */
  readonly certificatePem: string;
  readonly algorithm: SigningAlgorithm;
  /** The signature as WebCrypto gives it: for ECDSA the two numbers, not DER. */
  sign(bytes: BufferSource): Promise<ArrayBuffer>;
}

export type SigningAlgorithm =
  | { readonly name: 'ECDSA'; readonly namedCurve: 'P-256' | 'P-384'; readonly hash: 'SHA-256' | 'SHA-384' }
  | { readonly name: 'RSASSA-PKCS1-v1_5'; readonly hash: 'SHA-256' };

/** A key in memory: P-256, P-384, or RSA. Throws `ca.bad-authority` when it and the certificate cannot sign. */
export async function openFileSigner(certificatePem: string, keyPem: string): Promise<Signer> {
  let key: KeyObject;
  let certificate: X509Certificate;
  try {
    key = createPrivateKey(keyPem);
    certificate = new X509Certificate(certificatePem);
  } catch (error) {
    throw badAuthority('certificate or key cannot be parsed', error);
  }
  if (!certificate.checkPrivateKey(key)) throw badAuthority('the key is not that of the certificate');
  if (!certificate.ca) throw badAuthority('the certificate is not that of an authority');
  const algorithm = algorithmOf(key);
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const imported = await crypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']);
  return {
    certificatePem: `${certificate.toString().trim()}\n`,
    algorithm,
    sign: (bytes) => crypto.subtle.sign(algorithm, imported, bytes),
  };
}

function algorithmOf(key: KeyObject): SigningAlgorithm {
  const { namedCurve: curve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec' && curve === 'prime256v1') {
    return { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  }
  if (key.asymmetricKeyType === 'ec' && curve === 'secp384r1') {
    return { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
  }
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) return { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const kind = `${key.asymmetricKeyType} ${curve ?? (modulusLength || '')}`.trim();
  throw badAuthority(`keys of type ${kind} are not supported: take P-256, P-384, or RSA of at least 2048 bits`);
}

function badAuthority(state: string, cause?: unknown): AmbitError {
  return new AmbitError(`Cannot open the certificate authority: ${state}`, {
    code: 'ca.bad-authority',
    blame: 'internal',
    cause,
  });
}
