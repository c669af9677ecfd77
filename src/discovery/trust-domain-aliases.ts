/** `meshConfig.trustDomainAliases`: a principal of one of the mesh's trust domains is meant in all of them. */
import { defaultTrustDomain } from '../api/names.ts';
import type { Authorization, StringMatch } from '../policy/model.ts';

/** The policy, with a match for each of `domains` where it names one of them. */
export function withTrustDomains(authorization: Authorization, domains: readonly string[]): Authorization {
  if (domains.length < 2 && domains[0] === defaultTrustDomain) return authorization;
  const expand = (principals: readonly StringMatch[]): StringMatch[] =>
    principals.flatMap((principal) => inAll(principal, domains));
  return {
    ...authorization,
    rules: authorization.rules.map(({ clauses }) => ({
      clauses: clauses.map(({ matches }) => ({
        matches: matches.map((match) => ({
          ...match,
          principals: expand(match.principals),
          notPrincipals: expand(match.notPrincipals),
        })),
      })),
    })),
  };
}

function inAll(principal: StringMatch, domains: readonly string[]): StringMatch[] {
  if (principal.kind !== 'exact' && principal.kind !== 'prefix') return [principal];
  const { kind } = principal;
  return principalValues(principal.value, domains).map((value) => ({ kind, value }));
}

/**
 * The principal, or the start of one, in all of `domains` where it names one of them in full: `cluster.lo` is left as it is.
 * `cluster.local` means the mesh's own trust domain, whatever that is called.
 */
export function principalValues(value: string, domains: readonly string[]): readonly string[] {
  const slash = value.indexOf('/');
  const domain = value.slice(0, Math.max(slash, 0));
  if (domain !== defaultTrustDomain && !domains.includes(domain)) return [value];
  return domains.map((each) => each + value.slice(slash));
}
