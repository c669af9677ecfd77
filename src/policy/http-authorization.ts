/** Authorization at L7: decides one request, or one connection without HTTP, against the policies of its place. Pure. */
import type { HttpAuthorization } from '../api/l7/index.ts';
import type { PolicyLayer } from './http-attributes.ts';
import { RequestSubject, type RequestFacts } from './http-facts.ts';
import { compileRules, type RuleMatcher, type RuleName } from './http-rules.ts';

export type HttpDecision = HttpOutcome & {
  /** What policies that decide nothing have to say, for the log. */
  readonly findings: readonly HttpFinding[];
};

type HttpOutcome =
  /** `rule` is the ALLOW that matched; absent when nothing forbids. */
  | { readonly kind: 'allow'; readonly rule?: RuleName }
  /** `rule` is the DENY that matched; absent when ALLOW policies exist and none matched. */
  | { readonly kind: 'deny'; readonly rule?: RuleName; readonly reason: string };

export type HttpFinding =
  /** An AUDIT policy matched. */
  | { readonly kind: 'audit'; readonly rule: RuleName }
  /** `wouldDeny`: in force, the policy would have refused what went on. */
  | {
      readonly kind: 'dry-run';
      readonly policy: string;
      readonly action: 'allow' | 'deny';
      readonly rule: RuleName | undefined;
      readonly wouldDeny: boolean;
    };

export interface HttpAuthorizer {
  /** Policies of action CUSTOM are not here: they ask somebody else, before. */
  decide(facts: RequestFacts): HttpDecision;
}

/** A refusal names the ALLOW policies that did not match, up to this many. */
const maxNamedPolicies = 3;

/**
 * In Istio's order: a DENY that matches refuses; without an ALLOW everything else goes on; else one of them must match. AUDIT and
 * dry-run policies only report. Compiled once a configuration.
 *
 * @throws AmbitError `policy.bad-regex`.
 */
export function compileHttpAuthorization(
  policies: readonly HttpAuthorization[],
  layer: PolicyLayer = 'http',
): HttpAuthorizer {
  const matchers = policies.map((policy) => compileRules(policy, layer));
  const of = (action: HttpAuthorization['action'], dryRun: boolean): readonly RuleMatcher[] =>
    matchers.filter(({ policy }) => policy.action === action && policy.dryRun === dryRun);
  const denies = of('deny', false);
  const allows = of('allow', false);
  const reporters: Reporters = {
    audits: of('audit', false),
    denies: of('deny', true),
    allows: of('allow', true),
  };
  const reports = reporters.audits.length + reporters.denies.length + reporters.allows.length > 0;
  const noneMatched = { kind: 'deny', reason: noneMatchedReason(allows), findings: [] } as const;
  return {
    decide(facts) {
      const subject = new RequestSubject(facts);
      const decision = decideOutcome(subject, denies, allows) ?? noneMatched;
      return reports ? { ...decision, findings: report(subject, reporters, decision) } : decision;
    },
  };
}

interface Reporters {
  readonly audits: readonly RuleMatcher[];
  readonly denies: readonly RuleMatcher[];
  readonly allows: readonly RuleMatcher[];
}

const nothingForbids: HttpDecision = { kind: 'allow', findings: [] };

/** Undefined: none of the ALLOW policies matched. */
function decideOutcome(
  subject: RequestSubject,
  denies: readonly RuleMatcher[],
  allows: readonly RuleMatcher[],
): HttpDecision | undefined {
  for (const matcher of denies) {
    const rule = matcher.match(subject);
    if (rule)
      return { kind: 'deny', rule, reason: `policy ${rule.policy} denies it, by rule ${rule.index}`, findings: [] };
  }
  if (allows.length === 0) return nothingForbids;
  for (const matcher of allows) {
    const rule = matcher.match(subject);
    if (rule) return { kind: 'allow', rule, findings: [] };
  }
  return undefined;
}

function report(subject: RequestSubject, reporters: Reporters, decision: HttpDecision): readonly HttpFinding[] {
  const findings: HttpFinding[] = [];
  for (const matcher of reporters.audits) {
    const rule = matcher.match(subject);
    if (rule) findings.push({ kind: 'audit', rule });
  }
  const refused = decision.kind === 'deny';
  for (const matcher of reporters.denies) {
    const rule = matcher.match(subject);
    if (!rule) continue;
    findings.push({ kind: 'dry-run', policy: rule.policy, action: 'deny', rule, wouldDeny: !refused });
  }
  const allowing = reporters.allows.map((matcher) => ({ matcher, rule: matcher.match(subject) }));
  // Another ALLOW that matches is enough.
  const isAllowed = (!refused && decision.rule !== undefined) || allowing.some(({ rule }) => rule !== undefined);
  for (const { matcher, rule } of allowing) {
    findings.push({
      kind: 'dry-run',
      policy: matcher.policy.name,
      action: 'allow',
      rule,
      wouldDeny: !refused && !isAllowed,
    });
  }
  return findings;
}

function noneMatchedReason(allows: readonly RuleMatcher[]): string {
  const named = allows.slice(0, maxNamedPolicies).map(({ policy }) => policy.name);
  const more = allows.length > maxNamedPolicies ? ', ...' : '';
  return `policies allow some requests, but none allows this one: ${named.join(', ')}${more}`;
}
