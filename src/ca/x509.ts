/** The only file that knows @peculiar/x509: parse requests, make certificates. Plain PEM and KeyObjects outside. */
import 'reflect-metadata';
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
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
import type { Signer } from './signer.ts';

cryptoProvider.set(crypto);

const maxCsrBytes = 16 * 1024;

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

/** PEM of a leaf without subject, hence with critical names. */
export async function makeLeaf(options: LeafOptions): Promise<string> {
  const { signer, publicKey, altNames, usages, notBeforeMs, notAfterMs } = options;
  const issuer = new X509Certificate(signer.certificatePem);
  const purposes = { server: ExtendedKeyUsage.serverAuth, client: ExtendedKeyUsage.clientAuth };
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: newSerial(),
      issuer: issuer.subjectName,
      notBefore: new Date(notBeforeMs),
      notAfter: new Date(notAfterMs),
      publicKey,
      // Whoever holds the key, the library sees something that signs.
      signingKey: { algorithm: signer.algorithm } as unknown as CryptoKey,
      signingAlgorithm: signer.algorithm,
      extensions: [
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyEncipherment, true),
        new ExtendedKeyUsageExtension(usages.map((usage) => purposes[usage])),
        new BasicConstraintsExtension(false, undefined, true),
        await authorityKeyId(issuer),
        new SubjectAlternativeNameExtension(altNames as JsonGeneralName[], true),
      ],
    },
    signingBy(signer),
  );
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

/** WebCrypto as the library uses it to make a certificate, with the signature from elsewhere. */
function signingBy(signer: Signer): Crypto {
  const { subtle } = crypto;
  return {
    getRandomValues: crypto.getRandomValues.bind(crypto),
    subtle: {
      sign: (_algorithm: unknown, _key: unknown, bytes: BufferSource) => signer.sign(bytes),
      exportKey: subtle.exportKey.bind(subtle),
      digest: subtle.digest.bind(subtle),
    },
  } as unknown as Crypto;
}

/** What its issuer called the signer's key; by this name verifiers find it among certificates of the same subject. */
async function authorityKeyId(issuer: X509Certificate): Promise<AuthorityKeyIdentifierExtension> {
  const keyId = issuer.getExtension(SubjectKeyIdentifierExtension)?.keyId;
  return keyId === undefined
    ? AuthorityKeyIdentifierExtension.create(issuer.publicKey)
    : new AuthorityKeyIdentifierExtension(keyId);
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
