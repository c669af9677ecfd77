/** AuthorizationPolicy -> Authorization for ztunnels, and what its status says of it (ambient-l4, 10.5). */
import type { AuthorizationPolicy, AuthorizationRule as IstioRule } from '../api/istio.ts';
import { messageOf } from '../lib/errors.ts';
import type { Authorization, AuthorizationClause, AuthorizationMatch, AuthorizationRule } from '../policy/model.ts';
import { isDryRun } from './dry-run.ts';
import {
  conditionElement,
  operationElement,
  sourceElement,
  type Approximation,
  type ElementFinding,
} from './l4-match.ts';

/** The `ZtunnelAccepted` condition without its time. */
export interface PolicyVerdict {
  readonly status: 'True' | 'False';
  readonly reason: 'Accepted' | 'UnsupportedValue' | 'Invalid';
  readonly message: string;
}

export interface PolicyConversion {
  /** What ztunnels enforce; absent when there is nothing for them to do. */
  readonly authorization?: Authorization;
  /** Absent for policies that are not for ztunnels. */
  readonly verdict?: PolicyVerdict;
}

/** Labels that a workload needs for the policy to bind it; undefined when it binds a namespace or the mesh. */
export function policySelector(policy: AuthorizationPolicy): Readonly<Record<string, string>> | undefined {
  const labels = policy.spec?.selector?.matchLabels ?? {};
  return Object.keys(labels).length > 0 ? labels : undefined;
}

export function convertAuthorizationPolicy(policy: AuthorizationPolicy, rootNamespace: string): PolicyConversion {
  // Policies with targets are for waypoints and gateways.
  if (policy.spec?.targetRef || (policy.spec?.targetRefs ?? []).length > 0) return {};
  const { name = '', namespace = '' } = policy.metadata;
  const base = {
    name,
    namespace,
    scope: policySelector(policy) ? 'workload-selector' : namespace === rootNamespace ? 'global' : 'namespace',
    dryRun: isDryRun(policy),
  } as const;
  const action = policy.spec?.action ?? 'ALLOW';
  const rules = policy.spec?.rules ?? [];
  try {
    switch (action) {
      case 'ALLOW':
        return conclude({ ...base, action: 'allow', ...readRules(rules, namespace, 'narrow') });
      case 'DENY':
        return conclude({ ...base, action: 'deny', ...readRules(rules, namespace, 'widen') });
      case 'CUSTOM': {
        const { rules: denied, notes } = readRules(rules, namespace, 'widen');
        const note = 'action CUSTOM needs a waypoint; ztunnel denies what the rules match';
        return conclude({ ...base, action: 'deny', rules: denied, notes: [note, ...notes] });
      }
      case 'AUDIT':
        return conclude({ ...base, action: 'audit', ...readRules(rules, namespace, 'narrow') });
      default:
        return conclude({
          ...base,
          ...denyAll,
          notes: [`action ${JSON.stringify(action)} is not known; everything is denied`],
        });
    }
  } catch (error) {
    // An object that no schema has checked: it must not open what it was written to close.
    const verdict = {
      status: 'False',
      reason: 'Invalid',
      message: `the policy cannot be read, everything is denied: ${messageOf(error)}`,
    } as const;
    return { authorization: { ...base, ...denyAll }, verdict };
  }
}

/** A rule that is meant for some requests, and with which a ztunnel denies every connection: its attributes are all of L7. */
export interface OverbroadRule {
  readonly index: number;
  /** Paths of the attributes within the rule. */
  readonly attributes: readonly string[];
}

/** Rules of a DENY or CUSTOM that ask for nothing that L4 can tell; of policies with targets none. */
export function overbroadRules(policy: AuthorizationPolicy): OverbroadRule[] {
  const { spec } = policy;
  if (spec?.action !== 'DENY' && spec?.action !== 'CUSTOM') return [];
  if (spec.targetRef || (spec.targetRefs ?? []).length > 0) return [];
  return (spec.rules ?? []).flatMap((rule, index) => {
    const { clauses, l7 } = readRule(rule, policy.metadata.namespace ?? '', 'widen');
    return clauses?.length === 0 && l7.length > 0 ? [{ index, attributes: l7 }] : [];
  });
}

const denyAll = { action: 'deny', rules: [{ clauses: [] }] } as const;

interface RulesFinding {
  readonly rules: readonly AuthorizationRule[];
  /** One line for each thing that is not enforced as written. */
  readonly notes: readonly string[];
}

function conclude({
  notes,
  ...authorization
}: Authorization & { readonly notes: readonly string[] }): PolicyConversion {
  const accepted: PolicyVerdict = {
    status: 'True',
    reason: 'Accepted',
    message: acceptedMessage(authorization),
  };
  return { authorization, verdict: notes.length > 0 ? unsupported(notes) : accepted };
}

function acceptedMessage({ action, dryRun }: Authorization): string {
  if (action === 'audit') return 'attached to ztunnel, which logs what the rules match';
  return dryRun ? 'dry run: ztunnels only log what they would decide' : 'attached to ztunnel';
}

/** Kubernetes allows 32 KiB; nobody reads that much. */
const maxMessageLength = 4096;

function unsupported(notes: readonly string[]): PolicyVerdict {
  const message = notes.join('; ');
  return {
    status: 'False',
    reason: 'UnsupportedValue',
    message: message.length <= maxMessageLength ? message : `${message.slice(0, maxMessageLength - 1)}…`,
  };
}

function readRules(rules: readonly IstioRule[], namespace: string, how: Approximation): RulesFinding {
  const kept: AuthorizationRule[] = [];
  const notes: string[] = [];
  rules.forEach((rule, i) => {
    const { clauses, l7, invalid } = readRule(rule, namespace, how);
    const problems = [
      ...(l7.length > 0 ? [`${l7.join(', ')} ${l7.length > 1 ? 'need' : 'needs'} a waypoint`] : []),
      ...(invalid.length > 0 ? [`cannot read ${invalid.join(', ')}`] : []),
    ];
    if (problems.length > 0) {
      notes.push(`rules[${i}]: ${problems.join(', ')}: ${consequence(clauses, how)}`);
    }
    if (clauses) kept.push({ clauses });
  });
  return { rules: kept, notes };
}

function consequence(clauses: readonly AuthorizationClause[] | undefined, how: Approximation): string {
  if (!clauses) return how === 'narrow' ? 'the rule is left out, so it allows nothing' : 'the rule can never match';
  if (how === 'narrow') return 'what cannot be read allows nothing';
  return clauses.length === 0
    ? 'nothing is left of the rule, so it denies everything'
    : 'the rest of the rule denies more than was written';
}

/** No clauses: the rule matches everything. Undefined: it matches nothing and is left out. */
function readRule(
  rule: IstioRule,
  namespace: string,
  how: Approximation,
): { clauses: readonly AuthorizationClause[] | undefined; l7: string[]; invalid: string[] } {
  const l7: string[] = [];
  const invalid: string[] = [];
  let clauses: AuthorizationClause[] | undefined = [];
  const addClause = (path: (i: number) => string, findings: readonly ElementFinding[]): void => {
    findings.forEach((finding, i) => {
      l7.push(...finding.l7.map((name) => `${path(i)}.${name}`));
      invalid.push(...finding.invalid.map((text) => `${path(i)}.${text}`));
    });
    if (findings.length === 0 || findings.some(({ element }) => element === 'always')) return;
    const matches = findings.map(({ element }) => element).filter((element) => isMatch(element));
    if (matches.length === 0) clauses = undefined;
    else clauses?.push({ matches });
  };

  const known = new Set(['from', 'to', 'when']);
  l7.push(...Object.keys(rule).filter((name) => !known.has(name)));
  addClause(
    (i) => `from[${i}].source`,
    (rule.from ?? []).map(({ source }) => sourceElement(source ?? {}, namespace, how)),
  );
  addClause(
    (i) => `to[${i}].operation`,
    (rule.to ?? []).map(({ operation }) => operationElement(operation ?? {}, how)),
  );
  (rule.when ?? []).forEach((condition, i) => addClause(() => `when[${i}]`, [conditionElement(condition, how)]));
  // An ALLOW rule that asks for anything of L7 is left out as a whole.
  if (how === 'narrow' && l7.length > 0) clauses = undefined;
  return { clauses, l7, invalid };
}

function isMatch(element: ElementFinding['element']): element is AuthorizationMatch {
  return typeof element === 'object';
}
