/** The server's certificate and the roots of its clients, both changeable while it runs. */
import { createPrivateKey } from 'node:crypto';
import { experimental, type ServerCredentials } from '@grpc/grpc-js';

export interface ServerCertificate {
  /** Leaf, then intermediates. */
  readonly chainPem: string;
  readonly keyPem: string;
}

export interface RotatingCredentials {
  readonly grpc: ServerCredentials;
  /** New connections see the new certificate; live ones keep theirs. */
  setCertificate(certificate: ServerCertificate): void;
  setClientRoots(rootsPem: string): void;
}

type CaListener = experimental.CaCertificateUpdateListener;
type IdentityListener = experimental.IdentityCertificateUpdateListener;

/** With `clientRootsPem`, clients are asked for a certificate and may decline; only a verified one is ever shown. */
export function createRotatingCredentials(initial: ServerCertificate, clientRootsPem?: string): RotatingCredentials {
  let certificate = toUpdate(initial);
  let roots = clientRootsPem === undefined ? undefined : { caCertificate: Buffer.from(clientRootsPem) };
  const caListeners = new Set<CaListener>();
  const identityListeners = new Set<IdentityListener>();
  const provider: experimental.CertificateProvider = {
    addCaCertificateListener(listener) {
      caListeners.add(listener);
      // Later, as files would: the credentials are not ready for it while they register.
      process.nextTick(() => listener(roots ?? null));
    },
    removeCaCertificateListener: (listener) => void caListeners.delete(listener),
    addIdentityCertificateListener(listener) {
      identityListeners.add(listener);
      process.nextTick(() => listener(certificate));
    },
    removeIdentityCertificateListener: (listener) => void identityListeners.delete(listener),
  };
  return {
    // Own certificate first, clients' roots second: grpc-js names the two the other way round, and means this.
    grpc: experimental.createCertificateProviderServerCredentials(provider, roots ? provider : null, false),
    setCertificate(next) {
      certificate = toUpdate(next);
      for (const listener of identityListeners) listener(certificate);
    },
    setClientRoots(rootsPem) {
      roots = { caCertificate: Buffer.from(rootsPem) };
      for (const listener of caListeners) listener(roots);
    },
  };
}

function toUpdate({ chainPem, keyPem }: ServerCertificate): experimental.IdentityCertificateUpdate {
  createPrivateKey(keyPem);
  return { certificate: Buffer.from(chainPem), privateKey: Buffer.from(keyPem) };
}
