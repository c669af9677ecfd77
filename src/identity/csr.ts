/** A new key and the request to certify it (PKCS#10, RFC 2986): P-256, no subject, one critical URI SAN. */
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import type { SpiffeId } from '../api/names.ts';
import { derBitString, derContext, derInteger, derOctetString, derOid, derSequence, derSet, derTrue } from './der.ts';
import { toPem } from './pem.ts';

export interface CertificateSigningRequest {
  readonly csrPem: string;
  /** The private key. It stays in this process. */
  readonly key: KeyObject;
}

const oids = {
  extensionRequest: '1.2.840.113549.1.9.14',
  subjectAltName: '2.5.29.17',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
};
/** GeneralName's choice for URIs (RFC 5280, 4.2.1.6). */
const uriName = 6;

export function createCsr(identity: SpiffeId): CertificateSigningRequest {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const altNames = derSequence(derContext(uriName, false, Buffer.from(identity)));
  // Critical, because the subject is empty (RFC 5280, 4.2.1.6).
  const extension = derSequence(derOid(oids.subjectAltName), derTrue(), derOctetString(altNames));
  const attribute = derSequence(derOid(oids.extensionRequest), derSet(derSequence(extension)));
  const info = derSequence(
    derInteger(0),
    derSequence(),
    publicKey.export({ type: 'spki', format: 'der' }),
    derContext(0, true, attribute),
  );
  const signature = sign('sha256', info, privateKey);
  const request = derSequence(info, derSequence(derOid(oids.ecdsaWithSha256)), derBitString(signature));
  return { csrPem: toPem('CERTIFICATE REQUEST', request), key: privateKey };
}
