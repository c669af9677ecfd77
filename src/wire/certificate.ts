/** The certificate service's one call, `istio.v1.auth.IstioCertificateService/CreateCertificate`. */
import { IstioCertificateRequestSchema, IstioCertificateResponseSchema } from '../gen/ca_pb.ts';
import { wireError } from './errors.ts';
import { parseMessage, serializeMessage, type WireCodec } from './message.ts';

export interface CertificateRequest {
  /** PKCS#10, PEM. */
  readonly csrPem: string;
  readonly validitySeconds: number;
  /** As it came: not yet known to be a SPIFFE id. */
  readonly impersonatedIdentity?: string;
}

/** PEM each: leaf, intermediates, and last the bundle of roots. */
export interface CertificateResponse {
  readonly chain: readonly string[];
}

const impersonationKey = 'ImpersonatedIdentity';

/** How the call travels; the shape is that of `rpc`'s methods. */
export const createCertificateMethod: {
  readonly path: string;
  readonly request: WireCodec<CertificateRequest>;
  readonly response: WireCodec<CertificateResponse>;
} = {
  path: '/istio.v1.auth.IstioCertificateService/CreateCertificate',
  request: {
    encode: (request: CertificateRequest): Uint8Array =>
      serializeMessage(IstioCertificateRequestSchema, {
        csr: request.csrPem,
        validityDuration: BigInt(Math.trunc(request.validitySeconds)),
        ...(request.impersonatedIdentity === undefined
          ? {}
          : { metadata: { [impersonationKey]: request.impersonatedIdentity } }),
      }),
    decode(bytes: Uint8Array): CertificateRequest {
      const message = parseMessage(IstioCertificateRequestSchema, bytes);
      const impersonated = message.metadata?.[impersonationKey];
      if (impersonated !== undefined && typeof impersonated !== 'string') {
        throw wireError('malformed', `metadata.${impersonationKey}`, 'it is not a text');
      }
      return {
        csrPem: message.csr,
        // Beyond what a number holds exactly, any limit applies anyway.
        validitySeconds: Number(message.validityDuration),
        ...(impersonated === undefined ? {} : { impersonatedIdentity: impersonated }),
      };
    },
  },
  response: {
    encode: (response: CertificateResponse): Uint8Array =>
      serializeMessage(IstioCertificateResponseSchema, { certChain: [...response.chain] }),
    decode: (bytes: Uint8Array): CertificateResponse => ({
      chain: parseMessage(IstioCertificateResponseSchema, bytes).certChain,
    }),
  },
};
