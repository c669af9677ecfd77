/** Secure contexts of gateways' servers, made once a set of secrets. */
import { constants } from 'node:crypto';
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
  const certificates = tls.certificates.map((name) => certificateOf(name, secrets.get(name)));
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

function certificateOf(name: string, secret: TlsSecret | undefined): { certificateChain: string; privateKey: string } {
  const { certificateChain, privateKey } = secret ?? {};
  if (certificateChain === undefined || privateKey === undefined) throw new Error(`secret ${name} has no certificate`);
  return { certificateChain, privateKey };
}
