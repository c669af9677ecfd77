/** What a certificate says of a workload: usage, and the one SPIFFE id it may carry. */
import type { X509Certificate } from 'node:crypto';
import type { SpiffeId } from '../api/names.ts';
import { tryParseSpiffeId } from './spiffe.ts';

export type PeerRefusalReason =
  | 'no-certificate'
  | 'unknown-authority'
  | 'expired'
  | 'not-yet-valid'
  | 'wrong-usage'
  | 'not-trusted'
  | 'revoked'
  | 'no-identity'
  | 'wrong-trust-domain'
  | 'unexpected-identity'
  | 'handshake-failed'
  | 'no-http2'
  | 'timeout';

/** What became of a peer's certificate. `message` is for logs; it holds names, no secrets. */
export type PeerVerdict =
  | { readonly kind: 'trusted'; readonly identity: SpiffeId }
  | { readonly kind: 'refused'; readonly reason: PeerRefusalReason; readonly message: string };

export type PeerUsage = 'server' | 'client';

/** Extended key usages (RFC 5280, 4.2.1.12). */
const usageOids: Readonly<Record<PeerUsage, string>> = {
  server: '1.3.6.1.5.5.7.3.1',
  client: '1.3.6.1.5.5.7.3.2',
};

export function refused(reason: PeerRefusalReason, message: string): PeerVerdict {
  return { kind: 'refused', reason, message };
}

/**
 * The identity of a leaf whose chain and validity were verified already. Its only subject alternative name must be one
 * SPIFFE id: names beside it would let one certificate be two things.
 */
export function identityOfLeaf(leaf: X509Certificate, usage: PeerUsage): PeerVerdict {
  if (leaf.ca) return refused('wrong-usage', 'the peer showed the certificate of an authority');
  if (!leaf.keyUsage?.includes(usageOids[usage])) {
    return refused('wrong-usage', `the peer's certificate is not for use as a ${usage}`);
  }
  const names = leaf.subjectAltName ?? '';
  const identity = names.startsWith('URI:') ? tryParseSpiffeId(names.slice('URI:'.length)) : undefined;
  if (identity === undefined) {
    return refused('no-identity', `the peer's names ${JSON.stringify(names.slice(0, 200))} are not one SPIFFE id`);
  }
  return { kind: 'trusted', identity };
}
