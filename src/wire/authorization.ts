/** `istio.security.Authorization` and its domain form, both directions. What we cannot read exactly is refused. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { create } from '@bufbuild/protobuf';
import type { Cidr } from '../lib/ip.ts';
import { policyKey, type PolicyKey } from '../api/names.ts';
import {
  emptyMatch,
  type Authorization,
  type AuthorizationMatch,
  type AuthorizationRule,
  type ServiceAccountMatch,
  type StringMatch,
} from '../policy/model.ts';
import {
  Action,
  AuthorizationSchema,
  Scope,
  type Address as GenAddress,
  type AddressSchema,
  type Match,
  type MatchSchema,
  type Rule,
  type ServiceAccountMatch as GenServiceAccountMatch,
  type StringMatch as GenStringMatch,
  type StringMatchSchema,
} from '../gen/security_pb.ts';
import { AuditSchema } from '../gen/extensions_pb.ts';
import { wireError } from './errors.ts';
import { configOf, extension } from './extensions.ts';
import { checkPort, decodeCidr, enumTable, requireText } from './fields.ts';
import { parseMessage, refuseUnknownFields, serializeMessage } from './message.ts';

const scopes = enumTable({
  global: Scope.GLOBAL,
  namespace: Scope.NAMESPACE,
  'workload-selector': Scope.WORKLOAD_SELECTOR,
});
const actions = enumTable({ allow: Action.ALLOW, deny: Action.DENY });
/** A policy that only reports (`ambit.workload.Audit`). */
const auditName = 'ambit.io/audit';

/**
 * Throws `wire.*`, naming the field. Besides wrong values, fields and extensions that we do not know are refused: each
 * may be a condition, and an ALLOW that loses one would let more in.
 */
export function decodeAuthorization(bytes: Uint8Array): Authorization {
  const message = parseMessage(AuthorizationSchema, bytes);
  refuseUnknownFields('authorization', message);
  refuseExtensions(
    'extensions',
    message.extensions.filter(({ name }) => name !== auditName),
  );
  const common = {
    name: requireText('name', message.name),
    namespace: message.namespace,
    scope: scopes.decode('scope', message.scope),
    dryRun: message.dryRun,
  };
  const action = actions.decode('action', message.action);
  const rules = message.rules.map((rule, i) => decodeRule(`rules[${i}]`, rule));
  const audit = configOf('extensions', message.extensions, auditName, AuditSchema.typeName);
  if (!audit) return { ...common, action, rules };
  if (action !== 'deny' || rules.length > 0) {
    throw wireError('unknown-field', 'extensions', `an audit is a DENY without rules, not an ${message.action}`);
  }
  const audited = parseMessage(AuditSchema, audit);
  refuseUnknownFields('extensions', audited);
  return { ...common, action: 'audit', rules: audited.rules.map((rule, i) => decodeRule(`audit.rules[${i}]`, rule)) };
}

/** The same value always gives the same bytes. */
export function encodeAuthorization(authorization: Authorization): Uint8Array {
  return serializeMessage(AuthorizationSchema, {
    name: requireText('name', authorization.name),
    namespace: authorization.namespace,
    scope: scopes.encode(authorization.scope),
    dryRun: authorization.dryRun,
    ...encodeRules(authorization),
  });
}

function encodeRules({
  action,
  rules,
}: Authorization): Pick<MessageInitShape<typeof AuthorizationSchema>, 'action' | 'rules' | 'extensions'> {
  const encoded = rules.map(({ clauses }) => ({
    clauses: clauses.map(({ matches }) => ({ matches: matches.map(encodeMatch) })),
  }));
  if (action !== 'audit') return { action: actions.encode(action), rules: encoded };
  const value = serializeMessage(AuditSchema, { rules: encoded });
  return { action: Action.DENY, extensions: [extension(auditName, AuditSchema.typeName, value)] };
}

/** The resource's name, `<namespace>/<name>`. */
export function authorizationName(authorization: Authorization): PolicyKey {
  return policyKey(authorization.namespace, authorization.name);
}

/**
 * What takes the place of a policy that came but cannot be read, and of which no earlier version is there: it denies
 * everything in the widest scope that the bytes still tell (its namespace when they tell none), so that a DENY that we
 * do not understand never becomes "allowed".
 */
export function denyInsteadOf(resourceName: string, bytes: Uint8Array): Authorization {
  const slash = resourceName.indexOf('/');
  return {
    name: resourceName.slice(slash + 1),
    namespace: slash < 0 ? '' : resourceName.slice(0, slash),
    scope: readableScope(bytes) ?? (slash > 0 ? 'namespace' : 'global'),
    action: 'deny',
    rules: [{ clauses: [{ matches: [{ ...emptyMatch, notDestinationPorts: [0] }] }] }],
    dryRun: false,
  };
}

function readableScope(bytes: Uint8Array): Authorization['scope'] | undefined {
  try {
    return scopes.decode('scope', parseMessage(AuthorizationSchema, bytes).scope);
  } catch {
    return undefined;
  }
}

function decodeRule(field: string, rule: Rule): AuthorizationRule {
  refuseUnknownFields(field, rule);
  return {
    clauses: rule.clauses.map((clause, i) => {
      const clauseField = `${field}.clauses[${i}]`;
      refuseUnknownFields(clauseField, clause);
      return { matches: clause.matches.map((match, j) => decodeMatch(`${clauseField}.matches[${j}]`, match)) };
    }),
  };
}

function decodeMatch(field: string, match: Match): AuthorizationMatch {
  refuseUnknownFields(field, match);
  refuseExtensions(`${field}.extensions`, match.extensions);
  return {
    namespaces: decodeStrings(`${field}.namespaces`, match.namespaces),
    notNamespaces: decodeStrings(`${field}.not_namespaces`, match.notNamespaces),
    principals: decodeStrings(`${field}.principals`, match.principals),
    notPrincipals: decodeStrings(`${field}.not_principals`, match.notPrincipals),
    sourceIps: decodeBlocks(`${field}.source_ips`, match.sourceIps),
    notSourceIps: decodeBlocks(`${field}.not_source_ips`, match.notSourceIps),
    destinationIps: decodeBlocks(`${field}.destination_ips`, match.destinationIps),
    notDestinationIps: decodeBlocks(`${field}.not_destination_ips`, match.notDestinationIps),
    destinationPorts: decodePortNumbers(`${field}.destination_ports`, match.destinationPorts),
    notDestinationPorts: decodePortNumbers(`${field}.not_destination_ports`, match.notDestinationPorts),
    serviceAccounts: decodeAccounts(`${field}.service_accounts`, match.serviceAccounts),
    notServiceAccounts: decodeAccounts(`${field}.not_service_accounts`, match.notServiceAccounts),
  };
}

function encodeMatch(match: AuthorizationMatch): MessageInitShape<typeof MatchSchema> {
  const ports = (list: readonly number[]): number[] => list.map((port) => checkPort('destination_ports', port));
  return {
    namespaces: match.namespaces.map(encodeString),
    notNamespaces: match.notNamespaces.map(encodeString),
    principals: match.principals.map(encodeString),
    notPrincipals: match.notPrincipals.map(encodeString),
    sourceIps: match.sourceIps.map(encodeBlock),
    notSourceIps: match.notSourceIps.map(encodeBlock),
    destinationIps: match.destinationIps.map(encodeBlock),
    notDestinationIps: match.notDestinationIps.map(encodeBlock),
    destinationPorts: ports(match.destinationPorts),
    notDestinationPorts: ports(match.notDestinationPorts),
    serviceAccounts: match.serviceAccounts.map((account) => ({ ...account })),
    notServiceAccounts: match.notServiceAccounts.map((account) => ({ ...account })),
  };
}

function decodeStrings(field: string, matches: readonly GenStringMatch[]): StringMatch[] {
  return matches.map((match, i) => {
    refuseUnknownFields(`${field}[${i}]`, match);
    const { matchType } = match;
    switch (matchType.case) {
      case 'exact':
      case 'prefix':
      case 'suffix':
        return { kind: matchType.case, value: matchType.value };
      case 'presence':
        return { kind: 'presence' };
      case undefined:
        throw wireError('missing-field', `${field}[${i}]`, 'it has no kind of match');
    }
  });
}

function encodeString(match: StringMatch): MessageInitShape<typeof StringMatchSchema> {
  return {
    matchType:
      match.kind === 'presence'
        ? { case: 'presence', value: create(EmptySchema) }
        : { case: match.kind, value: match.value },
  };
}

function decodeBlocks(field: string, blocks: readonly GenAddress[]): Cidr[] {
  return blocks.map((block, i) => {
    refuseUnknownFields(`${field}[${i}]`, block);
    return decodeCidr(`${field}[${i}]`, block.address, block.length);
  });
}

function encodeBlock(cidr: Cidr): MessageInitShape<typeof AddressSchema> {
  return { address: cidr.address, length: cidr.prefixLength };
}

function decodePortNumbers(field: string, ports: readonly number[]): number[] {
  return ports.map((port, i) => checkPort(`${field}[${i}]`, port));
}

function decodeAccounts(field: string, accounts: readonly GenServiceAccountMatch[]): ServiceAccountMatch[] {
  return accounts.map((account, i) => {
    refuseUnknownFields(`${field}[${i}]`, account);
    return { namespace: account.namespace, serviceAccount: account.serviceAccount };
  });
}

function refuseExtensions(field: string, extensions: readonly { readonly name: string }[]): void {
  const [first] = extensions;
  if (first)
    throw wireError('unknown-field', `${field}[0]`, `the extension ${JSON.stringify(first.name)} is not known`);
}
