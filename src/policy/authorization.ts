/** L4 authorization: decides one connection against the policies of its destination. Pure. */
import { cidrContains, tryParseScopedIp, type Cidr } from '../lib/ip.ts';
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
  const outcome = decideOutcome(set, subject);
  return { ...outcome, findings: findingsOf(set, subject, outcome) };
}

/** A refusal names the ALLOW policies that did not match, up to this many. */
const maxNamedPolicies = 3;

function decideOutcome(set: PolicySet, subject: Subject): DecisionOutcome {
  for (const policy of set.policies) {
    if (policy.action !== 'deny' || policy.dryRun || !policyMatches(policy, subject)) continue;
    const key = policyKey(policy.namespace, policy.name);
    return { kind: 'deny', policy: key, reason: `explicitly denied by: ${key}` };
  }
  if (set.missing.length > 0) {
    return { kind: 'unknown', missing: set.missing, reason: `policy not known yet: ${set.missing.join(', ')}` };
  }
  const enforcedAllows: PolicyKey[] = [];
  let allowedBy: PolicyKey | undefined;
  for (const policy of set.policies) {
    if (policy.action !== 'allow' || policy.dryRun) continue;
    const key = policyKey(policy.namespace, policy.name);
    enforcedAllows.push(key);
    if (allowedBy === undefined && policyMatches(policy, subject)) allowedBy = key;
  }
  if (enforcedAllows.length === 0) return { kind: 'allow' };
  if (allowedBy !== undefined) return { kind: 'allow', policy: allowedBy };
  const named = enforcedAllows.slice(0, maxNamedPolicies).join(', ');
  const more = enforcedAllows.length > maxNamedPolicies ? ', ...' : '';
  return { kind: 'deny', reason: `allow policies exist, but none allowed: ${named}${more}` };
}

/** What policies that decide nothing say of a connection that was decided. None of them is the usual case. */
function findingsOf(set: PolicySet, subject: Subject, outcome: DecisionOutcome): readonly PolicyFinding[] {
  const findings: PolicyFinding[] = [];
  const allows: { readonly policy: PolicyKey; readonly matches: boolean }[] = [];
  for (const policy of set.policies) {
    if (policy.action !== 'audit' && !policy.dryRun) continue;
    const key = policyKey(policy.namespace, policy.name);
    const matches = policyMatches(policy, subject);
    if (policy.action === 'allow') allows.push({ policy: key, matches });
    else if (!matches) continue;
    else if (policy.action === 'audit') findings.push({ kind: 'audit', policy: key });
    // What is refused anyway, it would change nothing about.
    else if (outcome.kind !== 'deny') findings.push({ kind: 'dry-run', policy: key, wouldDeny: true });
  }
  // Without effect on what a DENY refused, and nothing is known of what is missing.
  if (outcome.kind === 'unknown' || (outcome.kind === 'deny' && outcome.policy !== undefined)) return findings;
  // One ALLOW that matches is enough, be it in force or on trial.
  const isAllowed = (outcome.kind === 'allow' && outcome.policy !== undefined) || allows.some(({ matches }) => matches);
  for (const { policy } of allows) {
    findings.push({ kind: 'dry-run', policy, wouldDeny: outcome.kind === 'allow' && !isAllowed });
  }
  return findings;
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

  /** Undefined when it does not parse. */
  get sourceIp(): Uint8Array | undefined {
    return (this.#sourceIp ??= tryParseScopedIp(this.#facts.sourceIp));
  }

  get destinationIp(): Uint8Array | undefined {
    return (this.#destinationIp ??= tryParseScopedIp(this.#facts.destinationIp));
  }
}

function policyMatches(policy: Authorization, subject: Subject): boolean {
  const denies = policy.action === 'deny';
  return policy.rules.some((rule) => ruleMatches(rule, subject, denies));
}

function ruleMatches(rule: AuthorizationRule, subject: Subject, denies: boolean): boolean {
  return rule.clauses.every((clause) => clauseMatches(clause, subject, denies));
}

function clauseMatches(clause: AuthorizationClause, subject: Subject, denies: boolean): boolean {
  return clause.matches.length === 0 || clause.matches.some((match) => matchHolds(match, subject, denies));
}

function matchHolds(match: AuthorizationMatch, subject: Subject, denies: boolean): boolean {
  if (isEmptyMatch(match)) return false;
  const { source, principal, destinationPort } = subject;
  return (
    family(match.namespaces, match.notNamespaces, (m) => stringHits(m, source?.namespace)) &&
    family(match.principals, match.notPrincipals, (m) => stringHits(m, principal)) &&
    family(match.serviceAccounts, match.notServiceAccounts, (m) => accountHits(m, source)) &&
    (asksNothing(match.sourceIps, match.notSourceIps) ||
      blocksHold(match.sourceIps, match.notSourceIps, subject.sourceIp, denies)) &&
    (asksNothing(match.destinationIps, match.notDestinationIps) ||
      blocksHold(match.destinationIps, match.notDestinationIps, subject.destinationIp, denies)) &&
    family(match.destinationPorts, match.notDestinationPorts, (port) => port === destinationPort)
  );
}

function family<T>(positive: readonly T[], negative: readonly T[], hits: (entry: T) => boolean): boolean {
  return (positive.length === 0 || positive.some(hits)) && !negative.some(hits);
}

function asksNothing(positive: readonly unknown[], negative: readonly unknown[]): boolean {
  return positive.length === 0 && negative.length === 0;
}

/** Of an address that nobody can read, nobody knows where it lies: a DENY that asks for it holds, anything else does not. */
function blocksHold(
  positive: readonly Cidr[],
  negative: readonly Cidr[],
  ip: Uint8Array | undefined,
  denies: boolean,
): boolean {
  return ip === undefined ? denies : family(positive, negative, (cidr) => cidrContains(cidr, ip));
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
