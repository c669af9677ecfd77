/** From scanned fields to a header list without what belongs to one hop, and what the framing needs to know. */
import { latin1Text } from './characters.ts';
import { malformed } from './errors.ts';
import { describeName, fieldKind } from './field-names.ts';
import { fieldScan } from './field-scan.ts';

/** One for all: used before the next head is read. Several fields of one name are counted, the last one is told. */
export interface CollectedFields {
  fields: string[];
  hosts: number;
  host: string;
  contentLengths: number;
  contentLength: string;
  transferEncodings: number;
  transferEncoding: string;
  /** Options of Connection. */
  closes: boolean;
  keepsAlive: boolean;
  upgrade: string | undefined;
  /** All Expect fields, joined. */
  expect: string | undefined;
}

const collected: CollectedFields = {
  fields: [],
  hosts: 0,
  host: '',
  contentLengths: 0,
  contentLength: '',
  transferEncodings: 0,
  transferEncoding: '',
  closes: false,
  keepsAlive: false,
  upgrade: undefined,
  expect: undefined,
};

/** Of the section last scanned; `sectionEnd` is where it ends in `bytes`. */
export function collectFields(bytes: Uint8Array, sectionEnd: number): CollectedFields {
  const { names, valueStarts, valueEnds, count } = fieldScan;
  const fields: string[] = [];
  let connection: string | undefined;
  let upgrade: string | undefined;
  let takesTrailers = false;
  collected.hosts = 0;
  collected.contentLengths = 0;
  collected.transferEncodings = 0;
  collected.expect = undefined;
  if (count > 0) {
    // One string of all, then parts of it: a copy out of the bytes costs as much as ten of these.
    const from = valueStarts[0] as number;
    const text = latin1Text(bytes, from, sectionEnd);
    for (let i = 0; i < count; i++) {
      const field = names[i];
      if (field === undefined) break;
      const value = text.slice((valueStarts[i] as number) - from, (valueEnds[i] as number) - from);
      switch (field.kind) {
        case fieldKind.plain:
          fields.push(field.name, value);
          break;
        case fieldKind.host:
          collected.hosts++;
          collected.host = value;
          break;
        case fieldKind.contentLength:
          collected.contentLengths++;
          collected.contentLength = value;
          break;
        case fieldKind.transferEncoding:
          collected.transferEncodings++;
          collected.transferEncoding =
            collected.transferEncodings === 1 ? value : `${collected.transferEncoding},${value}`;
          break;
        case fieldKind.connection:
          connection = connection === undefined ? value : `${connection},${value}`;
          break;
        case fieldKind.upgrade:
          upgrade = upgrade === undefined ? value : `${upgrade},${value}`;
          break;
        case fieldKind.te:
          takesTrailers ||= hasTrailersOption(value);
          break;
        case fieldKind.expect:
          collected.expect = collected.expect === undefined ? value : `${collected.expect},${value}`;
          break;
        default:
          break;
      }
    }
  }
  if (takesTrailers) fields.push('te', 'trailers');
  collected.fields = fields;
  collected.upgrade = upgrade;
  applyConnection(connection);
  return collected;
}

function hasTrailersOption(value: string): boolean {
  return value.split(',').some((option) => option.trim().toLowerCase() === 'trailers');
}

/** Connection (RFC 9110 section 7.6.1): its options, and the fields that it names are dropped. */
function applyConnection(connection: string | undefined): void {
  collected.closes = false;
  collected.keepsAlive = false;
  let switches = false;
  if (connection === 'keep-alive') {
    collected.keepsAlive = true;
  } else if (connection !== undefined) {
    for (const option of connection.split(',')) {
      const name = option.trim().toLowerCase();
      if (name === '' || name === 'te') continue;
      if (name === 'close') collected.closes = true;
      else if (name === 'keep-alive') collected.keepsAlive = true;
      else if (name === 'upgrade') switches = true;
      else dropNamed(name);
    }
  }
  if (!switches) collected.upgrade = undefined;
}

function dropNamed(name: string): void {
  const field = describeName(name);
  if (field === undefined) throw malformed('Connection has a forbidden character');
  // Whoever could have these dropped on the way would change what the message is.
  if (
    field.kind === fieldKind.contentLength ||
    field.kind === fieldKind.host ||
    field.kind === fieldKind.transferEncoding
  ) {
    throw malformed(`Connection names ${name}`);
  }
  const { fields } = collected;
  if (!fields.includes(name)) return;
  const kept: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== name) kept.push(fields[i] as string, fields[i + 1] as string);
  }
  collected.fields = kept;
}
