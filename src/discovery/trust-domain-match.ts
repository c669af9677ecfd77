/**
 * `trustDomains` of a source, told in principals: a principal starts with its trust domain, and a match has one list of
 * principals, so both attributes have to meet in it.
 */
import type { StringMatch } from '../policy/model.ts';
import type { Approximation } from './l4-match.ts';

/** `td`, `prefix*` or `*`; undefined for what principals cannot tell: suffixes, and anything with a slash. */
export function parseTrustDomain(text: string): StringMatch | undefined {
  if (text === '*') return { kind: 'presence' };
  if (text === '' || text.includes('/') || text.startsWith('*')) return undefined;
  if (text.endsWith('*')) return { kind: 'prefix', value: text.slice(0, -1) };
  // The slash ends the name: `prod` is not `production`.
  return { kind: 'prefix', value: `${text}/` };
}

/**
 * The principals that hit one of `principals` and one of `domains` (as `parseTrustDomain` gives them). Where one list
 * cannot tell it exactly, `how` decides for fewer or for more.
 */
export function principalsOfDomains(
  principals: readonly StringMatch[],
  domains: readonly StringMatch[],
  how: Approximation,
): StringMatch[] {
  return principals.flatMap((principal) => domains.flatMap((domain) => both(principal, domain, how) ?? []));
}

function both(principal: StringMatch, domain: StringMatch, how: Approximation): StringMatch | undefined {
  if (domain.kind === 'presence') return principal;
  if (principal.kind === 'presence') return domain;
  const start = domain.kind === 'prefix' ? domain.value : '';
  switch (principal.kind) {
    case 'exact':
      return principal.value.startsWith(start) ? principal : undefined;
    case 'prefix':
      if (principal.value.startsWith(start)) return principal;
      return start.startsWith(principal.value) ? domain : undefined;
    case 'suffix':
      // Start and end cannot be asked for at once.
      return how === 'widen' ? principal : undefined;
  }
}
