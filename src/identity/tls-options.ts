/** TLS between workloads: 1.3 only, HTTP/2 by ALPN, both ends certified, no resumption. */
import { constants } from 'node:crypto';
import { createSecureContext, type ConnectionOptions, type SecureContext, type TLSSocketOptions } from 'node:tls';
import type { WorkloadCertificate } from './workload-certificate.ts';

/** What both ends may change about the handshakes of a process. */
export interface HandshakePolicy {
  /** Also TLS 1.2, with ECDHE and AES-GCM; default false. */
  readonly allowTls12?: boolean;
}

const tls13Ciphers = 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256';
const tls12Ciphers =
  'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256';

/** Of this thread: a certificate that came by message has none yet, and one that is renewed leaves with its context. */
const contexts = {
  tls13: new WeakMap<WorkloadCertificate, SecureContext>(),
  tls12: new WeakMap<WorkloadCertificate, SecureContext>(),
};

/** Reused by every handshake of one certificate: making one costs more than a handshake's own bookkeeping. */
export function secureContextOf(
  certificate: WorkloadCertificate,
  { allowTls12 = false }: HandshakePolicy = {},
): SecureContext {
  const known = contexts[allowTls12 ? 'tls12' : 'tls13'];
  let context = known.get(certificate);
  if (!context) known.set(certificate, (context = createContext(certificate, allowTls12)));
  return context;
}

function createContext({ chainPem, rootsPem, key }: WorkloadCertificate, allowTls12: boolean): SecureContext {
  return createSecureContext({
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    cert: chainPem.join(''),
    ca: rootsPem,
    minVersion: allowTls12 ? 'TLSv1.2' : 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: allowTls12 ? `${tls13Ciphers}:${tls12Ciphers}` : tls13Ciphers,
    // A resumed session would skip the certificates. Without tickets sessions would live in a server-side cache, and
    // Node keeps none unless asked to.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  });
}

/**
 * For `new TLSSocket(socket, options)` at the accepting end. The client is asked for its certificate, and nothing is
 * refused during the handshake: call `verifyClientPeer` on 'secure', or use `acceptTls`, which does all of it.
 */
export function serverTlsOptions(certificate: WorkloadCertificate, policy?: HandshakePolicy): TLSSocketOptions {
  return {
    isServer: true,
    secureContext: secureContextOf(certificate, policy),
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
  };
}

/**
 * For `tls.connect({ ...options, socket })` at the dialling end. No server name is sent. Nothing is refused during the
 * handshake: call `verifyServerPeer` on 'secureConnect', or use `connectTls`, which does all of it.
 */
export function clientTlsOptions(certificate: WorkloadCertificate, policy?: HandshakePolicy): ConnectionOptions {
  return {
    secureContext: secureContextOf(certificate, policy),
    rejectUnauthorized: false,
    // Peers are known by SPIFFE id, never by host name.
    checkServerIdentity: () => undefined,
    ALPNProtocols: ['h2'],
  };
}
