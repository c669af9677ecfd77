/** Reads DER (X.690) strictly enough for signed lists: definite lengths, nothing beyond the end. */

export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
  /** With tag and length: what a signature covers, and what names are compared by. */
  readonly raw: Uint8Array;
}

export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

/** The element at the start of `bytes`, and what follows. Throws a plain Error, to be converted by the caller. */
export function readDer(bytes: Uint8Array): { readonly element: DerElement; readonly rest: Uint8Array } {
  const [tag, first] = bytes;
  if (tag === undefined || first === undefined) throw new Error('it ends early');
  let start = 2;
  let length = first;
  if (first >= 0x80) {
    const count = first & 0x7f;
    if (count === 0 || count > 4) throw new Error('a length is indefinite or too long');
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + (bytes[start++] ?? Number.NaN);
  }
  const end = start + length;
  if (!(end <= bytes.length)) throw new Error('it ends early');
  return {
    element: { tag, content: bytes.subarray(start, end), raw: bytes.subarray(0, end) },
    rest: bytes.subarray(end),
  };
}

/** The elements of a constructed one, without copies. */
export function derChildren(content: Uint8Array): DerElement[] {
  const children: DerElement[] = [];
  for (let rest = content; rest.length > 0;) {
    const next = readDer(rest);
    children.push(next.element);
    rest = next.rest;
  }
  return children;
}

/** Lower-case hexadecimal without leading zeros, as serial numbers are compared. */
export function derSerial({ content }: DerElement): string {
  return normalSerial(Buffer.from(content).toString('hex'));
}

export function normalSerial(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, '');
}

export function derOidText({ content }: DerElement): string {
  const [first = 0, ...rest] = content;
  const arcs = [Math.min(Math.floor(first / 40), 2), first >= 80 ? first - 80 : first % 40];
  let arc = 0;
  for (const byte of rest) {
    arc = arc * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      arcs.push(arc);
      arc = 0;
    }
  }
  return arcs.join('.');
}

/** UTCTime or GeneralizedTime in UTC (RFC 5280, 4.1.2.5). */
export function derTimeMs({ tag, content }: DerElement): number {
  const text = Buffer.from(content).toString('latin1');
  const pattern =
    tag === derTag.utcTime ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/;
  const parts = (tag === derTag.utcTime || tag === derTag.generalizedTime) && pattern.exec(text);
  if (!parts) throw new Error('a time cannot be read');
  const [year = 0, month = 1, day, hour, minute, second] = parts.slice(1).map(Number);
  const century = tag === derTag.generalizedTime ? 0 : year < 50 ? 2000 : 1900;
  return Date.UTC(century + year, month - 1, day, hour, minute, second);
}
