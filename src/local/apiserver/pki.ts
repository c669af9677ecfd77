/** The API server's own CA, serving certificate and token key, made once and kept in the state folder. */
import 'reflect-metadata';
import { createPrivateKey, webcrypto, X509Certificate, type KeyObject } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { codeOf } from '../../lib/errors.ts';

export interface ServerPki {
  readonly caPem: string;
  readonly caKeyPem: string;
  readonly certPem: string;
  readonly keyPem: string;
  /** P-256, signs ServiceAccount tokens. */
  readonly tokenKey: KeyObject;
}

const dnsNames = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
];
const ipAddresses = ['127.0.0.1', '172.30.0.1', '10.96.0.1'];

const dayMs = 24 * 60 * 60 * 1000;
const caLifetimeMs = 3650 * dayMs;
const servingLifetimeMs = 365 * dayMs;
/** A stored serving certificate that ends sooner than this is made anew at start. */
const renewBeforeMs = 30 * dayMs;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/**
 * Opens `<pkiDir>/apiserver-{ca,ca-key,cert,key}.pem` and `sa.key`, making what is missing or about to end. Clients that
 * hold the CA keep working across restarts. Keys are readable by the owner only.
 */
export async function openServerPki(pkiDir: string): Promise<ServerPki> {
  mkdirSync(pkiDir, { recursive: true, mode: 0o700 });
  const file = (name: string): string => join(pkiDir, name);
  x509.cryptoProvider.set(webcrypto as unknown as Crypto);

  let caPem = tryRead(file('apiserver-ca.pem'));
  let caKeyPem = tryRead(file('apiserver-ca-key.pem'));
  const makeCa = caPem === undefined || caKeyPem === undefined || endsWithin(caPem, renewBeforeMs);
  if (makeCa || caPem === undefined || caKeyPem === undefined) {
    ({ certPem: caPem, keyPem: caKeyPem } = await createCa());
    writePrivate(file('apiserver-ca-key.pem'), caKeyPem);
    writePrivate(file('apiserver-ca.pem'), caPem);
  }

  let certPem = tryRead(file('apiserver-cert.pem'));
  let keyPem = tryRead(file('apiserver-key.pem'));
  if (makeCa || certPem === undefined || keyPem === undefined || endsWithin(certPem, renewBeforeMs)) {
    ({ certPem, keyPem } = await issueCertificate({ caPem, caKeyPem }, servingCertificate));
    writePrivate(file('apiserver-key.pem'), keyPem);
    writePrivate(file('apiserver-cert.pem'), certPem);
  }

  let tokenKeyPem = tryRead(file('sa.key'));
  if (tokenKeyPem === undefined) {
    tokenKeyPem = await exportKey((await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])).privateKey);
    writePrivate(file('sa.key'), tokenKeyPem);
  }
  return { caPem, caKeyPem, certPem, keyPem, tokenKey: createPrivateKey(tokenKeyPem) };
}

async function createCa(): Promise<{ certPem: string; keyPem: string }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const now = Date.now();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=ambit-apiserver-ca',
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + caLifetimeMs),
    signingAlgorithm: algorithm,
    keys: keys as unknown as CryptoKeyPair,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey as unknown as CryptoKey),
    ],
  });
  return { certPem: certificate.toString('pem') + '\n', keyPem: await exportKey(keys.privateKey) };
}

const servingCertificate: CertificateRequest = { subject: 'CN=kube-apiserver', usage: 'server', dnsNames, ipAddresses };

export interface CertificateRequest {
  /** As in RFC 4514: `CN=name,O=group`. */
  readonly subject: string;
  /** What the holder proves itself as. */
  readonly usage: 'server' | 'client';
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

/** A new key and its certificate from the server's CA, good for a year. */
export async function issueCertificate(
  { caPem, caKeyPem }: Pick<ServerPki, 'caPem' | 'caKeyPem'>,
  request: CertificateRequest,
): Promise<{ certPem: string; keyPem: string }> {
  const { subject, usage, dnsNames: names = [], ipAddresses: addresses = [] } = request;
  const ca = new x509.X509Certificate(caPem);
  const der = createPrivateKey(caKeyPem).export({ type: 'pkcs8', format: 'der' });
  const signingKey = await webcrypto.subtle.importKey('pkcs8', new Uint8Array(der), algorithm, false, ['sign']);
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const now = Date.now();
  const alternatives = [
    ...names.map((value) => ({ type: 'dns', value }) as const),
    ...addresses.map((value) => ({ type: 'ip', value }) as const),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer: ca.subject,
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + servingLifetimeMs),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey as unknown as CryptoKey,
    signingKey: signingKey as unknown as CryptoKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[usage === 'server' ? 'serverAuth' : 'clientAuth']]),
      ...(alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
      await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
    ],
  });
  return { certPem: certificate.toString('pem') + '\n', keyPem: await exportKey(keys.privateKey) };
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

function endsWithin(certPem: string, withinMs: number): boolean {
  return new X509Certificate(certPem).validToDate.getTime() < Date.now() + withinMs;
}

function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** Through a rename, so that a kill leaves the old file or the new one, never half of one. */
function writePrivate(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}
