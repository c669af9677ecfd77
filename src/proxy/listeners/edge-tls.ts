/** Secure contexts of gateways' servers, made once a set of secrets. */
import { constants, createPrivateKey } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { EdgeTls, TlsSecret } from '../../api/l7/index.ts';

export interface ServerContext {
  readonly secureContext: SecureContext;
  readonly clientCertificate: 'none' | 'optional' | 'required';
}

const contexts = new WeakMap<EdgeTls, { readonly secrets: readonly unknown[]; readonly context: ServerContext }>();

/** @throws Error when a secret is absent or no certificate: the connection is refused. */
export function serverContext(tls: EdgeTls, secrets: ReadonlyMap<string, TlsSecret>): ServerContext {
  const names = [...tls.certificates, ...(tls.clientCa ? [tls.clientCa.secret] : [])];
  const used = names.map((name) => secrets.get(name));
  const known = contexts.get(tls);
  if (known && known.secrets.every((secret, i) => secret === used[i])) return known.context;
  const certificates = certificatesOf(tls.certificates, secrets);
  const ca = tls.clientCa && secrets.get(tls.clientCa.secret)?.caCertificates;
  if (tls.clientCa && ca === undefined) throw new Error(`secret ${tls.clientCa.secret} has no CA certificates`);
  const context: ServerContext = {
    secureContext: createSecureContext({
      cert: certificates.map(({ certificateChain }) => certificateChain),
      key: certificates.map(({ privateKey }) => privateKey),
      minVersion: tls.minVersion,
      ...(tls.cipherSuites.length > 0 ? { ciphers: tls.cipherSuites.join(':') } : {}),
      // A session that is resumed shows less of the client's chain than its first one: whoever is to be checked begins anew.
      ...(ca === undefined
        ? {}
        : { ca, secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION }),
    }),
    clientCertificate: tls.clientCa ? (tls.clientCa.required ? 'required' : 'optional') : 'none',
  };
  contexts.set(tls, { secrets: used, context });
  return context;
}

interface CertificatePair {
  readonly certificateChain: string;
  readonly privateKey: string;
}

/** One of each kind of key: another than the control plane counted on may be kept under a name. */
function certificatesOf(names: readonly string[], secrets: ReadonlyMap<string, TlsSecret>): CertificatePair[] {
  const byKind = new Map<string | undefined, CertificatePair>();
  for (const name of names) {
    const { certificateChain, privateKey } = secrets.get(name) ?? {};
    if (certificateChain === undefined || privateKey === undefined) continue;
    const { asymmetricKeyType: kind } = createPrivateKey(privateKey);
    if (!byKind.has(kind)) byKind.set(kind, { certificateChain, privateKey });
  }
  if (byKind.size > 0) return [...byKind.values()];
  throw new Error(`secret ${names.join(' and ')} has no certificate that can be used`);
}
