/** Verifies a certificate chain outside a handshake: what the authority answered, before it is used. */
import type { X509Certificate } from 'node:crypto';

export type ChainVerdict =
  | { readonly kind: 'valid'; readonly issuer: X509Certificate }
  | {
      readonly kind: 'invalid';
      readonly reason: 'unknown-authority' | 'expired' | 'not-yet-valid';
      /** The certificate that is at fault. */
      readonly certificate: X509Certificate;
    };

export interface ChainOptions {
  readonly leaf: X509Certificate;
  readonly intermediates: readonly X509Certificate[];
  readonly roots: readonly X509Certificate[];
  readonly nowMs: number;
}

const maxDepth = 8;

/** Every certificate from the leaf to a root is valid now, and signed by the next, which is an authority. */
export function verifyChain({ leaf, intermediates, roots, nowMs }: ChainOptions): ChainVerdict {
  let current = leaf;
  let leafIssuer: X509Certificate | undefined;
  for (let depth = 0; depth < maxDepth; depth++) {
    const timing = validityOf(current, nowMs);
    if (timing) return { kind: 'invalid', reason: timing, certificate: current };
    const candidates = roots.filter((candidate) => signed(current, candidate));
    // A root may be there twice, renewed with its key: any valid one will do.
    const root = candidates.find((candidate) => !validityOf(candidate, nowMs)) ?? candidates[0];
    if (root) {
      const rootTiming = validityOf(root, nowMs);
      if (rootTiming) return { kind: 'invalid', reason: rootTiming, certificate: root };
      return { kind: 'valid', issuer: leafIssuer ?? root };
    }
    const child = current;
    const issuer = intermediates.find((candidate) => candidate !== child && signed(child, candidate));
    if (!issuer) break;
    leafIssuer ??= issuer;
    current = issuer;
  }
  return { kind: 'invalid', reason: 'unknown-authority', certificate: current };
}

export function validFromMs(certificate: X509Certificate): number {
  return Date.parse(certificate.validFrom);
}

export function validToMs(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}

function validityOf(certificate: X509Certificate, nowMs: number): 'expired' | 'not-yet-valid' | undefined {
  if (nowMs > validToMs(certificate)) return 'expired';
  return nowMs < validFromMs(certificate) ? 'not-yet-valid' : undefined;
}

function signed(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}
