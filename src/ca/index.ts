/** The certificate authority and its service. */
export {
  createCertificateAuthority,
  createRoot,
  type CertificateAuthority,
  type CertificateAuthorityOptions,
  type RootOptions,
  type ServerIdentity,
} from './authority.ts';
export { registerCertificateService, type CertificateServiceOptions } from './certificate-service.ts';
export type { MaterialFiles } from './material.ts';
export {
  chainsTo,
  createRotatingAuthority,
  fingerprint,
  mergeRoots,
  type HeldSigner,
  type RetiringRoots,
  type RotatingAuthority,
  type RotationState,
} from './rotation.ts';
export { openMaterial } from './trial.ts';
