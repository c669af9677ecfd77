/** What admin ports say of the process's own certificates: upstream's keys and values, which istioctl reads. Never keys. */
import { X509Certificate } from 'node:crypto';
import type { CertificateStatus } from './certificate-manager.ts';
import { splitCertificates } from './pem.ts';

// Types, not interfaces: they are JSON values.
export type DumpedCertificate = {
  /** Base64 of the PEM. */
  readonly pem: string;
  readonly serialNumber: string;
  readonly validFrom: string;
  readonly expirationTime: string;
};

export type DumpedIdentity = {
  readonly identity: string;
  /** `Available`, `Initializing`, or `Unavailable: ` and why. */
  readonly state: string;
  /** Leaf first. */
  readonly certChain: readonly DumpedCertificate[];
  readonly rootCerts: readonly DumpedCertificate[];
  /** Of Ambit alone: why an available certificate was not renewed when it was due. */
  readonly renewalError?: string;
};

export function dumpCertificate({ identity, state }: CertificateStatus): DumpedIdentity {
  const states = { available: 'Available', unavailable: 'Unavailable', initializing: 'Initializing' };
  const certificate = state.kind === 'available' ? state.certificate : undefined;
  return {
    identity,
    state: state.kind === 'unavailable' ? `${states.unavailable}: ${state.error.message}` : states[state.kind],
    certChain: certificate?.chainPem.map(dumpPem) ?? [],
    rootCerts: certificate ? splitCertificates(certificate.rootsPem).map(dumpPem) : [],
    ...(state.kind === 'available' && state.renewalError ? { renewalError: state.renewalError.message } : {}),
  };
}

/** Throws when it is no certificate. */
export function dumpPem(pem: string): DumpedCertificate {
  const certificate = new X509Certificate(pem);
  return {
    pem: Buffer.from(pem).toString('base64'),
    serialNumber: BigInt(`0x${certificate.serialNumber}`).toString(),
    validFrom: new Date(certificate.validFrom).toISOString().replace('.000Z', 'Z'),
    expirationTime: new Date(certificate.validTo).toISOString().replace('.000Z', 'Z'),
  };
}
