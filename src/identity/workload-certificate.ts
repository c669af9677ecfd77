/** The certificate of one workload identity, checked and ready for handshakes. Plain values: it goes to workers by message. */
import { X509Certificate, type KeyObject } from 'node:crypto';
import { AmbitError } from '../lib/errors.ts';
import type { SpiffeId } from '../api/names.ts';
import { validFromMs, validToMs, verifyChain } from './chain.ts';
import { splitCertificates } from './pem.ts';
import { identityOfLeaf } from './x509-peer.ts';

export interface WorkloadCertificate {
  readonly identity: SpiffeId;
  /** Leaf, then intermediates. */
  readonly chainPem: readonly string[];
  /** The roots that peers must chain to, one bundle. */
  readonly rootsPem: string;
  /** Never leaves the process, never logged. Messages to workers carry it as what it is, and JSON shows nothing of it. */
  readonly key: KeyObject;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Hexadecimal. */
  readonly serial: string;
  /** Counts the certificates of this identity in this process, from 1. */
  readonly generation: number;
}

export interface IssuedCertificate {
  readonly identity: SpiffeId;
  readonly key: KeyObject;
  /** The authority's answer: leaf, intermediates, and last the bundle of roots. */
  readonly answer: readonly string[];
  readonly generation: number;
  readonly nowMs: number;
}

/**
 * Checks the authority's answer and makes it usable. Throws `identity.bad-answer` when it is not a chain from a leaf
 * with our key and exactly the identity that we asked for to one of its own roots.
 */
export function acceptCertificate(issued: IssuedCertificate): WorkloadCertificate {
  const { identity, key, answer, generation, nowMs } = issued;
  const rootsPem = answer.at(-1);
  if (answer.length < 2 || rootsPem === undefined) throw badAnswer(identity, `it has ${answer.length} parts`);
  const chainPem = answer.slice(0, -1).flatMap(splitCertificates);
  const [leaf, ...intermediates] = parseAll(identity, chainPem);
  const roots = parseAll(identity, splitCertificates(rootsPem));
  if (!leaf || roots.length === 0) throw badAnswer(identity, 'it lacks a leaf or a root');
  if (!leaf.checkPrivateKey(key)) throw badAnswer(identity, 'the leaf is for another key');
  for (const usage of ['server', 'client'] as const) {
    const verdict = identityOfLeaf(leaf, usage);
    if (verdict.kind === 'refused') throw badAnswer(identity, verdict.message);
    if (verdict.identity !== identity) throw badAnswer(identity, `the leaf is for ${verdict.identity}`);
  }
  const chain = verifyChain({ leaf, intermediates, roots, nowMs });
  if (chain.kind === 'invalid') throw badAnswer(identity, `its chain is not valid: ${chain.reason}`);
  return {
    identity,
    chainPem,
    rootsPem,
    key,
    notBeforeMs: validFromMs(leaf),
    notAfterMs: validToMs(leaf),
    serial: leaf.serialNumber.toLowerCase(),
    generation,
  };
}

function parseAll(identity: SpiffeId, blocks: readonly string[]): X509Certificate[] {
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (error) {
    throw badAnswer(identity, 'a certificate in it cannot be parsed', error);
  }
}

function badAnswer(identity: SpiffeId, state: string, cause?: unknown): AmbitError {
  return new AmbitError(`Cannot use the certificate issued for ${identity}: ${state}`, {
    code: 'identity.bad-answer',
    blame: 'upstream',
    cause,
  });
}
