/** Public keys of an issuer (RFC 7517), and signatures by them (RFC 7518, RFC 8037). Symmetric algorithms and `none` are refused. */
import { constants, createPublicKey, verify, type KeyObject } from 'node:crypto';
import { AmbitError } from '../lib/errors.ts';
import type { ParsedJwt } from './jwt-token.ts';

export interface JwtKey {
  /** "": fits every token. */
  readonly id: string;
  /** Algorithms that may be verified with it. */
  readonly algorithms: readonly string[];
  readonly key: KeyObject;
}

/** `no-key`: none fits the key id and the algorithm. `algorithm`: not one of ours. */
export type SignatureOutcome = 'valid' | 'invalid' | 'no-key' | 'algorithm';

const rsaAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const curveAlgorithms: Readonly<Record<string, readonly string[]>> = {
  'P-256': ['ES256'],
  'P-384': ['ES384'],
  'P-521': ['ES512'],
  Ed25519: ['EdDSA', 'Ed25519'],
};
const known: ReadonlySet<string> = new Set([...rsaAlgorithms, ...Object.values(curveAlgorithms).flat()]);

/** RFC 7518, 3.3: shorter keys must not be used. */
const minRsaBits = 2048;

/**
 * The keys that can verify signatures; others (encryption, symmetric, of an unknown type) are passed over, as RFC 7517 says.
 *
 * @throws AmbitError `policy.bad-jwks` when it is no set of keys.
 */
export function parseJwks(json: string): JwtKey[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    // The parser's own message quotes the text: keys do not belong into messages.
    throw badSet('it is not JSON', cause);
  }
  const keys: unknown = isRecord(value) ? value['keys'] : undefined;
  if (!Array.isArray(keys)) throw badSet('it has no list `keys`');
  return keys.flatMap((jwk: unknown) => tryReadKey(jwk) ?? []);
}

function badSet(problem: string, cause?: unknown): AmbitError {
  return new AmbitError(`Cannot use the JSON Web Key Set: ${problem}`, {
    code: 'policy.bad-jwks',
    blame: 'upstream',
    ...(cause === undefined ? {} : { cause }),
  });
}

function tryReadKey(jwk: unknown): JwtKey | undefined {
  if (!isRecord(jwk)) return undefined;
  const { kty, crv, alg, use, kid, key_ops: operations } = jwk;
  if (use !== undefined && use !== 'sig') return undefined;
  if (Array.isArray(operations) && !operations.includes('verify')) return undefined;
  const byType =
    kty === 'RSA' ? rsaAlgorithms : kty === 'EC' || kty === 'OKP' ? curveAlgorithms[String(crv)] : undefined;
  const algorithms = byType?.filter((algorithm) => alg === undefined || alg === algorithm);
  if (!algorithms || algorithms.length === 0) return undefined;
  try {
    const key = createPublicKey({ key: publicPart(jwk), format: 'jwk' });
    const { modulusLength } = key.asymmetricKeyDetails ?? {};
    if (modulusLength !== undefined && modulusLength < minRsaBits) return undefined;
    return { id: typeof kid === 'string' ? kid : '', algorithms, key };
  } catch {
    return undefined;
  }
}

/** A private key in the set verifies as its public half does, and is not kept. */
function publicPart({ kty, n, e, crv, x, y }: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries({ kty, n, e, crv, x, y }).filter(([, value]) => value !== undefined));
}

export function checkSignature(token: ParsedJwt, keys: readonly JwtKey[]): SignatureOutcome {
  const { algorithm, keyId } = token;
  if (!known.has(algorithm)) return 'algorithm';
  let outcome: SignatureOutcome = 'no-key';
  for (const { id, algorithms, key } of keys) {
    // Who names no key is tried with all, and a key without a name is tried for all.
    if (id !== '' && keyId !== '' && id !== keyId) continue;
    if (!algorithms.includes(algorithm)) continue;
    if (isSignedBy(token, key)) return 'valid';
    outcome = 'invalid';
  }
  return outcome;
}

function isSignedBy({ algorithm, signed, signature }: ParsedJwt, key: KeyObject): boolean {
  try {
    const hash = `sha${algorithm.slice(2)}`;
    switch (algorithm.slice(0, 2)) {
      case 'RS':
        return verify(hash, signed, key, signature);
      case 'PS':
        return verify(
          hash,
          signed,
          { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
          signature,
        );
      case 'ES':
        return verify(hash, signed, { key, dsaEncoding: 'ieee-p1363' }, signature);
      default:
        return verify(null, signed, key, signature);
    }
  } catch {
    // A signature of another length than the key's.
    return false;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
