/** Decides, after a handshake, whether the peer is whom we may talk to. */
import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { SpiffeId } from '../api/names.ts';
import { validFromMs, validToMs } from './chain.ts';
import { spiffeParts } from './spiffe.ts';
import { identityOfLeaf, refused, type PeerRefusalReason, type PeerUsage, type PeerVerdict } from './x509-peer.ts';

/** At the dialling end: the server must be one of `expected`. An empty list is never met. */
export function verifyServerPeer(socket: TLSSocket, expected: readonly SpiffeId[]): PeerVerdict {
  const verdict = verifyPeer(socket, 'server');
  if (verdict.kind === 'refused' || expected.includes(verdict.identity)) return verdict;
  return refused(
    'unexpected-identity',
    `the server is ${verdict.identity}, expected ${expected.join(' or ') || 'nobody'}`,
  );
}

/** At the accepting end: the client must have a certificate of one of `trustDomains`. */
export function verifyClientPeer(socket: TLSSocket, trustDomains: readonly string[]): PeerVerdict {
  const verdict = verifyPeer(socket, 'client');
  if (verdict.kind === 'refused' || trustDomains.includes(spiffeParts(verdict.identity).trustDomain)) return verdict;
  const ours = trustDomains.join(' or ');
  return refused('wrong-trust-domain', `the client is ${verdict.identity}, not of trust domain ${ours}`);
}

function verifyPeer(socket: TLSSocket, usage: PeerUsage): PeerVerdict {
  const leaf = socket.getPeerX509Certificate();
  if (!leaf) return refused('no-certificate', `the ${usage} showed no certificate`);
  if (socket.isSessionReused()) return refused('not-trusted', 'the session was resumed');
  const problem = chainProblem(socket);
  if (problem !== undefined) {
    const reason = reasonOf(problem);
    const isOfTime = reason === 'expired' || reason === 'not-yet-valid';
    const times = isOfTime ? timesOf(leaf, Date.now()) : '';
    return refused(reason, `the ${usage}'s certificate is refused: ${problem}${times}`);
  }
  if (socket.alpnProtocol !== 'h2') return refused('no-http2', `the ${usage} does not speak HTTP/2 here`);
  return identityOfLeaf(leaf, usage);
}

const maxDepth = 8;

/** What the first certificate of a chain that does not hold now says of itself, beside our clock: either may be wrong. */
function timesOf(leaf: X509Certificate, nowMs: number): string {
  let current: X509Certificate | undefined = leaf;
  for (let depth = 0; current && depth < maxDepth; depth++) {
    const [fromMs, toMs] = [validFromMs(current), validToMs(current)];
    if (nowMs < fromMs || nowMs > toMs) {
      const [from, to, now] = [fromMs, toMs, nowMs].map((ms) => new Date(ms).toISOString());
      const whose = depth === 0 ? 'it' : `its authority ${JSON.stringify(current.subject)}`;
      return `, ${whose} holds from ${from} to ${to} and our clock says ${now}`;
    }
    current = current.issuerCertificate;
  }
  return '';
}

/**
 * OpenSSL's verdict on chain, validity and purpose: undefined when good, else its error name. Node exposes it only on
 * sockets of a `tls.Server` or `tls.connect`; on a TLSSocket over a socket of ours it is on the handle. Should a Node
 * version move it, every peer is refused.
 */
export function chainProblem(socket: TLSSocket): string | undefined {
  const { _handle: handle } = socket as unknown as { _handle?: { verifyError?: () => unknown } | null };
  if (typeof handle?.verifyError !== 'function') return 'its verification is not available';
  const error = handle.verifyError();
  if (error === null || error === undefined) return undefined;
  const { code, message } = error as { code?: string; message?: string };
  // Node names the usual ones; of the others OpenSSL's own words are all there is.
  return (code === 'UNSPECIFIED' ? message : code) ?? 'an unnamed error';
}

function reasonOf(problem: string): PeerRefusalReason {
  switch (problem) {
    case 'CERT_HAS_EXPIRED':
      return 'expired';
    case 'CERT_NOT_YET_VALID':
      return 'not-yet-valid';
    case 'INVALID_PURPOSE':
      return 'wrong-usage';
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_SIGNATURE_FAILURE':
      return 'unknown-authority';
    default:
      return 'not-trusted';
  }
}
