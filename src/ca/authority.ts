/** The certificate authority of the mesh: workload and server certificates from one signing key. */
import { X509Certificate } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import { AmbitError } from '../lib/errors.ts';
import type { SpiffeId } from '../api/names.ts';
import { parseSpiffeId, splitCertificates, validToMs } from '../identity/index.ts';
import { openFileSigner } from './signer.ts';
import { makeLeaf, makeRoot, makeServerKey, verifiedKeyOf } from './x509.ts';

export interface CertificateAuthorityOptions {
  /** The signing certificate, self-signed or an intermediate. */
  readonly caCertPem: string;
  readonly caKeyPem: string;
  /** What peers trust: one or more roots. */
  readonly rootPem: string;
  /** Intermediates between the signing certificate and a root, if any. */
  readonly chainPem?: string;
  readonly clock: Clock;
}

export interface CertificateAuthority {
  /** What peers trust. */
  readonly rootPem: string;
  /** The signing certificate. */
  readonly signerPem: string;
  /** Between it and a root. */
  readonly chainPem: string;
  /**
   * PEM each: leaf, intermediates, and last the bundle of roots. Only the request's key counts; the leaf's one name is
   * `identity`. Throws `ca.malformed-csr`, `ca.weak-key`, or `ca.expired` when the signing certificate has ended.
   */
  signWorkload(request: {
    readonly csrPem: string;
    readonly identity: SpiffeId;
    /** Default 24 h, at most 90 days; never beyond the signing certificate's own end. */
    readonly ttlSeconds?: number;
  }): Promise<string[]>;
  /** A certificate and a new key for a server of the control plane. Throws `ca.expired`. */
  signServer(request: {
    readonly dnsNames: readonly string[];
    readonly ips: readonly string[];
    readonly ttlSeconds?: number;
  }): Promise<ServerIdentity>;
}

export interface ServerIdentity {
  /** Leaf, then intermediates. */
  readonly chainPem: string;
  readonly keyPem: string;
  readonly notAfterMs: number;
}

export interface RootOptions {
  readonly clock: Clock;
  /** Default "cluster.local". */
  readonly organization?: string;
  /** Default 10 years. */
  readonly ttlDays?: number;
}

const daySeconds = 24 * 3600;
const defaultTtlSeconds = daySeconds;
const maxTtlSeconds = 90 * daySeconds;
/** Clocks of nodes differ: certificates are valid from a little earlier. */
const backdateSeconds = 120;

/** Throws `ca.bad-authority` when certificate and key cannot sign. */
export async function createCertificateAuthority(options: CertificateAuthorityOptions): Promise<CertificateAuthority> {
  const { clock, rootPem } = options;
  const signer = await openFileSigner(options.caCertPem, options.caKeyPem);
  const signerNotAfterMs = validToMs(new X509Certificate(signer.certificatePem));
  const intermediates = intermediatesOf(`${options.caCertPem}\n${options.chainPem ?? ''}`);
  const lifetime = (ttlSeconds: number): { notBeforeMs: number; notAfterMs: number } => {
    const nowMs = clock.nowMs();
    if (nowMs >= signerNotAfterMs) throw expired(signerNotAfterMs);
    return {
      notBeforeMs: nowMs - backdateSeconds * 1000,
      notAfterMs: Math.min(nowMs + ttlSeconds * 1000, signerNotAfterMs),
    };
  };
  return {
    rootPem,
    signerPem: signer.certificatePem,
    chainPem: options.chainPem ?? '',
    async signWorkload({ csrPem, identity, ttlSeconds }) {
      const publicKey = await verifiedKeyOf(csrPem);
      const leaf = await makeLeaf({
        signer,
        publicKey,
        altNames: [{ type: 'url', value: parseSpiffeId(identity) }],
        usages: ['server', 'client'],
        ...lifetime(clampTtl(ttlSeconds)),
      });
      return [leaf, ...intermediates, rootPem];
    },
    async signServer({ dnsNames, ips, ttlSeconds }) {
      const { publicKey, keyPem } = await makeServerKey();
      const altNames = [
        ...dnsNames.map((value) => ({ type: 'dns', value }) as const),
        ...ips.map((value) => ({ type: 'ip', value }) as const),
      ];
      const validity = lifetime(clampTtl(ttlSeconds));
      const leaf = await makeLeaf({ signer, publicKey, altNames, usages: ['server'], ...validity });
      return { chainPem: [leaf, ...intermediates].join(''), keyPem, notAfterMs: validity.notAfterMs };
    },
  };
}

/** A new root: its certificate and key, PEM. */
export async function createRoot(options: RootOptions): Promise<{ certPem: string; keyPem: string }> {
  const { clock, organization = 'cluster.local', ttlDays = 3650 } = options;
  const nowMs = clock.nowMs();
  return makeRoot({
    subject: `O=${organization}`,
    notBeforeMs: nowMs - backdateSeconds * 1000,
    notAfterMs: nowMs + ttlDays * daySeconds * 1000,
  });
}

/** Leaves that have ended would only be refused by everybody, and for another reason. */
function expired(notAfterMs: number): AmbitError {
  const ended = new Date(notAfterMs).toISOString();
  return new AmbitError(`Cannot sign: the signing certificate of the mesh ended at ${ended}`, {
    code: 'ca.expired',
    blame: 'internal',
  });
}

/** Absent and senseless lifetimes become the default, long ones the maximum. */
function clampTtl(ttlSeconds: number | undefined): number {
  if (ttlSeconds === undefined || !(ttlSeconds > 0)) return defaultTtlSeconds;
  return Math.min(ttlSeconds, maxTtlSeconds);
}

/** Everything on the way to a root that is not itself one, each once. */
function intermediatesOf(bundle: string): string[] {
  const isRoot = (block: string): boolean => {
    const certificate = new X509Certificate(block);
    return certificate.checkIssued(certificate);
  };
  return [...new Set(splitCertificates(bundle))].filter((block) => !isRoot(block));
}
