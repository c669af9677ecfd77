/** TLS to an application: whom we trust, who we are, and which names the server may have. */
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  getCACertificates,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import type { Duplex } from 'node:stream';
import type { TlsSecret, UpstreamTls } from '../../api/l7/index.ts';
import { AmbitError, messageOf } from '../../lib/errors.ts';

export interface UpstreamTlsOptions {
  /** Connected; owned from here on, also when it fails. */
  readonly stream: Duplex;
  readonly tls: UpstreamTls;
  readonly context: SecureContext;
  /** SNI; "": none is sent. */
  readonly serverName: string;
  /** IP of the server, for certificates that name it. */
  readonly address: string;
  /** What ALPN offers. */
  readonly protocols: readonly string[];
  readonly signal: AbortSignal;
}

/** Handshake done, nothing read. Rejects with `upstream.tls`. */
export function connectUpstreamTls(options: UpstreamTlsOptions): Promise<TLSSocket> {
  const { stream, tls, context, serverName, address, protocols, signal } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({
      socket: stream,
      secureContext: context,
      ...(serverName === '' ? {} : { servername: serverName }),
      ...(protocols.length > 0 ? { ALPNProtocols: [...protocols] } : {}),
      rejectUnauthorized: tls.ca.kind !== 'none',
      checkServerIdentity(_host, certificate) {
        const names = tls.subjectAltNames.length > 0 ? tls.subjectAltNames : [serverName === '' ? address : serverName];
        if (names.some((name) => hasName(certificate, name))) return undefined;
        return new Error(`the server is "${certificate.subjectaltname ?? ''}", expected ${names.join(' or ')}`);
      },
    });
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('secureConnect', onSecure).off('error', onError).off('close', onClose);
      // Late errors show as close.
      socket.on('error', () => {});
    };
    const fail = (problem: string, cause?: unknown): void => {
      settle();
      socket.destroy();
      stream.destroy();
      const message = `Cannot finish the TLS handshake with ${serverName === '' ? address : serverName}: ${problem}`;
      reject(new AmbitError(message, { code: 'upstream.tls', blame: 'upstream', cause }));
    };
    const onSecure = (): void => {
      const spoken = socket.alpnProtocol;
      // A server that knows no ALPN speaks what it was configured for.
      if (typeof spoken === 'string' && protocols.length > 0 && !protocols.includes(spoken))
        return fail(`the server speaks ${spoken} alone`);
      settle();
      resolve(socket);
    };
    const onError = (error: Error): void => fail(reasonOf(error), error);
    const onClose = (): void => fail('the server closed the connection');
    const onAbort = (): void => fail('given up');
    socket.on('secureConnect', onSecure).on('error', onError).on('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

type PeerCertificate = Parameters<typeof checkServerIdentity>[1];

function hasName(certificate: PeerCertificate, name: string): boolean {
  if (name.includes('://')) return (certificate.subjectaltname ?? '').split(', ').includes(`URI:${name}`);
  return checkServerIdentity(name, certificate) === undefined;
}

/** Throws `upstream.tls-config`, which names the secret at fault. */
export function upstreamTlsContext(tls: UpstreamTls, secrets: ReadonlyMap<string, TlsSecret>): SecureContext {
  const own = tls.clientCertificate === undefined ? undefined : secretOf(secrets, tls.clientCertificate);
  if (own && (own.certificateChain === undefined || own.privateKey === undefined))
    throw badConfig(`secret "${own.name}" has no certificate and key`);
  try {
    return createSecureContext({
      ...trust(tls, secrets),
      ...(own?.certificateChain === undefined ? {} : { cert: own.certificateChain }),
      ...(own?.privateKey === undefined ? {} : { key: own.privateKey }),
      minVersion: 'TLSv1.2',
    });
  } catch (error) {
    if (error instanceof AmbitError) throw error;
    throw badConfig(messageOf(error));
  }
}

function trust({ ca }: UpstreamTls, secrets: ReadonlyMap<string, TlsSecret>): { ca?: string | string[] } {
  switch (ca.kind) {
    case 'none':
      return {};
    case 'system': {
      const system = getCACertificates('system');
      // Nothing installed: an empty list would mean Node's own bundle, which nobody asked for.
      if (system.length === 0) throw badConfig('the operating system has no CA certificates');
      return { ca: system };
    }
    case 'secret': {
      const { name, caCertificates } = secretOf(secrets, ca.secret);
      if (caCertificates === undefined) throw badConfig(`secret "${name}" has no CA certificates`);
      return { ca: caCertificates };
    }
  }
}

function secretOf(secrets: ReadonlyMap<string, TlsSecret>, name: string): TlsSecret {
  const secret = secrets.get(name);
  if (!secret) throw badConfig(`there is no secret "${name}"`);
  return secret;
}

function badConfig(problem: string): AmbitError {
  return new AmbitError(`Cannot use TLS to the backend: ${problem}`, {
    code: 'upstream.tls-config',
    blame: 'internal',
  });
}

/** OpenSSL's messages are made of addresses and source lines; its reason is what they say. */
function reasonOf(error: Error): string {
  if (!('reason' in error) || typeof error.reason !== 'string') return messageOf(error);
  return error.reason === 'wrong version number' ? 'the server speaks no TLS' : error.reason;
}
