/** Policies of action CUSTOM, by whom they ask. */
import type { RequestSubject } from '../../../policy/http-facts.ts';
import type { PolicyLayer } from '../../../policy/http-attributes.ts';
import { compileRules, type RuleMatcher, type RuleName } from '../../../policy/http-rules.ts';
import type { FilterPlace } from '../../engine/filter.ts';
import { policiesOf } from '../authorization/policies.ts';
import { type Authorizer, authorizerOf } from './authorizer.ts';

/** The policies that ask one provider. */
export interface Asker {
  readonly provider: string;
  readonly matchers: readonly RuleMatcher[];
  /** Policies that would ask it, on trial. */
  readonly trials: readonly RuleMatcher[];
  readonly authorizer: Authorizer | { readonly missing: string };
}

/** In the order of the first policy of each. */
export function askersOf(place: FilterPlace, layer: Exclude<PolicyLayer, 'http'>): Asker[] {
  const policies = policiesOf(place).filter(({ action }) => action === 'custom');
  const byProvider = Map.groupBy(policies, ({ provider }) => provider ?? '');
  return [...byProvider].map(([provider, asking]) => ({
    provider,
    matchers: asking.filter(({ dryRun }) => !dryRun).map((policy) => compileRules(policy, layer)),
    trials: asking.filter(({ dryRun }) => dryRun).map((policy) => compileRules(policy, layer)),
    authorizer: authorizerOf(place, asking[0]?.provider),
  }));
}

export function firstMatch(matchers: readonly RuleMatcher[], subject: RequestSubject): RuleName | undefined {
  for (const matcher of matchers) {
    const rule = matcher.match(subject);
    if (rule) return rule;
  }
  return undefined;
}

/** What refusals say: in the access log as Envoy has it, and for people. */
export interface RefusalWords {
  readonly flag: string;
  readonly details: string;
  readonly reason: string;
}

export function withoutAuthorizer(rule: RuleName, missing: string): RefusalWords {
  return {
    flag: 'UAEX',
    details: `rbac_access_denied_matched_policy[${rule.name}]`,
    reason: `policy ${rule.policy} asks an authorizer, but ${missing}`,
  };
}

export function deniedBy({ name }: Authorizer, message: string): RefusalWords {
  return {
    flag: 'UAEX',
    details: 'ext_authz_denied',
    reason: `authorizer "${name}" denied it${message === '' ? '' : `: ${message}`}`,
  };
}

export function failedToAsk({ name }: Authorizer, message: string): RefusalWords {
  return {
    flag: 'UAEX',
    details: 'ext_authz_error',
    reason: `authorizer "${name}" could not be asked: ${message}`,
  };
}
