/**
 * The listener holder's protocol: one JSON message a packet over SOCK_SEQPACKET, at most one descriptor beside it. Every
 * request is answered by one `answer` of the same id. It needs nothing of protobuf, so that the holder stays small.
 */
import { wireError } from './errors.ts';

/** Longest packet of either side. */
export const holderPacketBytes = 1024;

/** A listening socket by what it is for: the pod's UID, the identity of its network namespace, the name of the listener. */
export interface HeldSocketName {
  readonly pod: string;
  readonly netns: string;
  readonly listener: string;
}

export type HolderRequest =
  /** With the descriptor: the sender accepts from this socket; a duplicate is kept, also after the sender is gone, for a while. */
  | { readonly kind: 'hold'; readonly id: number; readonly socket: HeldSocketName }
  /** Asks for the socket; the answer has the descriptor when it is held. */
  | { readonly kind: 'take'; readonly id: number; readonly socket: HeldSocketName }
  /** Asks whether it is held, and whether somebody accepts from it. */
  | { readonly kind: 'look'; readonly id: number; readonly socket: HeldSocketName }
  /** The pod left: its sockets are closed. */
  | { readonly kind: 'drop'; readonly id: number; readonly pod: string }
  /** From the node agent: whether a proxy that knows nothing of the holder may be listening beside us. */
  | { readonly kind: 'foreign'; readonly id: number; readonly present: boolean };

export type HolderMessage =
  | {
      readonly kind: 'answer';
      readonly id: number;
      /** `take` and `look`: it is held. */
      readonly held?: boolean;
      /** `take` and `look`: another client says that it accepts from it. */
      readonly accepted?: boolean;
    }
  /** Whether sockets may be held now; said at the beginning and on each change. Once they may, clients send all of theirs. */
  | { readonly kind: 'allowed'; readonly allowed: boolean };

/** Throws `wire.too-long`. */
export function encodeHolderPacket(message: HolderRequest | HolderMessage): Uint8Array {
  const packet = Buffer.from(JSON.stringify(message));
  if (packet.length > holderPacketBytes)
    throw wireError('too-long', 'listener-holder', `a packet of ${packet.length} bytes does not fit`);
  return packet;
}

/** Throws `wire.malformed`. */
export function decodeHolderRequest(packet: Uint8Array): HolderRequest {
  const fields = parse(packet);
  const id = numberOf(fields, 'id');
  switch (fields['kind']) {
    case 'hold':
    case 'take':
    case 'look':
      return { kind: fields['kind'], id, socket: socketOf(fields) };
    case 'drop':
      return { kind: 'drop', id, pod: textOf(fields, 'pod') };
    case 'foreign':
      return { kind: 'foreign', id, present: flagOf(fields, 'present') };
    default:
      throw malformed('it is of an unknown kind');
  }
}

/** Throws `wire.malformed`. */
export function decodeHolderMessage(packet: Uint8Array): HolderMessage {
  const fields = parse(packet);
  switch (fields['kind']) {
    case 'answer':
      return {
        kind: 'answer',
        id: numberOf(fields, 'id'),
        ...('held' in fields ? { held: flagOf(fields, 'held') } : {}),
        ...('accepted' in fields ? { accepted: flagOf(fields, 'accepted') } : {}),
      };
    case 'allowed':
      return { kind: 'allowed', allowed: flagOf(fields, 'allowed') };
    default:
      throw malformed('it is of an unknown kind');
  }
}

type Fields = Readonly<Record<string, unknown>>;

function parse(packet: Uint8Array): Fields {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(packet).toString());
  } catch {
    throw malformed('it is no JSON');
  }
  if (typeof value !== 'object' || value === null) throw malformed('it is no object');
  return value as Fields;
}

function socketOf(fields: Fields): HeldSocketName {
  const socket = fields['socket'];
  if (typeof socket !== 'object' || socket === null) throw malformed('"socket" is no object');
  const named = socket as Fields;
  return { pod: textOf(named, 'pod'), netns: textOf(named, 'netns'), listener: textOf(named, 'listener') };
}

function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value === '') throw malformed(`"${name}" is no text`);
  return value;
}

function numberOf(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number') throw malformed(`"${name}" is no number`);
  return value;
}

function flagOf(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (typeof value !== 'boolean') throw malformed(`"${name}" is neither true nor false`);
  return value;
}

function malformed(problem: string): Error {
  return wireError('malformed', 'listener-holder', problem);
}
