/** The only file that knows @peculiar/x509: parse requests, make certificates. Plain PEM and KeyObjects outside. */
import 'reflect-metadata';
import {
  createPrivateKey,
  generateKeyPairSync,
  randomBytes,
  X509Certificate as NodeCertificate,
  type KeyObject,
} from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  type JsonGeneralName,
  type PublicKey,
} from '@peculiar/x509';
import { AmbitError } from '../lib/errors.ts';

cryptoProvider.set(crypto);

const maxCsrBytes = 16 * 1024;

/** A certificate with its private key, ready to sign. */
export interface Signer {
  readonly certificate: X509Certificate;
  readonly key: CryptoKey;
  readonly algorithm: EcdsaParams | Algorithm;
  readonly notAfterMs: number;
}

export type AltName = { readonly type: 'url' | 'dns' | 'ip'; readonly value: string };

export interface LeafOptions {
  readonly signer: Signer;
  readonly publicKey: PublicKey | CryptoKey;
  readonly altNames: readonly AltName[];
  readonly usages: readonly ('server' | 'client')[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** The verified public key of a request. Throws `ca.malformed-csr` or `ca.weak-key`. */
export async function verifiedKeyOf(csrPem: string): Promise<PublicKey> {
  if (csrPem.length > maxCsrBytes) throw malformed(`it is longer than ${maxCsrBytes} bytes`);
  let request: Pkcs10CertificateRequest;
  let verified: boolean;
  try {
    request = new Pkcs10CertificateRequest(csrPem);
    verified = await request.verify();
  } catch (error) {
    throw malformed('it is not a PKCS#10 request in PEM', error);
  }
  if (!verified) throw malformed('its signature does not fit its key');
  if (!isStrong(request.publicKey)) {
    throw new AmbitError('Cannot sign the request: its key is neither P-256, P-384 nor RSA of 2048 to 8192 bits', {
      code: 'ca.weak-key',
      blame: 'downstream',
    });
  }
  return request.publicKey;
}

/** Throws `ca.bad-authority` when certificate and key do not belong together, or it is no authority. */
export async function openSigner(certificatePem: string, keyPem: string): Promise<Signer> {
  let key: KeyObject;
  let node: NodeCertificate;
  try {
    key = createPrivateKey(keyPem);
    node = new NodeCertificate(certificatePem);
  } catch (error) {
    throw badAuthority('certificate or key cannot be parsed', error);
  }
  if (!node.checkPrivateKey(key)) throw badAuthority('the key is not that of the certificate');
  if (!node.ca) throw badAuthority('the certificate is not that of an authority');
  const { importAs, algorithm } = algorithmsOf(key);
  const certificate = new X509Certificate(certificatePem);
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const imported = await crypto.subtle.importKey('pkcs8', pkcs8, importAs, false, ['sign']);
  return { certificate, key: imported, algorithm, notAfterMs: certificate.notAfter.getTime() };
}

/** PEM of a leaf without subject, hence with critical names. */
export async function makeLeaf(options: LeafOptions): Promise<string> {
  const { signer, publicKey, altNames, usages, notBeforeMs, notAfterMs } = options;
  const purposes = { server: ExtendedKeyUsage.serverAuth, client: ExtendedKeyUsage.clientAuth };
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    issuer: signer.certificate.subjectName,
    notBefore: new Date(notBeforeMs),
    notAfter: new Date(notAfterMs),
    publicKey,
    signingKey: signer.key,
    signingAlgorithm: signer.algorithm,
    extensions: [
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
      new ExtendedKeyUsageExtension(usages.map((usage) => purposes[usage])),
      new BasicConstraintsExtension(false, undefined, true),
      await AuthorityKeyIdentifierExtension.create(signer.certificate.publicKey),
      new SubjectAlternativeNameExtension(altNames as JsonGeneralName[], true),
    ],
  });
  return pem(certificate);
}

/** A self-signed authority: certificate and PKCS#8 key, PEM. */
export async function makeRoot(options: {
  readonly subject: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}): Promise<{ certPem: string; keyPem: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name: options.subject,
    notBefore: new Date(options.notBeforeMs),
    notAfter: new Date(options.notAfterMs),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const keyPem = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({
    type: 'pkcs8',
    format: 'pem',
  });
  return { certPem: pem(certificate), keyPem: keyPem.toString() };
}

/** A new P-256 key: the public half to certify, the private one as PEM. */
export async function makeServerKey(): Promise<{ publicKey: CryptoKey; keyPem: string }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const imported = await crypto.subtle.importKey('spki', spki, { name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'verify',
  ]);
  return { publicKey: imported, keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function algorithmsOf(key: KeyObject): {
  importAs: EcKeyImportParams | RsaHashedImportParams;
  algorithm: EcdsaParams | Algorithm;
} {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (key.asymmetricKeyType === 'ec' && (curve === 'prime256v1' || curve === 'secp384r1')) {
    const namedCurve = curve === 'prime256v1' ? 'P-256' : 'P-384';
    const hash = curve === 'prime256v1' ? 'SHA-256' : 'SHA-384';
    return { importAs: { name: 'ECDSA', namedCurve }, algorithm: { name: 'ECDSA', hash } };
  }
  if (key.asymmetricKeyType === 'rsa') {
    return { importAs: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }, algorithm: { name: 'RSASSA-PKCS1-v1_5' } };
  }
  throw badAuthority(`keys of type ${key.asymmetricKeyType} ${curve ?? ''} are not supported`);
}

function isStrong({ algorithm }: PublicKey): boolean {
  const {
    name,
    namedCurve,
    modulusLength = 0,
  } = algorithm as { name: string; namedCurve?: string; modulusLength?: number };
  if (name === 'ECDSA') return namedCurve === 'P-256' || namedCurve === 'P-384';
  return name.startsWith('RSA') && modulusLength >= 2048 && modulusLength <= 8192;
}

/** 128 random bits, positive. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString('pem').trim()}\n`;
}

function malformed(state: string, cause?: unknown): AmbitError {
  return new AmbitError(`Cannot sign the request: ${state}`, { code: 'ca.malformed-csr', blame: 'downstream', cause });
}

function badAuthority(state: string, cause?: unknown): AmbitError {
  return new AmbitError(`Cannot open the certificate authority: ${state}`, {
    code: 'ca.bad-authority',
    blame: 'internal',
    cause,
  });
}
