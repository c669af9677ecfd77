/** The authorization policies of a place, in the order of its attachment. */
import type { HttpAuthorization } from '../../../api/l7/index.ts';
import { AmbitError } from '../../../lib/errors.ts';
import type { FilterPlace } from '../../engine/filter.ts';

/** @throws AmbitError `proxy.unresolved-policy`: a policy that is not there must not mean an open door. */
export function policiesOf({ policies, snapshot }: Pick<FilterPlace, 'policies' | 'snapshot'>): HttpAuthorization[] {
  return [...new Set(policies.authorization)].map((name) => {
    const policy = snapshot.policies.authorization.get(name);
    if (policy) return policy;
    throw new AmbitError(`Cannot find the authorization policy "${name}"`, {
      code: 'proxy.unresolved-policy',
      blame: 'internal',
    });
  });
}
