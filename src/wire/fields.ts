/** Checks of single field values, shared by all messages. */
import { formatIp, parseIp, tryParseCidr, type Cidr } from '../lib/ip.ts';
import { wireError } from './errors.ts';

export interface EnumTable<Name extends string, Value extends number> {
  /** Throws `wire.unknown-enum`: a value we do not know is never taken for one we know. */
  decode(field: string, value: number): Name;
  encode(name: Name): Value;
}

/** An enum's names in the domain and their numbers on the wire. Numbers left out are refused. */
export function enumTable<const Numbers extends Readonly<Record<string, number>>>(
  numbers: Numbers,
): EnumTable<keyof Numbers & string, Numbers[keyof Numbers]> {
  const names = new Map<number, keyof Numbers & string>(Object.entries(numbers).map(([name, value]) => [value, name]));
  return {
    decode(field, value) {
      const name = names.get(value);
      if (name === undefined) throw wireError('unknown-enum', field, `the value ${value} is not known`);
      return name;
    },
    encode: (name) => numbers[name],
  };
}

/** Canonical text of 4 or 16 address bytes. Throws `wire.invalid-address`. */
export function decodeIp(field: string, bytes: Uint8Array): string {
  if (bytes.length !== 4 && bytes.length !== 16) {
    throw wireError('invalid-address', field, `an IP address has 4 or 16 bytes, not ${bytes.length}`);
  }
  return formatIp(bytes);
}

export const encodeIp: (text: string) => Uint8Array = parseIp;

/**
 * A block of addresses, host bits cleared, IPv4-mapped blocks folded to IPv4.
 * Throws `wire.invalid-address` or `wire.invalid-cidr`.
 */
export function decodeCidr(field: string, bytes: Uint8Array, length: number): Cidr {
  const ip = decodeIp(field, bytes);
  const prefixLength = foldPrefixLength(bytes, ip, length);
  const cidr = prefixLength === undefined ? undefined : tryParseCidr(`${ip}/${prefixLength}`);
  if (!cidr) throw wireError('invalid-cidr', field, `${ip} has no prefix of length ${length}`);
  return cidr;
}

/** A prefix length as the canonical form of its address counts it, or undefined when it does not fit. */
export function foldPrefixLength(bytes: Uint8Array, canonical: string, length: number): number | undefined {
  const folded = bytes.length === 16 && !canonical.includes(':') ? length - 96 : length;
  const bits = canonical.includes(':') ? 128 : 32;
  return folded >= 0 && folded <= bits ? folded : undefined;
}

/** Throws `wire.invalid-port`. Zero passes: what it means is the field's business. */
export function checkPort(field: string, port: number): number {
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw wireError('invalid-port', field, `${port} is not a port`);
  }
  return port;
}

/** Throws `wire.missing-field`. */
export function requireText(field: string, text: string): string {
  if (text === '') throw wireError('missing-field', field, 'it is empty');
  return text;
}
