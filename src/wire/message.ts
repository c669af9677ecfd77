/** The step between bytes and generated messages: parse errors become wire errors, nothing else happens. */
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { wireError } from './errors.ts';

/** How a domain value travels. `decode` throws `wire.*`. */
export interface WireCodec<T> {
  readonly encode: (value: T) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => T;
}

/** Throws `wire.malformed`. */
export function parseMessage<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (error) {
    throw wireError('malformed', schema.typeName, `its ${bytes.length} bytes are not a valid message`, error);
  }
}

/** Fields in the order of the schema, map entries in the order given: the same value gives the same bytes. */
export function serializeMessage<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, init), { writeUnknownFields: false });
}

/** Refuses a message with fields that we do not know: for types where a condition we skip would widen access. */
export function refuseUnknownFields(field: string, message: Message): void {
  const unknown = message.$unknown?.[0];
  if (unknown) throw wireError('unknown-field', field, `it has an unknown field, number ${unknown.no}`);
}
