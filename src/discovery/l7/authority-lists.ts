/** Which revocation lists of an authority are in force: those that are beside its certificates, or the last that could be read. Pure. */
import type { Revocations, Unusable } from './secrets.ts';

export interface ListsInForce {
  /** PEM, "" for none; absent: nobody says whom the authority has revoked, so that it stands for nobody. */
  readonly pem?: string;
  /** What is wrong with the lists that are there, in words that follow the name of their object. */
  readonly problem?: string;
}

/** `last`: what could be read of the object before. */
export function listsInForce(
  now: Revocations | Unusable | undefined,
  last: () => Revocations | undefined,
): ListsInForce {
  if (now?.kind !== 'unusable') return { pem: pemOf(now) };
  const known = last();
  if (!known) return { problem: now.problem };
  return { pem: pemOf(known), problem: `${now.problem}; the last good lists stay in force` };
}

function pemOf(revocations: Revocations | undefined): string {
  const lists = revocations?.lists.trim() ?? '';
  return lists === '' ? '' : `${lists}\n`;
}
