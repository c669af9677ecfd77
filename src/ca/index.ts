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
