/** `meshConfig.trustDomainAliases`: a principal of one of the mesh's trust domains is meant in all of them. */
import type { Authorization, StringMatch } from '../policy/model.ts';

/** The policy, with a match for each of `domains` where it names one of them. */
export function withTrustDomains(authorization: Authorization, domains: readonly string[]): Authorization {
  if (domains.length < 2) return authorization;
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

/** Only what names its trust domain in full: `cluster.lo*` is left as it is. */
function inAll(principal: StringMatch, domains: readonly string[]): StringMatch[] {
  if (principal.kind !== 'exact' && principal.kind !== 'prefix') return [principal];
  const { kind, value } = principal;
  const slash = value.indexOf('/');
  if (slash < 0 || !domains.includes(value.slice(0, slash))) return [principal];
  return domains.map((domain) => ({ kind, value: domain + value.slice(slash) }));
}
