/** Secrets and ConfigMaps with certificates, read and checked. Pure: nothing but what the object says decides. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { ConfigMap, Secret } from '../../api/core.ts';
import { parseRevocationLists } from '../../identity/index.ts';
import { messageOf } from '../../lib/errors.ts';

export interface Certificate {
  readonly kind: 'certificate';
  /** PEM; leaf first. */
  readonly chain: string;
  readonly key: string;
  readonly keyType: 'rsa' | 'ecdsa';
  /** Of the leaf, in ms since 1970; both moments belong to its life. Clients may trust a chain whose other certificates have ended. */
  readonly validFromMs: number;
  readonly validToMs: number;
}

/** Why an object cannot serve as what it is named for, in words. */
export interface Unusable {
  readonly kind: 'unusable';
  readonly problem: string;
}

const memory = new WeakMap<Secret, Certificate | Unusable>();

/** Of a Secret of type `kubernetes.io/tls`, or of one with the same keys, or `cert` and `key`. */
export function readCertificate(secret: Secret): Certificate | Unusable {
  let read = memory.get(secret);
  if (!read) memory.set(secret, (read = parseCertificate(secret)));
  return read;
}

function parseCertificate({ data = {} }: Secret): Certificate | Unusable {
  const chain = textOf(data['tls.crt'] ?? data['cert']);
  const key = textOf(data['tls.key'] ?? data['key']);
  if (chain === '') return unusable('has no tls.crt');
  if (key === '') return unusable('has no tls.key');
  let leaf: X509Certificate;
  try {
    for (const pem of certificatesOf(chain)) new X509Certificate(pem);
    leaf = new X509Certificate(chain);
  } catch (error) {
    return unusable(`tls.crt is no certificate in PEM: ${messageOf(error)}`);
  }
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(key);
  } catch {
    return unusable('tls.key is no private key in PEM');
  }
  const type = privateKey.asymmetricKeyType;
  if (type !== 'rsa' && type !== 'ec') return unusable(`tls.key is of type ${type}, not RSA or ECDSA`);
  if (!leaf.checkPrivateKey(privateKey)) return unusable('tls.key does not belong to the certificate in tls.crt');
  try {
    // What a proxy does with it: keys that are too weak are refused here rather than there.
    createSecureContext({ cert: chain, key });
  } catch (error) {
    return unusable(`cannot be used for TLS: ${messageOf(error)}`);
  }
  return {
    kind: 'certificate',
    chain,
    key,
    keyType: type === 'rsa' ? 'rsa' : 'ecdsa',
    validFromMs: leaf.validFromDate.getTime(),
    validToMs: leaf.validToDate.getTime(),
  };
}

export interface CaCertificates {
  readonly kind: 'ca';
  /** PEM. */
  readonly certificates: string;
}

export interface Revocations {
  readonly kind: 'revocations';
  /** PEM; "": nothing is revoked. */
  readonly lists: string;
}

/** `ca.crt` of a ConfigMap, or of a Secret (also `cacert`). */
export function readCaOfConfigMap({ data = {} }: ConfigMap): CaCertificates | Unusable {
  return readCa(data['ca.crt'] ?? '');
}

export function readCaOfSecret({ data = {} }: Secret): CaCertificates | Unusable {
  return readCa(textOf(data['ca.crt'] ?? data['cacert']));
}

/** PEM; undefined: the object has none. Of `ca.crl`, or `crl` as Istio's own kind of credential has it. */
export function readRevocations(
  object:
    | { readonly kind: 'Secret'; readonly data: Secret['data'] }
    | { readonly kind: 'ConfigMap'; readonly data: ConfigMap['data'] },
): Revocations | Unusable | undefined {
  const { kind, data = {} } = object;
  const written = data['ca.crl'] ?? data['crl'];
  if (written === undefined) return undefined;
  const lists = kind === 'Secret' ? textOf(written) : written;
  try {
    parseRevocationLists(Buffer.from(lists));
  } catch (error) {
    return unusable(`has a ca.crl that cannot be used: ${messageOf(error)}`);
  }
  return { kind: 'revocations', lists };
}

function readCa(certificates: string): CaCertificates | Unusable {
  if (certificates.trim() === '') return unusable('has no ca.crt');
  const each = certificatesOf(certificates);
  try {
    if (each.length === 0) return unusable('ca.crt holds no certificate in PEM');
    for (const pem of each) new X509Certificate(pem);
  } catch (error) {
    return unusable(`ca.crt holds what is no certificate: ${messageOf(error)}`);
  }
  return { kind: 'ca', certificates };
}

function certificatesOf(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? [];
}

function textOf(base64: string | undefined): string {
  return base64 === undefined ? '' : Buffer.from(base64, 'base64').toString('utf8');
}

function unusable(problem: string): Unusable {
  return { kind: 'unusable', problem };
}
