/**
 * Sources, operations and conditions of AuthorizationPolicy rules -> L4 matches.
 *
 * What L4 cannot tell, or nobody can read, never widens access: an ALLOW keeps less than was written (`narrow`), a DENY
 * more (`widen`). An element that then says nothing is `'always'`, one that can never hold is `'never'`.
 */
import type { AuthorizationCondition, AuthorizationOperation, AuthorizationSource } from '../api/istio.ts';
import { tryParseCidr, type Cidr } from '../lib/ip.ts';
import { emptyMatch, type AuthorizationMatch, type ServiceAccountMatch, type StringMatch } from '../policy/model.ts';
import { parseTrustDomain, principalsOfDomains } from './trust-domain-match.ts';

export type Approximation = 'narrow' | 'widen';

export type Element = AuthorizationMatch | 'always' | 'never';

export interface ElementFinding {
  readonly element: Element;
  /** Attributes that only a waypoint can decide, by path within the element. */
  readonly l7: readonly string[];
  /** Values that cannot be read: `ipBlocks "10.0.0/8"`. */
  readonly invalid: readonly string[];
}

/** How one attribute is read: which family of the match it fills, and its values. */
interface Attribute<K extends keyof AuthorizationMatch> {
  readonly family: K;
  readonly parse: (text: string, namespace: string) => AuthorizationMatch[K][number] | undefined;
}

type AnyAttribute = { [K in keyof AuthorizationMatch]: Attribute<K> }[keyof AuthorizationMatch];
type Attributes = Readonly<Record<string, AnyAttribute>>;

const sourceAttributes: Attributes = {
  principals: { family: 'principals', parse: parseString },
  notPrincipals: { family: 'notPrincipals', parse: parseString },
  namespaces: { family: 'namespaces', parse: parseString },
  notNamespaces: { family: 'notNamespaces', parse: parseString },
  ipBlocks: { family: 'sourceIps', parse: parseBlock },
  notIpBlocks: { family: 'notSourceIps', parse: parseBlock },
  serviceAccounts: { family: 'serviceAccounts', parse: parseServiceAccount },
  notServiceAccounts: { family: 'notServiceAccounts', parse: parseServiceAccount },
  notTrustDomains: { family: 'notPrincipals', parse: parseTrustDomain },
};

const operationAttributes: Attributes = {
  ports: { family: 'destinationPorts', parse: parsePort },
  notPorts: { family: 'notDestinationPorts', parse: parsePort },
};

/** `when` keys that L4 knows; the attributes are those of `values` and `notValues`. */
const conditionAttributes: Readonly<Record<string, Attributes>> = {
  'source.ip': pair('sourceIps', 'notSourceIps', parseBlock),
  'source.namespace': pair('namespaces', 'notNamespaces', parseString),
  'source.principal': pair('principals', 'notPrincipals', parseString),
  'destination.ip': pair('destinationIps', 'notDestinationIps', parseBlock),
  'destination.port': pair('destinationPorts', 'notDestinationPorts', parsePort),
};

/** `namespace` is the policy's: a service account without one is of it. */
export function sourceElement(source: AuthorizationSource, namespace: string, how: Approximation): ElementFinding {
  const { trustDomains, ...others } = source;
  const found = readElement(others, sourceAttributes, namespace, how);
  if (!Array.isArray(trustDomains) || trustDomains.length === 0) return found;
  return withTrustDomains(found, trustDomains, Object.keys(others).length === 0, how);
}

/** `alone`: the source says nothing else, which without trust domains would be a match of nothing. */
function withTrustDomains(
  found: ElementFinding,
  trustDomains: readonly string[],
  alone: boolean,
  how: Approximation,
): ElementFinding {
  const parsed = trustDomains.map(parseTrustDomain);
  const invalid = trustDomains.flatMap((text, i) => (parsed[i] ? [] : [`trustDomains ${JSON.stringify(text)}`]));
  const domains = parsed.filter((domain) => domain !== undefined);
  const finding = { ...found, invalid: [...found.invalid, ...invalid] };
  if (invalid.length > 0 && how === 'widen') return finding;
  if (found.element === 'never' && !alone) return finding;
  const match = typeof found.element === 'object' ? found.element : emptyMatch;
  const asked = match.principals.length > 0 ? match.principals : [{ kind: 'presence' } as const];
  const principals = principalsOfDomains(asked, domains, how);
  return { ...finding, element: principals.length > 0 ? { ...match, principals } : 'never' };
}

export function operationElement(operation: AuthorizationOperation, how: Approximation): ElementFinding {
  return readElement(operation, operationAttributes, '', how);
}

export function conditionElement(condition: AuthorizationCondition, how: Approximation): ElementFinding {
  const { key, ...lists } = condition;
  const attributes = Object.hasOwn(conditionAttributes, key) ? conditionAttributes[key] : undefined;
  if (!attributes) return { element: how === 'widen' ? 'always' : 'never', l7: [key], invalid: [] };
  return readElement(lists, attributes, '', how);
}

function readElement(fields: object, attributes: Attributes, namespace: string, how: Approximation): ElementFinding {
  const match: { [K in keyof AuthorizationMatch]: AuthorizationMatch[K][number][] } = structuredClone(
    emptyMatch,
  ) as never;
  const l7: string[] = [];
  const invalid: string[] = [];
  let never = false;
  for (const [name, values] of Object.entries(fields) as [string, unknown][]) {
    if (values === undefined || values === null || (Array.isArray(values) && values.length === 0)) continue;
    const attribute = Object.hasOwn(attributes, name) ? attributes[name] : undefined;
    // Whatever is not of L4, be it of a newer API, is for a waypoint.
    if (!attribute || !Array.isArray(values)) {
      l7.push(name);
      continue;
    }
    const parsed = (values as unknown[]).map((value) =>
      typeof value === 'string' ? attribute.parse(value, namespace) : undefined,
    );
    const bad = values.filter((_, i) => parsed[i] === undefined);
    invalid.push(...bad.map((value) => `${name} ${JSON.stringify(value)}`));
    const good = parsed.filter((value) => value !== undefined);
    const negative = name.startsWith('not');
    if (bad.length > 0 && how === 'narrow' && (negative || good.length === 0)) never = true;
    // A DENY whose positive list cannot be read in full stops asking for it.
    if (bad.length > 0 && how === 'widen' && !negative) continue;
    (match[attribute.family] as unknown[]).push(...good);
  }
  if (how === 'narrow' && (never || l7.length > 0)) return { element: 'never', l7, invalid };
  const empty = Object.values(match).every((list) => list.length === 0);
  // Upstream: a match without any field never holds; here it says what its writer can only have meant.
  return { element: empty ? (how === 'widen' ? 'always' : 'never') : match, l7, invalid };
}

function pair<K extends keyof AuthorizationMatch, N extends keyof AuthorizationMatch>(
  family: K,
  notFamily: N,
  parse: (text: string, namespace: string) => (AuthorizationMatch[K] & AuthorizationMatch[N])[number] | undefined,
): Attributes {
  return { values: { family, parse } as AnyAttribute, notValues: { family: notFamily, parse } as AnyAttribute };
}

/** `*` is presence, `*x` a suffix, `x*` a prefix, anything else exact. */
function parseString(text: string): StringMatch | undefined {
  if (text === '') return undefined;
  if (text === '*') return { kind: 'presence' };
  if (text.startsWith('*')) return { kind: 'suffix', value: text.slice(1) };
  if (text.endsWith('*')) return { kind: 'prefix', value: text.slice(0, -1) };
  return { kind: 'exact', value: text };
}

function parseBlock(text: string): Cidr | undefined {
  return tryParseCidr(text);
}

function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : undefined;
}

function parseServiceAccount(text: string, namespace: string): ServiceAccountMatch | undefined {
  const parts = text.split('/');
  const [first = '', second] = parts;
  if (parts.length > 2 || first === '' || second === '') return undefined;
  return second === undefined ? { namespace, serviceAccount: first } : { namespace: first, serviceAccount: second };
}
