/** A connection to a host by its name: its addresses one after another, but none that the proxy must not be sent to (ADR 44). */
import type { Socket } from 'node:net';
import { AmbitError, codeOf, messageOf } from '../../lib/errors.ts';
import type { FoundAddress } from '../../net/index.ts';

export interface RequestedDial {
  readonly hostname: string;
  readonly addresses: AsyncIterable<FoundAddress>;
  /** Why an address is not dialled; undefined: it is. */
  readonly refusal: (address: string) => string | undefined;
  readonly dial: (address: string, timeoutMs: number) => Promise<Socket>;
  /** For all of them: one that is silent leaves a share of it to those that follow. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A name may have any number of addresses: so many are tried. */
const maxDials = 4;
/** And so many are looked at. */
const maxAddresses = 64;

/**
 * Rejects with `upstream.name-not-resolved`, with `upstream.address-refused` where none of its addresses may be dialled, or with what
 * became of the last dial.
 */
export async function dialRequested(options: RequestedDial): Promise<{ readonly socket: Socket; readonly ip: string }> {
  const { hostname, refusal, dial, signal } = options;
  let leftMs = options.timeoutMs;
  let dials = 0;
  let seen = 0;
  let failure: unknown;
  let refused: string | undefined;
  try {
    for await (const { address, left } of options.addresses) {
      signal.throwIfAborted();
      if (++seen > maxAddresses) break;
      const problem = refusal(address);
      if (problem !== undefined) {
        refused ??= `${address}: ${problem}`;
        continue;
      }
      const shareMs = Math.max(1, Math.floor(leftMs / Math.min(left + 1, maxDials - dials)));
      leftMs -= shareMs;
      try {
        return { socket: await dial(address, shareMs), ip: address };
      } catch (error) {
        if (signal.aborted) throw error;
        failure = error;
      }
      if (++dials === maxDials) break;
    }
  } catch (error) {
    if (codeOf(error) !== 'outbound.name-not-resolved') throw error;
    throw new AmbitError(messageOf(error), { code: 'upstream.name-not-resolved', blame: 'upstream', cause: error });
  }
  if (failure !== undefined) throw failure as Error;
  throw new AmbitError(
    `Cannot connect to ${hostname}: its addresses must not be dialled: ${refused ?? 'it has none'}`,
    {
      code: 'upstream.address-refused',
      blame: 'upstream',
    },
  );
}
