/** Certificate revocation lists (RFC 5280, section 5): full lists of one issuer, as PEM or DER. */
import { verify, type KeyObject, type X509Certificate } from 'node:crypto';
import { AmbitError, messageOf } from '../lib/errors.ts';
import { derChildren, derOidText, derSerial, derTag, derTimeMs, readDer, type DerElement } from './der-reader.ts';

export interface RevocationList {
  /** DER of the issuer's name, hexadecimal. */
  readonly issuer: string;
  readonly thisUpdateMs: number;
  /** When the next list is due; a list that is late still revokes what it names. */
  readonly nextUpdateMs: number | undefined;
  /** Serial numbers, lower-case hexadecimal without leading zeros. */
  readonly serials: ReadonlySet<string>;
  /** Its signature was made by this key. */
  isSignedBy(key: KeyObject): boolean;
}

const digests: Readonly<Record<string, string | null>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  // Ed25519 hashes by itself.
  '1.3.101.112': null,
};
const certificateIssuer = '2.5.29.29';
const maxBytes = 64 * 1024 * 1024;

/** All lists of a file, or none: throws `identity.bad-crl` naming which one is wrong. An empty file holds no list. */
export function parseRevocationLists(bytes: Uint8Array): RevocationList[] {
  if (bytes.length > maxBytes) throw badList(0, `the file is longer than ${maxBytes} bytes`);
  return derBlocks(bytes).map((der, index) => {
    try {
      return parseList(der);
    } catch (error) {
      throw badList(index, messageOf(error), error);
    }
  });
}

/** DER of a certificate's own name, and of its issuer's, hexadecimal: names are equal when their bytes are. */
export function namesOf(certificate: X509Certificate): { readonly subject: string; readonly issuer: string } {
  const [tbs] = derChildren(readDer(certificate.raw).element.content);
  if (!tbs) throw new Error('a certificate without content');
  const fields = derChildren(tbs.content);
  // An optional version, then serial, algorithm, issuer, validity, subject.
  const offset = fields[0]?.tag === 0xa0 ? 1 : 0;
  return { issuer: hex(fields[offset + 2]?.raw), subject: hex(fields[offset + 4]?.raw) };
}

function derBlocks(bytes: Uint8Array): Uint8Array[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (text.includes('-----BEGIN X509 CRL-----')) {
    const pem = text.toString('latin1');
    const blocks = [...pem.matchAll(/-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----/g)];
    const begun = pem.split('-----BEGIN X509 CRL-----').length - 1;
    if (blocks.length !== begun) throw badList(blocks.length, 'its PEM block is broken');
    return blocks.map(([, base64 = '']) => Buffer.from(base64, 'base64'));
  }
  if (/^\s*$/.test(text.subarray(0, 1024).toString('latin1'))) return [];
  const blocks: Uint8Array[] = [];
  for (let rest = bytes; rest.length > 0;) {
    try {
      const next = readDer(rest);
      blocks.push(next.element.raw);
      rest = next.rest;
    } catch (error) {
      throw badList(blocks.length, `it is neither PEM nor DER: ${messageOf(error)}`, error);
    }
  }
  return blocks;
}

function parseList(der: Uint8Array): RevocationList {
  const { element: whole, rest } = readDer(der);
  const [tbs, algorithm, signatureBits] = derChildren(sequence(whole));
  if (rest.length > 0 || !tbs || !algorithm || signatureBits?.tag !== derTag.bitString)
    throw new Error('it is not a list');
  const digest = digests[oidOf(algorithm)];
  if (digest === undefined) throw new Error(`its signature algorithm ${oidOf(algorithm)} is not supported`);
  const fields = derChildren(sequence(tbs));
  if (fields[0]?.tag === derTag.integer) fields.shift();
  const [inner, issuer, thisUpdate] = fields.splice(0, 3);
  if (!inner || !issuer || !thisUpdate) throw new Error('it lacks an issuer or a time');
  if (oidOf(inner) !== oidOf(algorithm)) throw new Error('it names two signature algorithms');
  const next =
    fields[0]?.tag === derTag.utcTime || fields[0]?.tag === derTag.generalizedTime ? fields.shift() : undefined;
  const revoked = fields[0]?.tag === derTag.sequence ? fields.shift() : undefined;
  const extensions = fields[0]?.tag === 0xa0 ? derChildren(fields[0].content)[0] : undefined;
  if (extensions) refuseCritical(derChildren(sequence(extensions)));
  const signature = signatureBits.content.subarray(1);
  return {
    issuer: hex(issuer.raw),
    thisUpdateMs: derTimeMs(thisUpdate),
    nextUpdateMs: next && derTimeMs(next),
    serials: new Set(revoked ? derChildren(revoked.content).map(serialOf) : []),
    isSignedBy: (key) => verify(digest, tbs.raw, key, signature),
  };
}

function serialOf(entry: DerElement): string {
  const [serial, , extensions] = derChildren(sequence(entry));
  if (serial?.tag !== derTag.integer) throw new Error('an entry has no serial number');
  if (extensions) refuseCritical(derChildren(sequence(extensions)));
  return derSerial(serial);
}

/** Partial, indirect and delta lists say so by critical extensions: taken for full ones they would mislead. */
function refuseCritical(extensions: readonly DerElement[]): void {
  for (const extension of extensions) {
    const [oid, critical] = derChildren(sequence(extension));
    const name = oid ? derOidText(oid) : '';
    const isCritical = critical?.tag === derTag.boolean && critical.content[0] !== 0;
    if (isCritical || name === certificateIssuer) throw new Error(`its critical extension ${name} is not supported`);
  }
}

function oidOf(algorithm: DerElement): string {
  const [oid] = derChildren(sequence(algorithm));
  return oid?.tag === derTag.oid ? derOidText(oid) : '';
}

function sequence(element: DerElement): Uint8Array {
  if (element.tag !== derTag.sequence) throw new Error('its structure is not that of a list');
  return element.content;
}

function hex(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('hex');
}

function badList(index: number, state: string, cause?: unknown): AmbitError {
  return new AmbitError(`Cannot read revocation list ${index + 1}: ${state}`, {
    code: 'identity.bad-crl',
    blame: 'downstream',
    cause,
  });
}
