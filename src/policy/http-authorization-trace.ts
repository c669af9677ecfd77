/** The same decision told step by step: which policies matched, which nearly did and why not. For `ambit explain`, not for requests. */
import type { Attribute, AttributeMatch, AttributeValue, HttpAuthorization, TextMatch } from '../api/l7/index.ts';
import { formatCidr } from '../lib/ip.ts';
import { compileAttribute, isSupported, type Approximation, type PolicyLayer } from './http-attributes.ts';
import { claimTexts } from './http-claims.ts';
import { RequestSubject, type RequestFacts } from './http-facts.ts';
import { compileHttpAuthorization, type HttpDecision } from './http-authorization.ts';
import { approximationOf, compileRules, ruleName, unsupportedOf, type RuleName } from './http-rules.ts';

export interface HttpAuthorizationTrace {
  readonly decision: HttpDecision;
  /** In the order of evaluation: CUSTOM, DENY, ALLOW, AUDIT. */
  readonly policies: readonly PolicyTrace[];
}

export interface PolicyTrace {
  readonly policy: string;
  readonly action: HttpAuthorization['action'];
  readonly dryRun: boolean;
  /** `nearly`: some rule lacks one attribute alone. */
  readonly outcome: 'matched' | 'nearly' | 'no-match';
  readonly rules: readonly RuleTrace[];
}

export interface RuleTrace {
  readonly rule: RuleName;
  readonly matched: boolean;
  /** What kept the rule from matching: of `from` and `to`, the alternative that came closest. */
  readonly missing: readonly MissingAttribute[];
  /** Attributes that nobody can tell here, and what that does to the rule. */
  readonly unsupported: readonly string[];
}

export interface MissingAttribute {
  /** As policies write it: `source.namespaces`, `request.headers[x-role]`. */
  readonly attribute: string;
  readonly wanted: readonly string[];
  readonly unwanted: readonly string[];
  /** What the request has; empty: nothing. */
  readonly found: readonly string[];
}

const order: readonly HttpAuthorization['action'][] = ['custom', 'deny', 'allow', 'audit'];

export function traceHttpAuthorization(
  policies: readonly HttpAuthorization[],
  facts: RequestFacts,
  layer: PolicyLayer = 'http',
): HttpAuthorizationTrace {
  return {
    decision: compileHttpAuthorization(policies, layer).decide(facts),
    policies: policies
      .toSorted((a, b) => order.indexOf(a.action) - order.indexOf(b.action))
      .map((policy) => tracePolicy(policy, new RequestSubject(facts), layerOf(policy, layer))),
  };
}

/** An authorizer is asked before tokens are verified. */
function layerOf({ action }: HttpAuthorization, layer: PolicyLayer): PolicyLayer {
  return action === 'custom' && layer === 'http' ? 'before-tokens' : layer;
}

function tracePolicy(policy: HttpAuthorization, subject: RequestSubject, layer: PolicyLayer): PolicyTrace {
  const matched = compileRules(policy, layer).match(subject);
  const how = approximationOf(policy);
  const rules = policy.rules.map((rule, index): RuleTrace => {
    const unsupported = unsupportedOf(rule, layer).map(({ attribute }) => attributeName(attribute));
    const clauses = [rule.from, rule.to, [rule.when]].filter((alternatives) => alternatives.length > 0);
    const missing = clauses.flatMap((alternatives) => closest(alternatives, subject, how, layer));
    const isMatched = missing.length === 0 && (how === 'widen' || unsupported.length === 0);
    return { rule: ruleName(policy, index), matched: isMatched, missing, unsupported };
  });
  const nearly = rules.some(
    ({ missing, unsupported }) => missing.length + (how === 'narrow' ? unsupported.length : 0) === 1,
  );
  return {
    policy: policy.name,
    action: policy.action,
    dryRun: policy.dryRun,
    outcome: matched ? 'matched' : nearly ? 'nearly' : 'no-match',
    rules,
  };
}

/** Of the alternatives the one that misses least. */
function closest(
  alternatives: readonly (readonly AttributeMatch[])[],
  subject: RequestSubject,
  how: Approximation,
  layer: PolicyLayer,
): readonly MissingAttribute[] {
  const missing = alternatives.map((matches) =>
    matches
      .filter(({ attribute }) => isSupported(attribute, layer))
      .filter((match) => !compileAttribute(match, how)(subject))
      .map((match): MissingAttribute => ({
        attribute: attributeName(match.attribute),
        wanted: match.values.map(valueText),
        unwanted: match.notValues.map(valueText),
        found: foundTexts(match.attribute, subject),
      })),
  );
  return missing.toSorted((a, b) => a.length - b.length)[0] ?? [];
}

function attributeName(attribute: Attribute): string {
  switch (attribute.kind) {
    case 'source-principal':
      return 'source.principal';
    case 'source-namespace':
      return 'source.namespace';
    case 'source-service-account':
      return 'source.serviceAccount';
    case 'source-trust-domain':
      return 'source.trustDomain';
    case 'source-ip':
      return 'source.ip';
    case 'remote-ip':
      return 'remote.ip';
    case 'destination-ip':
      return 'destination.ip';
    case 'destination-port':
      return 'destination.port';
    case 'request-principal':
      return 'request.auth.principal';
    case 'request-audiences':
      return 'request.auth.audiences';
    case 'request-presenter':
      return 'request.auth.presenter';
    case 'claim':
      return `request.auth.claims${attribute.path.map((name) => `[${name}]`).join('')}`;
    case 'header':
      return `request.headers[${attribute.name}]`;
    case 'host':
    case 'method':
    case 'path':
      return attribute.kind;
    case 'sni':
      return 'connection.sni';
    case 'unsupported':
      return attribute.key;
  }
}

function foundTexts(attribute: Attribute, subject: RequestSubject): readonly string[] {
  const { connection, request, token, remoteAddress } = subject.facts;
  const texts = (...values: (string | undefined)[]): string[] => values.filter((value) => value !== undefined);
  switch (attribute.kind) {
    case 'source-principal':
      return texts(subject.principal);
    case 'source-namespace':
      return texts(subject.namespace);
    case 'source-service-account':
      return subject.namespace === undefined ? [] : [`${subject.namespace}/${subject.serviceAccount}`];
    case 'source-trust-domain':
      return texts(subject.trustDomain);
    case 'source-ip':
      return [connection.sourceAddress];
    case 'remote-ip':
      return [remoteAddress];
    case 'destination-ip':
      return [connection.destinationAddress];
    case 'destination-port':
      return [String(connection.destinationPort)];
    case 'request-principal':
      return token ? [`${token.issuer}/${token.subject}`] : [];
    case 'request-audiences':
      return token?.audiences ?? [];
    case 'request-presenter':
      return texts(token?.presenter);
    case 'claim':
      return token ? claimTexts(token.claims, attribute.path) : [];
    case 'header':
      return request ? headerTexts(request.headers.fields, attribute.name) : [];
    case 'host':
      return texts(request?.authority);
    case 'method':
      return texts(request?.method);
    case 'path':
      return texts(subject.path);
    case 'sni':
      return texts(connection.sni);
    case 'unsupported':
      return [];
  }
}

function headerTexts(fields: readonly string[], name: string): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1] === name);
}

/** As policies write it. */
function valueText(value: AttributeValue): string {
  switch (value.kind) {
    case 'text':
      return patternText(value.match);
    case 'path-template':
      return value.value;
    case 'cidr':
      return formatCidr(value.cidr);
    case 'port':
      return String(value.port);
    case 'principal':
      return value.issuer.kind === 'present' && value.subject.kind === 'present'
        ? '*'
        : `${patternText(value.issuer)}/${patternText(value.subject)}`;
    case 'service-account':
      return `${value.namespace}/${value.serviceAccount}`;
  }
}

function patternText(match: TextMatch): string {
  switch (match.kind) {
    case 'present':
      return '*';
    case 'exact':
      return match.value;
    case 'prefix':
      return `${match.value}*`;
    case 'suffix':
      return `*${match.value}`;
    case 'regex':
      return `regex ${match.value}`;
  }
}
