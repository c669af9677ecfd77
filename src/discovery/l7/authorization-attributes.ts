/**
 * Sources, operations and conditions of AuthorizationPolicy -> attributes of requests (ambient-l7, 2.5).
 *
 * What nobody can read becomes an attribute that is not supported: an ALLOW rule with it never holds, a DENY goes on without it.
 */
import type { AuthorizationCondition, AuthorizationOperation, AuthorizationSource } from '../../api/istio.ts';
import type { Attribute, AttributeMatch, AttributeValue, TextMatch } from '../../api/l7/index.ts';
import { tryParseCidr } from '../../lib/ip.ts';
import { principalValues } from '../trust-domain-aliases.ts';

/** What the words of a policy depend on. */
export interface AttributeScope {
  /** The policy's: a service account without a namespace is of it. */
  readonly namespace: string;
  /** Of the mesh: its own and its aliases. */
  readonly trustDomains: readonly string[];
}

/** Undefined: unreadable. Several: any of them. */
type Parse = (text: string, scope: AttributeScope) => AttributeValue | readonly AttributeValue[] | undefined;

interface Reading {
  readonly attribute: Attribute;
  readonly parse: Parse;
}

/** By field; each has its negative, as in `notPrincipals`. */
const sourceFields: Readonly<Record<string, Reading>> = {
  principals: { attribute: { kind: 'source-principal' }, parse: parsePrincipal },
  requestPrincipals: { attribute: { kind: 'request-principal' }, parse: parseRequestPrincipal },
  namespaces: { attribute: { kind: 'source-namespace' }, parse: parseNamespace },
  serviceAccounts: { attribute: { kind: 'source-service-account' }, parse: parseServiceAccount },
  trustDomains: { attribute: { kind: 'source-trust-domain' }, parse: parseText },
  ipBlocks: { attribute: { kind: 'source-ip' }, parse: parseBlock },
  remoteIpBlocks: { attribute: { kind: 'remote-ip' }, parse: parseBlock },
};

const operationFields: Readonly<Record<string, Reading>> = {
  hosts: { attribute: { kind: 'host' }, parse: parseText },
  ports: { attribute: { kind: 'destination-port' }, parse: parsePort },
  methods: { attribute: { kind: 'method' }, parse: parseText },
  paths: { attribute: { kind: 'path' }, parse: parsePath },
};

const conditionKeys: Readonly<Record<string, Reading>> = {
  'source.ip': { attribute: { kind: 'source-ip' }, parse: parseBlock },
  'remote.ip': { attribute: { kind: 'remote-ip' }, parse: parseBlock },
  'source.namespace': { attribute: { kind: 'source-namespace' }, parse: parseNamespace },
  'source.principal': { attribute: { kind: 'source-principal' }, parse: parsePrincipal },
  'source.serviceAccount': { attribute: { kind: 'source-service-account' }, parse: parseServiceAccount },
  'source.trustDomain': { attribute: { kind: 'source-trust-domain' }, parse: parseText },
  'request.auth.principal': { attribute: { kind: 'request-principal' }, parse: parseRequestPrincipal },
  'request.auth.audiences': { attribute: { kind: 'request-audiences' }, parse: parseText },
  'request.auth.presenter': { attribute: { kind: 'request-presenter' }, parse: parseText },
  'destination.ip': { attribute: { kind: 'destination-ip' }, parse: parseBlock },
  'destination.port': { attribute: { kind: 'destination-port' }, parse: parsePort },
  'connection.sni': { attribute: { kind: 'sni' }, parse: parseText },
};

export function sourceMatches(source: AuthorizationSource, scope: AttributeScope): AttributeMatch[] {
  return fieldMatches({ ...source }, sourceFields, scope);
}

export function operationMatches(operation: AuthorizationOperation, scope: AttributeScope): AttributeMatch[] {
  return fieldMatches({ ...operation }, operationFields, scope);
}

export function conditionMatch(condition: AuthorizationCondition, scope: AttributeScope): AttributeMatch {
  const { key, values, notValues, ...more } = condition;
  const reading = Object.hasOwn(conditionKeys, key) ? conditionKeys[key] : keyedReading(key);
  // A field of a newer API may be what narrows the condition.
  if (!reading || Object.keys(more).length > 0) return unsupported(key);
  return readMatch(reading, key, { values, notValues }, scope);
}

/** Keys with a name in brackets. */
function keyedReading(key: string): Reading | undefined {
  const [, header] = /^request\.headers\[([^[\]]+)\]$/.exec(key) ?? [];
  if (header !== undefined) return { attribute: { kind: 'header', name: header.toLowerCase() }, parse: parseText };
  const [, names] = /^request\.auth\.claims((?:\[[^[\]]+\])+)$/.exec(key) ?? [];
  if (names === undefined) return undefined;
  return { attribute: { kind: 'claim', path: names.slice(1, -1).split('][') }, parse: parseText };
}

function fieldMatches(
  fields: Readonly<Record<string, unknown>>,
  readings: Readonly<Record<string, Reading>>,
  scope: AttributeScope,
): AttributeMatch[] {
  const matches: AttributeMatch[] = [];
  const left = new Set(Object.keys(fields).filter((name) => !isEmpty(fields[name])));
  for (const [field, reading] of Object.entries(readings)) {
    const negative = `not${field[0]?.toUpperCase()}${field.slice(1)}`;
    const has = left.delete(field);
    const hasNot = left.delete(negative);
    const lists = { values: fields[field], notValues: fields[negative] };
    if (has || hasNot) matches.push(readMatch(reading, has ? field : negative, lists, scope));
  }
  // Of a newer API.
  return [...matches, ...[...left].map(unsupported)];
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0);
}

function readMatch(
  { attribute, parse }: Reading,
  key: string,
  lists: { readonly values: unknown; readonly notValues: unknown },
  scope: AttributeScope,
): AttributeMatch {
  const read = (list: unknown): AttributeValue[] | undefined => {
    if (isEmpty(list)) return [];
    if (!Array.isArray(list)) return undefined;
    const parsed = list.map((value: unknown) =>
      typeof value === 'string' && value !== '' ? parse(value, scope) : undefined,
    );
    return parsed.includes(undefined) ? undefined : parsed.flatMap((value) => value ?? []);
  };
  const values = read(lists.values);
  const notValues = read(lists.notValues);
  return values && notValues
    ? { attribute, values, notValues }
    : unsupported(`${key} with a value that cannot be read`);
}

function unsupported(key: string): AttributeMatch {
  return { attribute: { kind: 'unsupported', key }, values: [], notValues: [] };
}

/** `*` is presence, `*x` a suffix, `x*` a prefix, anything else exact. */
function textMatch(text: string): TextMatch {
  if (text === '*') return { kind: 'present' };
  if (text.startsWith('*')) return { kind: 'suffix', value: text.slice(1) };
  if (text.endsWith('*')) return { kind: 'prefix', value: text.slice(0, -1) };
  return { kind: 'exact', value: text };
}

function parseText(text: string): AttributeValue {
  return { kind: 'text', match: textMatch(text) };
}

/** A principal of one trust domain of the mesh is meant in all of them. */
function parsePrincipal(text: string, { trustDomains }: AttributeScope): readonly AttributeValue[] {
  const match = textMatch(text);
  if (match.kind !== 'exact' && match.kind !== 'prefix') return [{ kind: 'text', match }];
  const { kind } = match;
  return principalValues(match.value, trustDomains).map((value) => ({ kind: 'text', match: { kind, value } }));
}

/** `*` stands for anything, wherever it is. */
function parseNamespace(text: string): AttributeValue {
  const inner = text.slice(1, -1);
  if (!inner.includes('*') && !(text.length > 1 && text.startsWith('*') && text.endsWith('*'))) return parseText(text);
  const value = text.split('*').map(escapeRegex).join('.*');
  return { kind: 'text', match: { kind: 'regex', value } };
}

/** Of RE2. */
function escapeRegex(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_-]/g, String.raw`\$&`);
}

/** Issuer and subject, parted at the last slash: neither can take characters of the other. */
function parseRequestPrincipal(text: string): AttributeValue {
  if (text === '*') return { kind: 'principal', issuer: { kind: 'present' }, subject: { kind: 'present' } };
  const slash = text.lastIndexOf('/');
  // `https://issuer*`: the slashes belong to the scheme.
  if (slash < 0 || text.slice(0, slash + 1).endsWith('://')) {
    const match = textMatch(text);
    return match.kind === 'suffix'
      ? { kind: 'principal', issuer: { kind: 'present' }, subject: match }
      : { kind: 'principal', issuer: match, subject: { kind: 'present' } };
  }
  return { kind: 'principal', issuer: textMatch(text.slice(0, slash)), subject: textMatch(text.slice(slash + 1)) };
}

function parseServiceAccount(text: string, { namespace }: AttributeScope): AttributeValue | undefined {
  const [first = '', second, ...more] = text.split('/');
  if (more.length > 0 || first === '' || second === '') return undefined;
  return second === undefined
    ? { kind: 'service-account', namespace, serviceAccount: first }
    : { kind: 'service-account', namespace: first, serviceAccount: second };
}

function parseBlock(text: string): AttributeValue | undefined {
  const cidr = tryParseCidr(text);
  return cidr && { kind: 'cidr', cidr };
}

function parsePort(text: string): AttributeValue | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  return port >= 0 && port <= 65_535 ? { kind: 'port', port } : undefined;
}

function parsePath(text: string): AttributeValue {
  return /[{}]/.test(text) ? { kind: 'path-template', value: text } : parseText(text);
}
