/** The rules of one AuthorizationPolicy, compiled: which one a request meets. Also what an external authorizer is asked for. */
import type { AttributeMatch, HttpAuthorization, HttpAuthorizationRule } from '../api/l7/index.ts';
import {
  compileAttribute,
  isSupported,
  type Approximation,
  type PolicyLayer,
  type SubjectTest,
} from './http-attributes.ts';
import type { RequestSubject } from './http-facts.ts';

/** One rule, by name. */
export interface RuleName {
  /** `<namespace>/<name>` of the policy. */
  readonly policy: string;
  readonly index: number;
  /** As logs tell it: `ns[foo]-policy[bar]-rule[0]`. */
  readonly name: string;
}

export interface RuleMatcher {
  readonly policy: HttpAuthorization;
  /** The first rule that holds; undefined: none. */
  match(subject: RequestSubject): RuleName | undefined;
}

/** @throws AmbitError `policy.bad-regex`. */
export function compileRules(policy: HttpAuthorization, layer: PolicyLayer = 'http'): RuleMatcher {
  const how = approximationOf(policy);
  const rules = policy.rules.map((rule, index) => ({
    name: ruleName(policy, index),
    test: compileRule(rule, how, layer),
  }));
  return {
    policy,
    match(subject) {
      for (const { name, test } of rules) if (test(subject)) return name;
      return undefined;
    },
  };
}

export function approximationOf({ action }: HttpAuthorization): Approximation {
  return action === 'allow' ? 'narrow' : 'widen';
}

export function ruleName({ name, origin }: HttpAuthorization, index: number): RuleName {
  return { policy: name, index, name: `ns[${origin.namespace}]-policy[${origin.name}]-rule[${index}]` };
}

/** Attributes of a rule that cannot be asked here. */
export function unsupportedOf({ from, to, when }: HttpAuthorizationRule, layer: PolicyLayer): AttributeMatch[] {
  return [...from.flat(), ...to.flat(), ...when].filter(({ attribute }) => !isSupported(attribute, layer));
}

function compileRule(rule: HttpAuthorizationRule, how: Approximation, layer: PolicyLayer): SubjectTest {
  // As upstream: a rule that grants is left out as a whole, one that forbids goes on without the attribute.
  if (how === 'narrow' && unsupportedOf(rule, layer).length > 0) return () => false;
  const compileAll = (matches: readonly AttributeMatch[]): SubjectTest =>
    all(matches.filter(({ attribute }) => isSupported(attribute, layer)).map((match) => compileAttribute(match, how)));
  const from = rule.from.map(compileAll);
  const to = rule.to.map(compileAll);
  return all([
    ...(from.length > 0 ? [any(from)] : []),
    ...(to.length > 0 ? [any(to)] : []),
    ...(rule.when.length > 0 ? [compileAll(rule.when)] : []),
  ]);
}

function all(tests: readonly SubjectTest[]): SubjectTest {
  const [first, second] = tests;
  if (!first) return () => true;
  if (!second) return first;
  if (tests.length === 2) return (subject) => first(subject) && second(subject);
  return (subject) => {
    for (const test of tests) if (!test(subject)) return false;
    return true;
  };
}

function any(tests: readonly SubjectTest[]): SubjectTest {
  const [first] = tests;
  if (first && tests.length === 1) return first;
  return (subject) => {
    for (const test of tests) if (test(subject)) return true;
    return false;
  };
}
