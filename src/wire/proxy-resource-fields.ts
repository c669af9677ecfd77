/**
 * Decoders of JSON values: small ones for single values, and what puts them together into decoders of whole types.
 *
 * They follow the hand-written types of `api`: a type that gains a field has no decoder until the field has one. Fields of an object that
 * nobody knows are passed over (a newer control plane may send them); everything else that is not as the type says is refused.
 */
import { tryParseCidr, type Cidr } from '../lib/ip.ts';
import type { WireErrorReason } from './errors.ts';

/** Gives the value back as `T`, or throws a `Fault`. */
export type Decoder<T> = (value: unknown) => T;

/** What is wrong, and where: the path grows on the way out. */
export class Fault extends Error {
  readonly reason: WireErrorReason;
  /** From the outermost: field names and `[index]`. */
  readonly steps: string[] = [];

  constructor(reason: WireErrorReason, message: string) {
    super(message);
    this.reason = reason;
  }

  /** As in `hosts[0].rules[3].action.kind`; "" is the value itself. */
  get path(): string {
    return this.steps.join('').replace(/^\./, '');
  }
}

/** A field that may be absent. */
export interface OptionalField<T> {
  readonly optional: Decoder<T>;
}

/** One decoder a field, optional where the field is. */
type Fields<T> = {
  readonly [K in keyof T]-?: Partial<Record<K, T[K]>> extends Pick<T, K>
    ? OptionalField<Exclude<T[K], undefined>>
    : Decoder<T[K]>;
};

type MemberOf<T, Key extends keyof T, Value> = T extends unknown ? (Value extends T[Key] ? T : never) : never;

/** The member of a union whose `kind` may be `Kind`. */
export type Member<T extends { readonly kind: string }, Kind> = MemberOf<T, 'kind', Kind>;

/** Decodes the object's fields; `null` is as good as absent where a field is optional. */
export function object<T extends object>(fields: Fields<T>): Decoder<T> {
  const entries = Object.entries<Decoder<unknown> | OptionalField<unknown>>(fields).map(([name, field]) =>
    typeof field === 'function'
      ? { name, decode: field, isOptional: false }
      : { name, decode: field.optional, isOptional: true },
  );
  return (value) => {
    const source = objectOf(value);
    const result: Record<string, unknown> = {};
    for (const { name, decode, isOptional } of entries) {
      const given = source[name] ?? undefined;
      if (given === undefined && isOptional) continue;
      if (given === undefined) throw within(`.${name}`, new Fault('missing-field', 'it is not there'));
      result[name] = at(`.${name}`, decode, given);
    }
    // `Fields` has one decoder of the right type for each field.
    return result as T;
  };
}

export function optional<T>(decode: Decoder<T>): OptionalField<T> {
  return { optional: decode };
}

/** One decoder for each value of the discriminant; other values are refused. */
export function union<T extends object, Key extends keyof T & string>(
  key: Key,
  members: { readonly [Value in T[Key] & string]: Decoder<MemberOf<T, Key, Value>> },
): Decoder<T> {
  const decoders = new Map<unknown, Decoder<T>>(Object.entries(members) as [string, Decoder<T>][]);
  return (value) => {
    const found = objectOf(value)[key];
    const decode = decoders.get(found);
    if (decode) return decode(value);
    if (found === undefined) throw within(`.${key}`, new Fault('missing-field', 'it is not there'));
    throw within(`.${key}`, new Fault('unknown-enum', `the value ${shown(found)} is not known`));
  };
}

export function list<T>(decode: Decoder<T>): Decoder<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) throw notA('a list', value);
    return value.map((one: unknown, i) => at(`[${i}]`, decode, one));
  };
}

/** A map of text to text. */
export const textRecord: Decoder<Readonly<Record<string, string>>> = (value) =>
  Object.fromEntries(Object.entries(objectOf(value)).map(([name, one]) => [name, at(`.${name}`, text, one)]));

/** Name and value. */
export const pair: Decoder<readonly [name: string, value: string]> = (value) => {
  if (!Array.isArray(value) || value.length !== 2) throw notA('a pair of name and value', value);
  return [at('[0]', text, value[0]), at('[1]', text, value[1])];
};

export const text: Decoder<string> = (value) => {
  if (typeof value !== 'string') throw notA('text', value);
  return value;
};

/** Text that is not empty. */
export const name: Decoder<string> = (value) => {
  if (text(value) === '') throw new Fault('missing-field', 'it is empty');
  return value as string;
};

/** A name that its type marks. */
export function branded<T extends string>(): Decoder<T> {
  return name as Decoder<T>;
}

export const flag: Decoder<boolean> = (value) => {
  if (typeof value !== 'boolean') throw notA('true or false', value);
  return value;
};

/** A finite number in the range, ends included. */
export function number(min = 0, max: number = Number.MAX_VALUE): Decoder<number> {
  return (value) => {
    if (typeof value !== 'number' || !Number.isFinite(value)) throw notA('a number', value);
    if (value < min || value > max) throw new Fault('malformed', `${value} is not from ${min} to ${max}`);
    return value;
  };
}

/** A whole number in the range, ends included. */
export function integer(min = 0, max: number = Number.MAX_SAFE_INTEGER): Decoder<number> {
  const decode = number(min, max);
  return (value) => {
    if (!Number.isInteger(value)) throw notA('a whole number', value);
    return decode(value);
  };
}

export const port: Decoder<number> = (value) => {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 65535) {
    throw new Fault('invalid-port', `${shown(value)} is not a port`);
  }
  return value;
};

export const percent: Decoder<number> = number(0, 100);
/** Milliseconds, or another length of time. */
export const duration: Decoder<number> = number(0);
export const httpStatus: Decoder<number> = integer(100, 599);

/** One of these values. */
export function oneOf<const Values extends readonly string[]>(...values: Values): Decoder<Values[number]> {
  const known = new Set<unknown>(values);
  return (value) => {
    if (known.has(value)) return value as Values[number];
    throw new Fault('unknown-enum', `the value ${shown(value)} is not known`);
  };
}

/** What either of two decoders takes; the second one's fault counts. */
export function either<A, B>(first: Decoder<A>, second: Decoder<B>): Decoder<A | B> {
  return (value) => {
    try {
      return first(value);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return second(value);
    }
  };
}

/** A block of addresses, as text on the wire. */
export const cidr: Decoder<Cidr> = (value) => {
  const parsed = typeof value === 'string' ? tryParseCidr(value) : undefined;
  if (!parsed) throw new Fault('invalid-cidr', `${shown(value)} is not a block of addresses`);
  return parsed;
};

/** The text of a block of addresses that stays text. */
export const cidrText: Decoder<string> = (value) => {
  cidr(value);
  return value as string;
};

function at<T>(step: string, decode: Decoder<T>, value: unknown): T {
  try {
    return decode(value);
  } catch (error) {
    if (error instanceof Fault) within(step, error);
    throw error;
  }
}

function within(step: string, fault: Fault): Fault {
  fault.steps.unshift(step);
  return fault;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notA('an object', value);
  return value as Record<string, unknown>;
}

function notA(what: string, value: unknown): Fault {
  return new Fault('malformed', `${shown(value)} is not ${what}`);
}

/** Short, and never more than the start of a text: it may be a secret. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}...` : value);
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
