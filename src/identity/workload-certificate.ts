/** The certificate of one workload identity, checked and ready for handshakes. Plain values: it goes to workers by message. */
import { X509Certificate, type KeyObject } from 'node:crypto';
import { AmbitError } from '../lib/errors.ts';
import type { SpiffeId } from '../api/names.ts';
import { validFromMs, validToMs, verifyChain, type ChainVerdict } from './chain.ts';
import { describeSkew } from './clock-skew.ts';
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
  /** SHA-256 of the certificate that signed the leaf. */
  readonly issuerFingerprint: string;
  /** Counts the certificates of this identity in this process, from 1; new roots for the same leaf count too. */
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
  if (chain.kind === 'invalid') throw badAnswer(identity, stateOf(chain, nowMs));
  return {
    identity,
    chainPem,
    rootsPem,
    key,
    notBeforeMs: validFromMs(leaf),
    notAfterMs: validToMs(leaf),
    serial: leaf.serialNumber.toLowerCase(),
    issuerFingerprint: chain.issuer.fingerprint256,
    generation,
  };
}

/** The same leaf with other roots; undefined when it does not chain to any of them. */
export function withRoots(
  certificate: WorkloadCertificate,
  rootsPem: string,
  nowMs: number,
): WorkloadCertificate | undefined {
  const [leaf, ...intermediates] = parseAll(certificate.identity, certificate.chainPem);
  const roots = parseAll(certificate.identity, splitCertificates(rootsPem));
  if (!leaf || verifyChain({ leaf, intermediates, roots, nowMs }).kind === 'invalid') return undefined;
  return { ...certificate, rootsPem, generation: certificate.generation + 1 };
}

/** People look at the wrong certificate when the clock is to blame: say what each side believes. */
function stateOf({ reason, certificate }: Extract<ChainVerdict, { kind: 'invalid' }>, nowMs: number): string {
  const name = JSON.stringify(certificate.subject || 'the leaf');
  const now = new Date(nowMs).toISOString();
  switch (reason) {
    case 'unknown-authority':
      return `its chain is not valid: ${reason}, ${name} is signed by none of the roots that came with it`;
    case 'not-yet-valid': {
      const behind = describeSkew(validFromMs(certificate) - nowMs);
      return `its chain is not valid: ${reason}, ${name} starts at ${certificate.validFrom} and it is ${now} here: ${behind} or more`;
    }
    case 'expired': {
      const ahead = describeSkew(validToMs(certificate) - nowMs);
      return `its chain is not valid: ${reason}, ${name} ended at ${certificate.validTo} and it is ${now} here: unless it was signed late, ${ahead} or more`;
    }
  }
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
