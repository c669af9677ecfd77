/** Header fields that a policy service wants changed: checked before anything is done with them. */
import { wireError } from './errors.ts';

export interface WireHeader {
  readonly key: string;
  readonly value: string;
  readonly rawValue: Uint8Array;
}

const namePattern = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
// oxlint-disable-next-line no-control-regex
const badValuePattern = /[\0-\x08\x0a-\x1f\x7f]/;

/** Name in lower case and value as latin1 text, one character a byte. Throws `wire.malformed`. */
export function decodeHeader(field: string, header: WireHeader | undefined): readonly [name: string, value: string] {
  const name = header?.key.toLowerCase() ?? '';
  const value =
    header === undefined || header.rawValue.length > 0 ? header?.rawValue : Buffer.from(header.value, 'utf8');
  const text = value === undefined ? '' : Buffer.from(value).toString('latin1').trim();
  if (!namePattern.test(name))
    throw wireError('malformed', field, `${JSON.stringify(name)} is no name of a header field`);
  if (badValuePattern.test(text)) throw wireError('malformed', field, `the value of ${name} has forbidden characters`);
  return [name, text];
}

/** Text for a field of a message: header values are bytes, most of them ASCII. */
export function encodeHeaderText(value: string): string {
  // oxlint-disable-next-line no-control-regex
  return /^[\0-\x7f]*$/.test(value) ? value : Buffer.from(value, 'latin1').toString('utf8');
}
