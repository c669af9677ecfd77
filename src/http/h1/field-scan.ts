/** The strict scanner of field lines (RFC 9112 section 5), for heads and trailers of both directions. */
import { fieldByte, latin1Text, tokenFold } from './characters.ts';
import { Http1Error, malformed } from './errors.ts';
import { fieldNameOf, nextHash, type FieldName } from './field-names.ts';

/** Where the fields of one section are. One for all: a section is scanned and used before the next one is. */
export interface FieldScan {
  count: number;
  readonly names: FieldName[];
  /** Offsets into the scanned bytes. */
  readonly valueStarts: number[];
  readonly valueEnds: number[];
}

export const fieldScan: FieldScan = { count: 0, names: [], valueStarts: [], valueEnds: [] };

/**
 * Scans lines from `start` up to and with the empty line; the result is where that ends, or -1: `end` came first. One pass over the
 * bytes that refuses whatever is not allowed, before any text is made of them.
 */
export function scanFields(bytes: Uint8Array, start: number, end: number, maxFields: number): number {
  let at = start;
  let count = 0;
  for (;;) {
    if (at >= end) return -1;
    const nameStart = at;
    let hash = 0;
    let folded = 0;
    while (at < end && (folded = tokenFold[bytes[at] as number] as number) !== 0) {
      hash = nextHash(hash, folded);
      at++;
    }
    if (at >= end) return -1;
    const stop = bytes[at] as number;
    if (at === nameStart) {
      if (stop !== 0x0d) throw namelessProblem(stop);
      if (at + 1 >= end) return -1;
      if (bytes[at + 1] !== 0x0a) throw malformed('A carriage return stands alone');
      fieldScan.count = count;
      return at + 2;
    }
    if (stop !== 0x3a) throw nameProblem(bytes, nameStart, at);
    if (count === maxFields) throw new Http1Error(431, `More than ${maxFields} fields`);
    fieldScan.names[count] = fieldNameOf(bytes, nameStart, at, hash);
    at++;
    while (at < end && (bytes[at] === 0x20 || bytes[at] === 0x09)) at++;
    const valueStart = at;
    while (at < end && fieldByte[bytes[at] as number] === 1) at++;
    if (at + 1 >= end) {
      if (at < end && bytes[at] !== 0x0d) throw valueProblem(bytes[at] as number);
      return -1;
    }
    if (bytes[at] !== 0x0d || bytes[at + 1] !== 0x0a) throw valueProblem(bytes[at] as number);
    let valueEnd = at;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === 0x20 || bytes[valueEnd - 1] === 0x09)) valueEnd--;
    fieldScan.valueStarts[count] = valueStart;
    fieldScan.valueEnds[count] = valueEnd;
    count++;
    at += 2;
  }
}

function namelessProblem(stop: number): Http1Error {
  if (stop === 0x20 || stop === 0x09) return malformed('A line is folded, or begins with white space');
  if (stop === 0x3a) return malformed('A field has no name');
  if (stop === 0x0a) return malformed('A line feed stands alone');
  return malformed('A field name has a forbidden character');
}

function nameProblem(bytes: Uint8Array, start: number, at: number): Http1Error {
  const stop = bytes[at];
  if (stop === 0x20 || stop === 0x09) return malformed('White space before the colon of a field');
  if (stop === 0x0d || stop === 0x0a) return malformed('A field line has no colon');
  return malformed(
    `A field name has a forbidden character, after "${latin1Text(bytes, start, Math.min(at, start + 40))}"`,
  );
}

function valueProblem(stop: number): Http1Error {
  if (stop === 0x0a) return malformed('A line feed stands alone');
  if (stop === 0x0d) return malformed('A carriage return stands alone');
  return malformed('A field value has a forbidden character');
}
