/** Handshakes between workloads over sockets that are already connected: TLS, then who the peer is, in one step. */
import type { Duplex } from 'node:stream';
import { connect, TLSSocket } from 'node:tls';
import { AmbitError, messageOf } from '../lib/errors.ts';
import type { SpiffeId } from '../api/names.ts';
import { spiffeParts } from './spiffe.ts';
import type { PeerRole, Revocations } from './revocations.ts';
import { clientTlsOptions, serverTlsOptions, type HandshakePolicy } from './tls-options.ts';
import { verifyClientPeer, verifyServerPeer } from './verify-peer.ts';
import type { WorkloadCertificate } from './workload-certificate.ts';
import type { PeerRefusalReason, PeerVerdict } from './x509-peer.ts';

export interface HandshakeOptions extends HandshakePolicy {
  /** Connected. TCP, or any stream: TLS inside of a tunnel. */
  readonly socket: Duplex;
  readonly certificate: WorkloadCertificate;
  readonly signal?: AbortSignal;
  /** Default 10 s. */
  readonly timeoutMs?: number;
  /** Asked before the peer is trusted, and again while the connection lives: it is then destroyed with `identity.revoked`. */
  readonly revocations?: Revocations;
}

export interface TrustedPeer {
  /** Handshake done, nothing read yet. */
  readonly socket: TLSSocket;
  readonly identity: SpiffeId;
}

/**
 * Accepts TLS and requires a client certificate of our own trust domain, or of one of its aliases. Rejects with
 * `identity.<reason>` (`PeerRefusalReason`); the socket is destroyed then.
 */
export function acceptTls(
  options: HandshakeOptions & { readonly trustDomainAliases?: readonly string[] },
): Promise<TrustedPeer> {
  const trustDomains = [spiffeParts(options.certificate.identity).trustDomain, ...(options.trustDomainAliases ?? [])];
  const socket = new TLSSocket(options.socket, serverTlsOptions(options.certificate, options));
  return finish(socket, 'secure', options, 'server', () => verifyClientPeer(socket, trustDomains));
}

/** Dials TLS and requires the server to be one of `expected`. Rejects as `acceptTls` does. */
export function connectTls(
  options: HandshakeOptions & { readonly expected: readonly SpiffeId[] },
): Promise<TrustedPeer> {
  const socket = connect({ ...clientTlsOptions(options.certificate, options), socket: options.socket });
  return finish(socket, 'secureConnect', options, 'client', () => verifyServerPeer(socket, options.expected));
}

function finish(
  socket: TLSSocket,
  event: 'secure' | 'secureConnect',
  options: HandshakeOptions,
  role: PeerRole,
  verify: () => PeerVerdict,
): Promise<TrustedPeer> {
  const { signal, timeoutMs = 10_000, revocations } = options;
  const blame = role === 'server' ? 'downstream' : 'upstream';
  const peer = { socket, rootsPem: options.certificate.rootsPem, role };
  return new Promise((resolve, reject) => {
    let cause: unknown;
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off(event, onSecure).off('error', onError).off('_tlsError', onError).off('close', onClose);
    };
    const refuse = (reason: PeerRefusalReason, message: string): void => {
      settle();
      // Late errors of a socket that we gave up must not end the process.
      socket.on('error', () => {});
      socket.destroy();
      options.socket.destroy();
      reject(
        new AmbitError(`Cannot finish the TLS handshake: ${message}`, { code: `identity.${reason}`, blame, cause }),
      );
    };
    const onSecure = (): void => {
      const verdict = verify();
      if (verdict.kind === 'refused') return refuse(verdict.reason, verdict.message);
      const revoked = revocations?.problemOf(peer);
      if (revoked !== undefined) {
        revocations?.refused(role);
        return refuse('revoked', revoked);
      }
      revocations?.track(peer);
      settle();
      resolve({ socket, identity: verdict.identity });
    };
    const onError = (error: unknown): void => {
      cause ??= error;
    };
    const onClose = (): void => refuse('handshake-failed', cause === undefined ? 'the peer closed' : reasonOf(cause));
    const onAbort = (): void => refuse('handshake-failed', 'it was given up');
    const timer = setTimeout(() => refuse('timeout', `no end of it in ${timeoutMs} ms`), timeoutMs);
    // '_tlsError' tells why a bare server-side socket failed; without it only the cause would be missing.
    socket.on(event, onSecure).on('error', onError).on('_tlsError', onError).on('close', onClose);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted) onAbort();
  });
}

/** OpenSSL's messages are made of addresses and source lines; its reason is what they say: "unsupported protocol". */
function reasonOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'reason' in error && typeof error.reason === 'string') {
    return error.reason;
  }
  return messageOf(error);
}
