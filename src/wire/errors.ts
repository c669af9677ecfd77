/** How a message from the wire is refused: a code, and the field that is wrong. */
import { AmbitError } from '../lib/errors.ts';

export type WireErrorReason =
  | 'malformed'
  | 'unknown-enum'
  | 'unknown-field'
  | 'missing-field'
  | 'invalid-address'
  | 'invalid-cidr'
  | 'invalid-port'
  | 'invalid-name'
  | 'too-long';

/** `wire.<reason>`; `field` is a path in the words of the .proto file, such as `rules[0].clauses[1].matches[0].source_ips[2]`. */
export function wireError(reason: WireErrorReason, field: string, state: string, cause?: unknown): AmbitError {
  return new AmbitError(`Cannot accept ${field}: ${state}`, { code: `wire.${reason}`, blame: 'upstream', cause });
}
