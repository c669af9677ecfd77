/** L4 authorization: decides one connection against the policies of its destination. Pure. */
import { cidrContains, tryParseIp, type Cidr } from '../lib/ip.ts';
import { policyKey, type PolicyKey, type SpiffeId } from '../api/names.ts';
import type {
  Authorization,
  AuthorizationClause,
  AuthorizationMatch,
  AuthorizationRule,
  ServiceAccountMatch,
  StringMatch,
} from './model.ts';

/** Who the peer proved to be. Absent for plaintext callers and for certificates without a SPIFFE id. */
export interface SourcePrincipal {
  readonly id: SpiffeId;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** One connection as policies see it. `destinationPort` is the workload's port, not the Service's and not 15008. */
export interface ConnectionFacts {
  readonly sourceIp: string;
  readonly source: SourcePrincipal | undefined;
  readonly destinationIp: string;
  readonly destinationPort: number;
}

/** Everything that binds one destination. `missing`: policies it names which have not arrived. */
export interface PolicySet {
  readonly policies: readonly Authorization[];
  readonly missing: readonly PolicyKey[];
}

export type DecisionOutcome =
  /** `policy` is the ALLOW that matched; absent when nothing forbids. */
  | { readonly kind: 'allow'; readonly policy?: PolicyKey }
  /** `policy` is the DENY that matched; absent when ALLOW policies exist and none matched. */
  | { readonly kind: 'deny'; readonly policy?: PolicyKey; readonly reason: string }
  /** Cannot be known before `missing` arrive: the caller waits a little, then refuses. */
  | { readonly kind: 'unknown'; readonly missing: readonly PolicyKey[]; readonly reason: string };

export type Decision = DecisionOutcome & {
  /** What policies that decide nothing have to say, for the log. */
  readonly findings: readonly PolicyFinding[];
};

export type PolicyFinding =
  | { readonly kind: 'dry-run'; readonly policy: PolicyKey; readonly wouldDeny: boolean }
  /** An AUDIT policy matched. */
  | { readonly kind: 'audit'; readonly policy: PolicyKey };

/**
 * Decides in the order of Istio's L4 RBAC: DENY before ALLOW, no ALLOW means allow; AUDIT and dry-run policies only report.
 * Unlike upstream, a policy that is named but unknown never widens access: only a matching DENY is final without it.
 */
export function decideAuthorization(set: PolicySet, facts: ConnectionFacts): Decision {
  const subject = new Subject(facts);
  const findings: PolicyFinding[] = [];
  for (const policy of set.policies) {
    if (policy.action !== 'audit' || !policyMatches(policy, subject)) continue;
    findings.push({ kind: 'audit', policy: policyKey(policy.namespace, policy.name) });
  }
  return { ...decideOutcome(set, subject, findings), findings };
}

/** A refusal names the ALLOW policies that did not match, up to this many. */
const maxNamedPolicies = 3;

function decideOutcome(set: PolicySet, subject: Subject, findings: PolicyFinding[]): DecisionOutcome {
  for (const policy of set.policies) {
    if (policy.action !== 'deny' || !policyMatches(policy, subject)) continue;
    const key = policyKey(policy.namespace, policy.name);
    if (policy.dryRun) findings.push({ kind: 'dry-run', policy: key, wouldDeny: true });
    else return { kind: 'deny', policy: key, reason: `explicitly denied by: ${key}` };
  }
  if (set.missing.length > 0) {
    return { kind: 'unknown', missing: set.missing, reason: `policy not known yet: ${set.missing.join(', ')}` };
  }
  const enforcedAllows: PolicyKey[] = [];
  let allowedBy: PolicyKey | undefined;
  for (const policy of set.policies) {
    if (policy.action !== 'allow') continue;
    const key = policyKey(policy.namespace, policy.name);
    if (policy.dryRun) {
      findings.push({ kind: 'dry-run', policy: key, wouldDeny: !policyMatches(policy, subject) });
      continue;
    }
    enforcedAllows.push(key);
    if (allowedBy === undefined && policyMatches(policy, subject)) allowedBy = key;
  }
  if (enforcedAllows.length === 0) return { kind: 'allow' };
  if (allowedBy !== undefined) return { kind: 'allow', policy: allowedBy };
  const named = enforcedAllows.slice(0, maxNamedPolicies).join(', ');
  const more = enforcedAllows.length > maxNamedPolicies ? ', ...' : '';
  return { kind: 'deny', reason: `allow policies exist, but none allowed: ${named}${more}` };
}

/** The facts of one decision. Addresses are parsed when a policy first asks: most never do. */
class Subject {
  readonly destinationPort: number;
  readonly source: SourcePrincipal | undefined;
  readonly principal: string | undefined;
  readonly #facts: ConnectionFacts;
  #sourceIp: Uint8Array | undefined;
  #destinationIp: Uint8Array | undefined;

  constructor(facts: ConnectionFacts) {
    this.#facts = facts;
    this.destinationPort = facts.destinationPort;
    this.source = facts.source;
    this.principal = facts.source?.id.slice('spiffe://'.length);
  }

  /** Undefined when it does not parse: then it hits no block, in either list. */
  get sourceIp(): Uint8Array | undefined {
    return (this.#sourceIp ??= tryParseIp(this.#facts.sourceIp));
  }

  get destinationIp(): Uint8Array | undefined {
    return (this.#destinationIp ??= tryParseIp(this.#facts.destinationIp));
  }
}

function policyMatches(policy: Authorization, subject: Subject): boolean {
  return policy.rules.some((rule) => ruleMatches(rule, subject));
}

function ruleMatches(rule: AuthorizationRule, subject: Subject): boolean {
  return rule.clauses.every((clause) => clauseMatches(clause, subject));
}

function clauseMatches(clause: AuthorizationClause, subject: Subject): boolean {
  return clause.matches.length === 0 || clause.matches.some((match) => matchHolds(match, subject));
}

function matchHolds(match: AuthorizationMatch, subject: Subject): boolean {
  if (isEmptyMatch(match)) return false;
  const { source, principal, destinationPort } = subject;
  return (
    family(match.namespaces, match.notNamespaces, (m) => stringHits(m, source?.namespace)) &&
    family(match.principals, match.notPrincipals, (m) => stringHits(m, principal)) &&
    family(match.serviceAccounts, match.notServiceAccounts, (m) => accountHits(m, source)) &&
    family(match.sourceIps, match.notSourceIps, (m) => cidrHits(m, subject.sourceIp)) &&
    family(match.destinationIps, match.notDestinationIps, (m) => cidrHits(m, subject.destinationIp)) &&
    family(match.destinationPorts, match.notDestinationPorts, (port) => port === destinationPort)
  );
}

function family<T>(positive: readonly T[], negative: readonly T[], hits: (entry: T) => boolean): boolean {
  return (positive.length === 0 || positive.some(hits)) && !negative.some(hits);
}

/** Fields of a newer control plane are unknown to us and leave a match empty: it must then match nothing. */
function isEmptyMatch(match: AuthorizationMatch): boolean {
  return (
    match.namespaces.length === 0 &&
    match.notNamespaces.length === 0 &&
    match.principals.length === 0 &&
    match.notPrincipals.length === 0 &&
    match.sourceIps.length === 0 &&
    match.notSourceIps.length === 0 &&
    match.destinationIps.length === 0 &&
    match.notDestinationIps.length === 0 &&
    match.destinationPorts.length === 0 &&
    match.notDestinationPorts.length === 0 &&
    match.serviceAccounts.length === 0 &&
    match.notServiceAccounts.length === 0
  );
}

function stringHits(match: StringMatch, value: string | undefined): boolean {
  if (value === undefined) return false;
  switch (match.kind) {
    case 'exact':
      return value === match.value;
    case 'prefix':
      return value.startsWith(match.value);
    case 'suffix':
      return value.endsWith(match.value);
    case 'presence':
      return value !== '';
  }
}

function accountHits(match: ServiceAccountMatch, source: SourcePrincipal | undefined): boolean {
  return source !== undefined && source.namespace === match.namespace && source.serviceAccount === match.serviceAccount;
}

function cidrHits(cidr: Cidr, ip: Uint8Array | undefined): boolean {
  return ip !== undefined && cidrContains(cidr, ip);
}
