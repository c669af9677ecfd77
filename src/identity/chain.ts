/** Verifies a certificate chain outside a handshake: what the authority answered, before it is used. */
import type { X509Certificate } from 'node:crypto';

export type ChainVerdict =
  | { readonly kind: 'valid' }
  | { readonly kind: 'invalid'; readonly reason: 'unknown-authority' | 'expired' | 'not-yet-valid' };

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
  for (let depth = 0; depth < maxDepth; depth++) {
    const timing = validityOf(current, nowMs);
    if (timing) return { kind: 'invalid', reason: timing };
    const root = roots.find((candidate) => signed(current, candidate));
    if (root) {
      const rootTiming = validityOf(root, nowMs);
      return rootTiming ? { kind: 'invalid', reason: rootTiming } : { kind: 'valid' };
    }
    const issuer = intermediates.find((candidate) => candidate !== current && signed(current, candidate));
    if (!issuer) break;
    current = issuer;
  }
  return { kind: 'invalid', reason: 'unknown-authority' };
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
