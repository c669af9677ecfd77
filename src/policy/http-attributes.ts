/** Attributes of authorization rules, compiled: ambient-l7, 2.5. */
import type { Attribute, AttributeMatch, AttributeValue } from '../api/l7/index.ts';
import type { Cidr } from '../lib/ip.ts';
import { cidrContains } from '../lib/ip.ts';
import { unreachable } from '../lib/errors.ts';
import { claimTexts } from './http-claims.ts';
import type { IpFact, RequestSubject, TokenFacts } from './http-facts.ts';
import { compilePathTemplate } from './http-path-template.ts';
import { compileText, type TextTest } from './text-match.ts';

export type SubjectTest = (subject: RequestSubject) => boolean;

/**
 * What a rule does where a message leaves room: one that grants (`narrow`) holds for less, one that forbids or asks somebody
 * (`widen`) for more.
 */
export type Approximation = 'narrow' | 'widen';

/** `tcp`: there is no HTTP message to ask. `before-tokens`: its tokens have not been verified yet. */
export type PolicyLayer = 'http' | 'before-tokens' | 'tcp';

export function isSupported(attribute: Attribute, layer: PolicyLayer): boolean {
  switch (attribute.kind) {
    case 'unsupported':
      return false;
    case 'request-principal':
    case 'request-audiences':
    case 'request-presenter':
    case 'claim':
      return layer === 'http';
    case 'header':
    case 'host':
    case 'method':
    case 'path':
      return layer !== 'tcp';
    case 'source-principal':
    case 'source-namespace':
    case 'source-service-account':
    case 'source-trust-domain':
    case 'source-ip':
    case 'remote-ip':
    case 'destination-ip':
    case 'destination-port':
    case 'sni':
      return true;
  }
}

/** Any of the values (where there are some), and none of the others. */
export function compileAttribute(match: AttributeMatch, how: Approximation): SubjectTest {
  const { attribute, values, notValues } = match;
  const positive = values.length > 0 ? compileValues(attribute, values, how) : undefined;
  // A hit in the second list takes the rule away, so doubt counts the other way round.
  const negative =
    notValues.length > 0 ? compileValues(attribute, notValues, how === 'narrow' ? 'widen' : 'narrow') : undefined;
  if (positive && negative) return (subject) => positive(subject) && !negative(subject);
  if (positive) return positive;
  return negative ? (subject) => !negative(subject) : () => true;
}

/** Whether the attribute hits one of the values; one that is not there hits none. */
function compileValues(attribute: Attribute, values: readonly AttributeValue[], how: Approximation): SubjectTest {
  switch (attribute.kind) {
    case 'source-principal':
      return ofText((subject) => subject.principal, values);
    case 'source-namespace':
      return ofText((subject) => subject.namespace, values);
    case 'source-trust-domain':
      return ofText((subject) => subject.trustDomain, values);
    case 'source-service-account':
      return ofAccount(values);
    case 'source-ip':
      return ofIp((subject) => subject.sourceIp, values, how);
    case 'remote-ip':
      return ofIp((subject) => subject.remoteIp, values, how);
    case 'destination-ip':
      return ofIp((subject) => subject.destinationIp, values, how);
    case 'destination-port':
      return ofPort(values);
    case 'request-principal':
      return ofPrincipal(values);
    case 'request-audiences':
      return ofTexts((subject) => subject.facts.token?.audiences, values);
    case 'request-presenter':
      return ofText((subject) => subject.facts.token?.presenter, values);
    case 'claim': {
      const { path } = attribute;
      return ofTexts(({ facts: { token } }) => token && claimTexts(token.claims, path), values);
    }
    case 'header':
      return ofHeader(attribute.name, values, how);
    case 'host':
      return ofText((subject) => subject.host, values.map(lowerCase));
    case 'method':
      return ofText((subject) => subject.facts.request?.method, values);
    case 'path':
      return ofText((subject) => subject.path, values);
    case 'sni':
      return ofText((subject) => subject.facts.connection.sni, values);
    case 'unsupported':
      throw new Error(`Cannot compile the unsupported attribute ${attribute.key}`);
    default:
      return unreachable(attribute);
  }
}

function ofText(read: (subject: RequestSubject) => string | undefined, values: readonly AttributeValue[]): SubjectTest {
  const hits = anyText(values);
  return (subject) => {
    const text = read(subject);
    return text !== undefined && hits(text);
  };
}

function ofTexts(
  read: (subject: RequestSubject) => readonly string[] | undefined,
  values: readonly AttributeValue[],
): SubjectTest {
  const hits = anyText(values);
  return (subject) => read(subject)?.some(hits) ?? false;
}

/**
 * Of a header that came several times, nobody knows which one the application takes: a rule that grants must fit all of them,
 * one that forbids any, or all in one line.
 */
function ofHeader(name: string, values: readonly AttributeValue[], how: Approximation): SubjectTest {
  const hits = anyText(values);
  // Parts of the request's line, which gRPC and HTTP/2 clients know as headers.
  if (name === ':authority' || name === 'host') return part(({ authority }) => authority, hits);
  if (name === ':method') return part(({ method }) => method, hits);
  if (name === ':path') return part(({ path }) => path, hits);
  if (name === ':scheme') return part(({ scheme }) => scheme, hits);
  return (subject) => {
    const fields = subject.facts.request?.headers.fields;
    if (!fields) return false;
    let first: string | undefined;
    let more: string[] | undefined;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] !== name) continue;
      const value = fields[i + 1] ?? '';
      if (first === undefined) first = value;
      else (more ??= [first]).push(value);
    }
    if (more) return how === 'narrow' ? more.every(hits) : more.some(hits) || hits(more.join(','));
    return first !== undefined && hits(first);
  };
}

type RequestPart = NonNullable<RequestSubject['facts']['request']>;

function part(read: (request: RequestPart) => string, hits: TextTest): SubjectTest {
  return ({ facts: { request } }) => request !== undefined && hits(read(request));
}

function ofAccount(values: readonly AttributeValue[]): SubjectTest {
  const accounts = new Set(
    values.flatMap((value) =>
      value.kind === 'service-account' ? [`${value.namespace}/${value.serviceAccount}`] : wrongValue(value),
    ),
  );
  return (subject) => {
    const { namespace, serviceAccount } = subject;
    return namespace !== undefined && accounts.has(`${namespace}/${serviceAccount}`);
  };
}

function ofPort(values: readonly AttributeValue[]): SubjectTest {
  const ports = values.map((value) => (value.kind === 'port' ? value.port : wrongValue(value)));
  return (subject) => ports.includes(subject.facts.connection.destinationPort);
}

/** Of what is no address (a forwarded one may be any text), nobody knows in which block it would be: doubt decides. */
function ofIp(
  read: (subject: RequestSubject) => IpFact,
  values: readonly AttributeValue[],
  how: Approximation,
): SubjectTest {
  const blocks = values.map((value) => (value.kind === 'cidr' ? value.cidr : wrongValue(value)));
  const numbers = blocks.filter(({ address }) => address.length === 4).map(ipv4Block);
  const others = blocks.filter(({ address }) => address.length !== 4);
  return (subject) => {
    const ip = read(subject);
    if (typeof ip === 'number') return numbers.some(({ mask, network }) => (ip & mask) >>> 0 === network);
    return ip === 'none' ? how === 'widen' : others.some((block) => cidrContains(block, ip));
  };
}

function ipv4Block({ address, prefixLength }: Cidr): { readonly network: number; readonly mask: number } {
  const mask = prefixLength === 0 ? 0 : (-1 << (32 - prefixLength)) >>> 0;
  const network = new DataView(address.buffer, address.byteOffset, 4).getUint32(0);
  return { network: (network & mask) >>> 0, mask };
}

function ofPrincipal(values: readonly AttributeValue[]): SubjectTest {
  const tests = values.map((value): ((token: TokenFacts) => boolean) => {
    if (value.kind !== 'principal') return wrongValue(value);
    const issuer = compileText(value.issuer);
    const subject = compileText(value.subject);
    return (token) => issuer(token.issuer) && subject(token.subject);
  });
  return ({ facts: { token } }) =>
    // Who has no issuer or no subject has no principal.
    token !== undefined && token.issuer !== '' && token.subject !== '' && tests.some((test) => test(token));
}

function anyText(values: readonly AttributeValue[]): TextTest {
  const exact = values.flatMap((value) =>
    value.kind === 'text' && value.match.kind === 'exact' && value.ignoreCase !== true ? [value.match.value] : [],
  );
  if (exact.length === values.length) {
    const [only] = exact;
    if (exact.length === 1) return (text) => text === only;
    const set = new Set(exact);
    return (text) => set.has(text);
  }
  const tests = values.map((value) => {
    if (value.kind === 'path-template') return compilePathTemplate(value.value);
    if (value.kind !== 'text') return wrongValue(value);
    return compileText(value.match, { ignoreCase: value.ignoreCase ?? false });
  });
  const [first] = tests;
  return tests.length === 1 && first ? first : (text) => tests.some((test) => test(text));
}

/** Hosts are compared in lower case. */
function lowerCase(value: AttributeValue): AttributeValue {
  if (value.kind !== 'text' || value.match.kind === 'present') return value;
  if (value.match.kind === 'regex') return { ...value, ignoreCase: true };
  return { kind: 'text', match: { ...value.match, value: value.match.value.toLowerCase() } };
}

/** Discovery and the decoder of the wire give each attribute values of its kind. */
function wrongValue(value: AttributeValue): never {
  throw new Error(`A value of kind ${value.kind} does not belong to this attribute`);
}
