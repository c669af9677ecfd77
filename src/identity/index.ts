/** Who workloads are: SPIFFE ids, keys and certificates, handshakes, rotation. */
export { createCaClient, type CaClient, type CaClientOptions } from './ca-client.ts';
export { isRefusal } from './certificate-errors.ts';
export {
  createCertificateManager,
  type CertificateManager,
  type CertificateManagerOptions,
  type CertificateState,
  type CertificateStatus,
} from './certificate-manager.ts';
export { registerCertificateMetrics, type CertificateMetrics } from './certificate-metrics.ts';
export { validToMs, verifyChain } from './chain.ts';
export { createCountedRevocations } from './counted-revocations.ts';
export { createCsr, type CertificateSigningRequest } from './csr.ts';
export { acceptTls, connectTls, type HandshakeOptions, type TrustedPeer } from './handshake.ts';
export { splitCertificates } from './pem.ts';
export { followRevocationFile, type RevocationFileOptions } from './revocation-file.ts';
export { parseRevocationLists } from './revocation-list.ts';
export { createRevocations, isPeerOf, type PeerRole, type Revocations } from './revocations.ts';
export { parseSpiffeId, spiffeParts, tryParseSpiffeId, type SpiffeParts } from './spiffe.ts';
export { followTrustedRoots, type TrustedRootsOptions } from './trusted-roots.ts';
export { chainProblem } from './verify-peer.ts';
export { acceptCertificate, type WorkloadCertificate } from './workload-certificate.ts';
export { identityOfLeaf, type PeerRefusalReason, type PeerVerdict } from './x509-peer.ts';
export { dumpCertificate, dumpPem, type DumpedCertificate, type DumpedIdentity } from './certificate-dump.ts';
