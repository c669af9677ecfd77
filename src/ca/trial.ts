/**
 * Material is tried before anything is signed with it: a certificate that it signs has to stand a handshake each way. Path lengths,
 * usages, names and strengths that an authority above forbids are refused here, not by every peer of the mesh later.
 */
import { duplexPair } from 'node:stream';
import { spiffeId } from '../api/names.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { acceptCertificate, acceptTls, connectTls, createCsr, type TrustedPeer } from '../identity/index.ts';
import { createCertificateAuthority, type CertificateAuthority } from './authority.ts';
import { badMaterial, certificateFileOf, readMaterial, type MaterialFiles } from './material.ts';

export interface OpenMaterialOptions {
  readonly clock: Clock;
  /** Of the identities that it is to sign. */
  readonly trustDomain: string;
}

/** The account that the certificate of the trial is for; it is forgotten at once. */
const trialAccount = { namespace: 'istio-system', name: 'authority-trial' };

/**
 * The authority of these files, once it has shown that peers take what it signs. Throws `ca.bad-material`, naming the file that is to
 * blame, or `ca.bad-authority` where its key is of a kind that cannot sign.
 */
export async function openMaterial(
  files: MaterialFiles,
  { clock, trustDomain }: OpenMaterialOptions,
): Promise<CertificateAuthority> {
  const authority = await createCertificateAuthority({ ...readMaterial(files, clock.nowMs()), clock });
  try {
    await tryHandshake(authority, trustDomain, clock.nowMs());
  } catch (error) {
    throw badMaterial(certificateFileOf(files), `signs what no peer takes: ${reasonOf(error)}`, error);
  }
  return authority;
}

/** In memory, with the options of all handshakes of the mesh. Rejects as the first end that refuses the other. */
async function tryHandshake(authority: CertificateAuthority, trustDomain: string, nowMs: number): Promise<void> {
  const identity = spiffeId(trustDomain, trialAccount.namespace, trialAccount.name);
  const { csrPem, key } = createCsr(identity);
  const answer = await authority.signWorkload({ csrPem, identity });
  const certificate = acceptCertificate({ identity, key, answer, generation: 1, nowMs });
  const [near, far] = duplexPair();
  const over = new AbortController();
  let refusal: unknown;
  const end = async (handshake: Promise<TrustedPeer>): Promise<void> => {
    try {
      const { socket } = await handshake;
      over.signal.addEventListener('abort', () => socket.destroy());
    } catch (error) {
      // The other end could only tell that this one is gone.
      refusal ??= error;
      over.abort();
    }
  };
  const { signal } = over;
  await Promise.all([
    end(acceptTls({ socket: near, certificate, signal })),
    end(connectTls({ socket: far, certificate, expected: [identity], signal })),
  ]);
  over.abort();
  if (refusal !== undefined) throw refusal;
}

/** What OpenSSL's names mean to whoever made the certificates (RFC 5280, 4.2.1). */
const advice: Readonly<Record<string, string>> = {
  PATH_LENGTH_EXCEEDED: 'an authority above allows fewer authorities below it (basicConstraints, pathlen)',
  INVALID_PURPOSE: 'it, or an authority above, is not for TLS servers and clients (extendedKeyUsage)',
};

function reasonOf(error: unknown): string {
  const message = messageOf(error);
  const [, hint] = Object.entries(advice).find(([name]) => message.includes(name)) ?? [];
  return hint === undefined ? message : `${message}: ${hint}`;
}
