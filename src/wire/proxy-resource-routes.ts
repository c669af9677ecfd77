/** Route tables on the wire: decoders, and texts of rules that are kept from one version of a table to the next. */
import type {
  CorsPolicy,
  FaultInjection,
  HeaderChanges,
  HttpAction,
  HttpMatch,
  HttpRule,
  Mirror,
  NamedMatch,
  PathMatch,
  PathRewrite,
  RetryPolicy,
  RouteTable,
  SessionPersistence,
  TcpRule,
  TlsRule,
  UrlRewrite,
  VirtualHost,
  WeightedDestination,
} from '../api/l7/index.ts';
import {
  cidrText,
  duration,
  either,
  flag,
  httpStatus,
  integer,
  list,
  name,
  number,
  object,
  oneOf,
  optional,
  pair,
  percent,
  port,
  text,
  union,
  type Decoder,
  type Member,
} from './proxy-resource-fields.ts';
import { names, origin, textMatch } from './proxy-resource-matches.ts';

const pathText = object<Member<PathMatch, 'exact'>>({
  kind: oneOf('exact', 'prefix', 'regex'),
  value: text,
  ignoreCase: optional(flag),
});

const pathMatch = union<PathMatch, 'kind'>('kind', {
  exact: pathText,
  prefix: pathText,
  regex: pathText,
  'path-prefix': object<Member<PathMatch, 'path-prefix'>>({ kind: oneOf('path-prefix'), value: text }),
});

const namedMatch = object<NamedMatch>({ name, match: textMatch, invert: flag });

type ClaimMatch = NonNullable<HttpMatch['claims']>[number];

export const httpMatch: Decoder<HttpMatch> = object<HttpMatch>({
  path: optional(pathMatch),
  method: optional(textMatch),
  scheme: optional(textMatch),
  authority: optional(textMatch),
  headers: optional(list(namedMatch)),
  query: optional(list(namedMatch)),
  claims: optional(list(object<ClaimMatch>({ path: list(text), match: textMatch, invert: flag }))),
  port: optional(port),
  sourceNamespace: optional(text),
});

const pathRewrite = union<PathRewrite, 'kind'>('kind', {
  full: object<Member<PathRewrite, 'full'>>({ kind: oneOf('full'), value: text }),
  prefix: object<Member<PathRewrite, 'prefix'>>({ kind: oneOf('prefix'), value: text, bySegments: flag }),
  regex: object<Member<PathRewrite, 'regex'>>({ kind: oneOf('regex'), pattern: text, value: text }),
});

const urlRewrite = object<UrlRewrite>({ authority: optional(text), path: optional(pathRewrite) });

const headerChanges = object<HeaderChanges>({ set: list(pair), add: list(pair), remove: names });

type Target = WeightedDestination['target'];

const destination = object<WeightedDestination>({
  weight: number(0),
  target: union<Target, 'kind'>('kind', {
    backend: object<Member<Target, 'backend'>>({ kind: oneOf('backend'), backend: name }),
    invalid: object<Member<Target, 'invalid'>>({ kind: oneOf('invalid'), status: httpStatus, reason: text }),
  }),
  requestHeaders: optional(headerChanges),
  responseHeaders: optional(headerChanges),
  rewrite: optional(urlRewrite),
});

const action = union<HttpAction, 'kind'>('kind', {
  forward: object<Member<HttpAction, 'forward'>>({
    kind: oneOf('forward'),
    destinations: list(destination),
    rewrite: optional(urlRewrite),
  }),
  redirect: object<Member<HttpAction, 'redirect'>>({
    kind: oneOf('redirect'),
    status: httpStatus,
    scheme: optional(text),
    hostname: optional(text),
    port: optional(either(port, oneOf('from-scheme', 'from-request'))),
    path: optional(pathRewrite),
  }),
  respond: object<Member<HttpAction, 'respond'>>({
    kind: oneOf('respond'),
    status: httpStatus,
    body: optional(text),
    contentType: optional(text),
  }),
});

export const retryPolicy: Decoder<RetryPolicy> = object<RetryPolicy>({
  attempts: integer(),
  perTryTimeoutMs: optional(duration),
  on: list(
    oneOf(
      '5xx',
      'gateway-error',
      'reset',
      'reset-before-request',
      'connect-failure',
      'envoy-ratelimited',
      'retriable-4xx',
      'refused-stream',
      'retriable-status-codes',
      'retriable-headers',
      'cancelled',
      'deadline-exceeded',
      'internal',
      'resource-exhausted',
      'unavailable',
    ),
  ),
  statusCodes: list(httpStatus),
  backoffBaseMs: duration,
  backoffMaxMs: duration,
  avoidsPreviousHosts: flag,
  remoteLocalities: flag,
});

const fault = object<FaultInjection>({
  delay: optional(object<NonNullable<FaultInjection['delay']>>({ ms: duration, percent })),
  abort: optional(
    object<NonNullable<FaultInjection['abort']>>({
      percent,
      httpStatus: optional(httpStatus),
      grpcStatus: optional(integer(0, 16)),
    }),
  ),
});

const cors = object<CorsPolicy>({
  allowOrigins: list(textMatch),
  allowMethods: names,
  allowHeaders: names,
  exposeHeaders: names,
  maxAgeSeconds: optional(number(0)),
  allowCredentials: flag,
  unmatchedPreflights: oneOf('forward', 'ignore'),
});

const sessionPersistence = object<SessionPersistence>({
  type: oneOf('cookie', 'header'),
  name,
  path: optional(text),
  absoluteTimeoutMs: optional(duration),
  idleTimeoutMs: optional(duration),
  lifetime: oneOf('session', 'permanent'),
});

const httpRule = object<HttpRule>({
  name,
  origin,
  matches: list(httpMatch),
  action,
  requestHeaders: optional(headerChanges),
  responseHeaders: optional(headerChanges),
  timeoutMs: optional(duration),
  retry: optional(retryPolicy),
  fault: optional(fault),
  mirrors: optional(list(object<Mirror>({ backend: name, percent }))),
  cors: optional(cors),
  sessionPersistence: optional(sessionPersistence),
});

const tlsRule = object<TlsRule>({
  name,
  origin,
  sniHosts: names,
  destinationSubnets: list(cidrText),
  port: optional(port),
  destinations: list(destination),
});

const tcpRule = object<TcpRule>({
  name,
  origin,
  destinationSubnets: list(cidrText),
  port: optional(port),
  sourceNamespace: optional(text),
  destinations: list(destination),
});

/** Rules as they came, so that a table with the same rule again has the very same object: what is made of it is kept with it. */
const textOfRule = new WeakMap<HttpRule, string>();

/** Of a table that follows `before`: rules that are in both are decoded once: a quarter of the time where one of 2,500 changed. */
export function routeTable(before: RouteTable | undefined): Decoder<RouteTable> {
  const known = new Map<string, HttpRule>();
  for (const { rules } of before?.hosts ?? []) {
    for (const rule of rules) {
      const text = textOfRule.get(rule);
      if (text !== undefined) known.set(text, rule);
    }
  }
  const rule: Decoder<HttpRule> = (value) => {
    const text = JSON.stringify(value);
    const found = known.get(text);
    if (found) return found;
    const decoded = httpRule(value);
    textOfRule.set(decoded, text);
    return decoded;
  };
  return object<RouteTable>({
    kind: oneOf('routes'),
    name,
    hosts: list(object<VirtualHost>({ domains: names, rules: list(rule) })),
    tls: list(tlsRule),
    tcp: list(tcpRule),
  });
}

const encodedRules = new WeakMap<HttpRule, string>();

/** As `JSON.stringify` has it; rules are written once for all tables that they are in. */
export function routeTableText(table: RouteTable): string {
  return objectText(table, 'hosts', (hosts) => listText(hosts, hostText));
}

function hostText(host: VirtualHost): string {
  return objectText(host, 'rules', (rules) => listText(rules, ruleText));
}

function ruleText(rule: HttpRule): string {
  let text = encodedRules.get(rule);
  if (text === undefined) encodedRules.set(rule, (text = JSON.stringify(rule)));
  return text;
}

/** An object of which one field has a text of its own. */
function objectText<T extends object, Key extends keyof T & string>(
  value: T,
  key: Key,
  textOf: (field: T[Key]) => string,
): string {
  const fields = Object.entries(value).map(
    ([name, field]) => `${JSON.stringify(name)}:${name === key ? textOf(value[key]) : JSON.stringify(field)}`,
  );
  return `{${fields.join(',')}}`;
}

function listText<T>(values: readonly T[], textOf: (value: T) => string): string {
  return `[${values.map(textOf).join(',')}]`;
}
