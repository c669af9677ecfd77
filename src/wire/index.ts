/** Bytes to domain values and back: the protocols between the planes. */
export { addressAliases, addressName, decodeAddress, encodeAddress } from './address.ts';
export { authorizationName, decodeAuthorization, denyInsteadOf, encodeAuthorization } from './authorization.ts';
export { createCertificateMethod, type CertificateRequest, type CertificateResponse } from './certificate.ts';
export {
  deltaDiscoveryMethod,
  type DeltaRequest,
  type DeltaResource,
  type DeltaResponse,
  type DiscoveryNode,
  type NodeMetadata,
} from './discovery.ts';
export { decodeProxyResource, encodeProxyResource, proxyResourceName, proxyResourceTypeUrl } from './proxy-resource.ts';
export { addressTypeUrl, authorizationTypeUrl, resourceVersion } from './resource.ts';
export { refreshKeySetMethod, type RefreshKeySetRequest } from './key-sets.ts';
export { encodeHolderPacket, holderPacketBytes } from './listener-holder.ts';
export { decodeSpansAnswer, encodeSpans, exportSpansPath } from './spans.ts';
export {
  decodeZdsAck,
  decodeZdsHello,
  decodeZdsRequest,
  encodeZdsAck,
  encodeZdsHello,
  encodeZdsRequest,
  fitsZdsPacket,
  zdsPacketBytes,
  type PodResolver,
  type ZdsCapability,
  type ZdsPod,
  type ZdsRequest,
} from './zds.ts';
