/** For which identities of a starting ztunnel certificates are still awaited. */
import type { SpiffeId } from '../../api/names.ts';
import { isRefusal, type CertificateStatus } from '../../identity/index.ts';

/** The authority may hear of a new pod later than we do. */
const refusedPatienceMs = 5000;

/** Those without a certificate, save what the authority keeps refusing: one bad pod must not hold up the node. */
export function identitiesWithout(
  statuses: readonly CertificateStatus[],
  identities: readonly SpiffeId[],
  waitedMs: number,
): ReadonlySet<SpiffeId> {
  const byIdentity = new Map(statuses.map(({ identity, state }) => [identity, state]));
  return new Set(
    identities.filter((identity) => {
      const state = byIdentity.get(identity);
      if (state?.kind === 'available') return false;
      const refused = state?.kind === 'unavailable' && isRefusal(state.error);
      return !(refused && waitedMs >= refusedPatienceMs);
    }),
  );
}
