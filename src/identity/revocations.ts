/** Which peers' certificates are revoked: asked at each handshake, and of live connections when the lists change. */
import { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { AmbitError } from '../lib/errors.ts';
import { normalSerial } from './der-reader.ts';
import { splitCertificates } from './pem.ts';
import { namesOf, type RevocationList } from './revocation-list.ts';

export interface RevocationsOptions {
  /** Told of each connection that is refused or cut. */
  readonly onRevoked: (role: PeerRole) => void;
}

/** Our end of the connection: 'server' accepted it. */
export type PeerRole = 'server' | 'client';

export interface TrackedPeer {
  readonly socket: TLSSocket;
  /** The roots that it verified against. */
  readonly rootsPem: string;
  readonly role: PeerRole;
}

export interface Revocations {
  /** Replaces all lists; live connections are asked again, in slices, and those of revoked certificates are destroyed. */
  update(lists: readonly RevocationList[]): void;
  /** Says which certificate of the peer's chain is revoked, if one is. The handshake is done. */
  problemOf(peer: TrackedPeer): string | undefined;
  /** Counts a peer that was refused at its handshake. */
  refused(role: PeerRole): void;
  /** Asked again after each update, until its socket closes. */
  track(peer: TrackedPeer): void;
  /** How many are tracked now. */
  readonly size: number;
}

const maxDepth = 8;
/** A leaf, the intermediates of a path, and as many that a peer left in its chain. */
const maxSent = 16;
const sliceMs = 2;

export function createRevocations({ onRevoked }: RevocationsOptions): Revocations {
  const live = new Set<TrackedPeer>();
  let byIssuer = new Map<string, RevocationList[]>();
  let verdicts = new WeakMap<RevocationList, Map<string, boolean>>();
  let updates = 0;

  /** Signatures are verified once for an issuer's key: a list may be long. */
  const isSignedBy = (list: RevocationList, issuer: X509Certificate): boolean => {
    const known = verdicts.get(list) ?? new Map<string, boolean>();
    verdicts.set(list, known);
    let verdict = known.get(issuer.fingerprint256);
    if (verdict === undefined) known.set(issuer.fingerprint256, (verdict = list.isSignedBy(issuer.publicKey)));
    return verdict;
  };
  const isRevoked = (certificate: X509Certificate, issuer: X509Certificate): boolean => {
    const lists = byIssuer.get(namesOf(certificate).issuer) ?? [];
    const serial = normalSerial(certificate.serialNumber);
    return lists.some((list) => list.serials.has(serial) && isSignedBy(list, issuer));
  };
  const problemOf = ({ socket, rootsPem }: TrackedPeer): string | undefined => {
    if (byIssuer.size === 0) return undefined;
    const path = pathOf(socket, rootsPem);
    if (!path) return "the peer's chain is not one that can be followed to its root";
    for (const [i, certificate] of path.entries()) {
      // The last one is a root, which answers for itself.
      if (!isRevoked(certificate, path[i + 1] ?? certificate)) continue;
      const what = i === 0 ? 'certificate' : `issuing certificate ${JSON.stringify(certificate.subject)}`;
      return `the peer's ${what}, serial ${normalSerial(certificate.serialNumber)}, is revoked`;
    }
    return undefined;
  };
  const recheck = (update: number, peers: Iterator<TrackedPeer>): void => {
    const untilMs = performance.now() + sliceMs;
    for (let next = peers.next(); !next.done; next = peers.next()) {
      const problem = problemOf(next.value);
      if (problem !== undefined) {
        onRevoked(next.value.role);
        next.value.socket.destroy(revoked(problem, next.value.role));
      }
      if (performance.now() < untilMs) continue;
      // Lists that came meanwhile start from the beginning.
      return void setImmediate(() => update === updates && recheck(update, peers));
    }
  };
  return {
    update(lists) {
      byIssuer = Map.groupBy(lists, ({ issuer }) => issuer);
      verdicts = new WeakMap();
      recheck(++updates, live.values());
    },
    problemOf,
    refused: onRevoked,
    track(peer) {
      live.add(peer);
      peer.socket.once('close', () => live.delete(peer));
    },
    get size() {
      return live.size;
    },
  };
}

/** Whether a peer whose handshake is done would chain to these roots, where it was let in by others. */
export function isPeerOf(socket: TLSSocket, rootsPem: string): boolean {
  return pathOf(socket, rootsPem) !== undefined;
}

function revoked(problem: string, role: PeerRole): AmbitError {
  return new AmbitError(`Cannot go on: ${problem}`, {
    code: 'identity.revoked',
    blame: role === 'server' ? 'downstream' : 'upstream',
  });
}

/**
 * From the leaf to one of the roots, each signed by the next; undefined: there is no such path. What a peer sends besides its leaf is in
 * whatever order it likes, with certificates of strangers in between.
 */
function pathOf(socket: TLSSocket, rootsPem: string): X509Certificate[] | undefined {
  const roots = rootsOf(rootsPem);
  const [leaf, ...sent] = sentBy(socket);
  const path: X509Certificate[] = [];
  for (let current = leaf; current && path.length < maxDepth;) {
    path.push(current);
    const child: X509Certificate = current;
    const isIssuer = (one: X509Certificate): boolean => child.checkIssued(one) && child.verify(one.publicKey);
    const isRoot = roots.some(({ fingerprint256 }) => fingerprint256 === child.fingerprint256);
    if (isRoot && isIssuer(child)) return path;
    // One that another one signed, too, is a root all the same where nobody has that other one.
    const issuer: X509Certificate | undefined = roots.find(isIssuer) ?? sent.find(isIssuer);
    if (!issuer && isRoot) return path;
    current = issuer;
  }
  return undefined;
}

/** Leaf first, then what came with it. A longer list is no chain: what of it is not looked at leads nowhere. */
function sentBy(socket: TLSSocket): X509Certificate[] {
  const certificates: X509Certificate[] = [];
  let current = socket.getPeerX509Certificate();
  for (; current && certificates.length < maxSent; current = current.issuerCertificate) certificates.push(current);
  return certificates;
}

/** The mesh's bundle, and at a gateway one for each set of authorities that clients come from. */
const parsedRoots = new Map<string, X509Certificate[]>();
const maxParsedRoots = 32;

function rootsOf(pem: string): X509Certificate[] {
  const known = parsedRoots.get(pem);
  if (known) return known;
  const certificates = splitCertificates(pem).map((block) => new X509Certificate(block));
  for (const [oldest] of parsedRoots) if (parsedRoots.size >= maxParsedRoots) parsedRoots.delete(oldest);
  parsedRoots.set(pem, certificates);
  return certificates;
}
