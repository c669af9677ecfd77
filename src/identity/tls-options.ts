/** TLS between workloads: 1.3 only, HTTP/2 by ALPN, both ends certified, no resumption. */
import type { KeyObject } from 'node:crypto';
import { constants } from 'node:crypto';
import { createSecureContext, type ConnectionOptions, type SecureContext, type TLSSocketOptions } from 'node:tls';
import type { WorkloadCertificate } from './workload-certificate.ts';

export interface SecureContextParts {
  readonly chainPem: readonly string[];
  readonly rootsPem: string;
  readonly key: KeyObject;
}

/** Reused by every handshake of one certificate: making one costs more than a handshake's own bookkeeping. */
export function createWorkloadSecureContext({ chainPem, rootsPem, key }: SecureContextParts): SecureContext {
  return createSecureContext({
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    cert: chainPem.join(''),
    ca: rootsPem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256',
    // A resumed session would skip the certificates. Without tickets sessions would live in a server-side cache, and
    // Node keeps none unless asked to.
    secureOptions: constants.SSL_OP_NO_TICKET,
  });
}

/**
 * For `new TLSSocket(socket, options)` at the accepting end. The client is asked for its certificate, and nothing is
 * refused during the handshake: call `verifyClientPeer` on 'secure', or use `acceptTls`, which does all of it.
 */
export function serverTlsOptions(certificate: WorkloadCertificate): TLSSocketOptions {
  return {
    isServer: true,
    secureContext: certificate.secureContext,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
  };
}

/**
 * For `tls.connect({ ...options, socket })` at the dialling end. No server name is sent. Nothing is refused during the
 * handshake: call `verifyServerPeer` on 'secureConnect', or use `connectTls`, which does all of it.
 */
export function clientTlsOptions(certificate: WorkloadCertificate): ConnectionOptions {
  return {
    secureContext: certificate.secureContext,
    rejectUnauthorized: false,
    // Peers are known by SPIFFE id, never by host name.
    checkServerIdentity: () => undefined,
    ALPNProtocols: ['h2'],
  };
}
