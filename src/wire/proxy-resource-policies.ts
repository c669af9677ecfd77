/** Decoders of policies, and of the services that policies call. */
import type {
  AccessLogPolicy,
  Attribute,
  AttributeMatch,
  AttributeValue,
  Extension,
  HttpAuthorization,
  HttpAuthorizationRule,
  JwtRule,
  MetricOverride,
  Provider,
  ProviderUse,
  RateLimit,
  RateLimitKey,
  RateLimitRule,
  RequestAuthentication,
  TelemetryPolicy,
  TracingPolicy,
} from '../api/l7/index.ts';
import {
  cidr,
  duration,
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
  textRecord,
  union,
  type Decoder,
  type Member,
} from './proxy-resource-fields.ts';
import { names, origin, textMatch } from './proxy-resource-matches.ts';
import { httpMatch } from './proxy-resource-routes.ts';

const sourceName = object<Member<Attribute, 'source-principal'>>({
  kind: oneOf('source-principal', 'source-namespace', 'source-service-account', 'source-trust-domain'),
});
const address = object<Member<Attribute, 'source-ip'>>({ kind: oneOf('source-ip', 'remote-ip', 'destination-ip') });
const ofToken = object<Member<Attribute, 'request-principal'>>({
  kind: oneOf('request-principal', 'request-audiences', 'request-presenter'),
});
const ofRequest = object<Member<Attribute, 'host'>>({ kind: oneOf('host', 'method', 'path', 'sni') });

const attribute = union<Attribute, 'kind'>('kind', {
  'source-principal': sourceName,
  'source-namespace': sourceName,
  'source-service-account': sourceName,
  'source-trust-domain': sourceName,
  'source-ip': address,
  'remote-ip': address,
  'destination-ip': address,
  'destination-port': object<Member<Attribute, 'destination-port'>>({ kind: oneOf('destination-port') }),
  'request-principal': ofToken,
  'request-audiences': ofToken,
  'request-presenter': ofToken,
  claim: object<Member<Attribute, 'claim'>>({ kind: oneOf('claim'), path: list(text) }),
  header: object<Member<Attribute, 'header'>>({ kind: oneOf('header'), name }),
  host: ofRequest,
  method: ofRequest,
  path: ofRequest,
  sni: ofRequest,
  unsupported: object<Member<Attribute, 'unsupported'>>({ kind: oneOf('unsupported'), key: text }),
});

const attributeValue = union<AttributeValue, 'kind'>('kind', {
  text: object<Member<AttributeValue, 'text'>>({
    kind: oneOf('text'),
    match: textMatch,
    ignoreCase: optional(flag),
  }),
  'path-template': object<Member<AttributeValue, 'path-template'>>({ kind: oneOf('path-template'), value: text }),
  cidr: object<Member<AttributeValue, 'cidr'>>({ kind: oneOf('cidr'), cidr }),
  port: object<Member<AttributeValue, 'port'>>({ kind: oneOf('port'), port }),
  principal: object<Member<AttributeValue, 'principal'>>({
    kind: oneOf('principal'),
    issuer: textMatch,
    subject: textMatch,
  }),
  'service-account': object<Member<AttributeValue, 'service-account'>>({
    kind: oneOf('service-account'),
    namespace: text,
    serviceAccount: text,
  }),
});

const attributeMatch = object<AttributeMatch>({
  attribute,
  values: list(attributeValue),
  notValues: list(attributeValue),
});

export const authorization: Decoder<HttpAuthorization> = object<HttpAuthorization>({
  kind: oneOf('authorization'),
  name,
  origin,
  action: oneOf('allow', 'deny', 'audit', 'custom'),
  dryRun: flag,
  provider: optional(name),
  rules: list(
    object<HttpAuthorizationRule>({
      from: list(list(attributeMatch)),
      to: list(list(attributeMatch)),
      when: list(attributeMatch),
    }),
  ),
});

const jwtRule = object<JwtRule>({
  issuer: text,
  audiences: list(text),
  keys: union<JwtRule['keys'], 'kind'>('kind', {
    jwks: object<Member<JwtRule['keys'], 'jwks'>>({ kind: oneOf('jwks'), json: text }),
    unavailable: object<Member<JwtRule['keys'], 'unavailable'>>({ kind: oneOf('unavailable'), reason: text }),
  }),
  keySet: optional(text),
  fromHeaders: list(object<JwtRule['fromHeaders'][number]>({ name, prefix: text })),
  fromParams: names,
  fromCookies: names,
  outputPayloadToHeader: optional(name),
  outputClaimToHeaders: list(object<JwtRule['outputClaimToHeaders'][number]>({ header: name, claim: list(text) })),
  forwardOriginalToken: flag,
  spaceDelimitedClaims: names,
});

export const authentication: Decoder<RequestAuthentication> = object<RequestAuthentication>({
  kind: oneOf('authentication'),
  name,
  origin,
  rules: list(jwtRule),
});

const requestKey = object<Member<RateLimitKey, 'remote-ip'>>({
  kind: oneOf('remote-ip', 'source-principal', 'source-namespace', 'method', 'path', 'route'),
  key: text,
});

const rateLimitKey = union<RateLimitKey, 'kind'>('kind', {
  header: object<Member<RateLimitKey, 'header'>>({ kind: oneOf('header'), name, key: text }),
  query: object<Member<RateLimitKey, 'query'>>({ kind: oneOf('query'), name, key: text }),
  claim: object<Member<RateLimitKey, 'claim'>>({ kind: oneOf('claim'), path: list(text), key: text }),
  'remote-ip': requestKey,
  'source-principal': requestKey,
  'source-namespace': requestKey,
  method: requestKey,
  path: requestKey,
  route: requestKey,
  value: object<Member<RateLimitKey, 'value'>>({ kind: oneOf('value'), key: text, value: text }),
});

type Enforcement = RateLimitRule['enforcement'];

const rateLimitRule = object<RateLimitRule>({
  name,
  matches: list(httpMatch),
  by: list(rateLimitKey),
  enforcement: union<Enforcement, 'kind'>('kind', {
    local: object<Member<Enforcement, 'local'>>({
      kind: oneOf('local'),
      burst: number(0),
      tokens: number(0),
      intervalMs: number(1),
    }),
    global: object<Member<Enforcement, 'global'>>({
      kind: oneOf('global'),
      provider: name,
      domain: text,
      timeoutMs: duration,
      failOpen: flag,
    }),
  }),
  dryRun: flag,
  status: httpStatus,
});

export const rateLimit: Decoder<RateLimit> = object<RateLimit>({
  kind: oneOf('rate-limit'),
  name,
  origin,
  limits: list(rateLimitRule),
});

type TagChange = MetricOverride['tags'][number]['change'];

const side = oneOf('client', 'server');

const metricOverride = object<MetricOverride>({
  side: optional(side),
  metric: name,
  disabled: optional(flag),
  tags: list(
    object<MetricOverride['tags'][number]>({
      name,
      change: union<TagChange, 'kind'>('kind', {
        remove: object<Member<TagChange, 'remove'>>({ kind: oneOf('remove') }),
        set: object<Member<TagChange, 'set'>>({ kind: oneOf('set'), expression: text }),
      }),
    }),
  ),
});

type CustomTag = NonNullable<TracingPolicy['customTags']>[number];

const namedTag = object<Member<CustomTag['value'], 'header'>>({
  kind: oneOf('header', 'environment'),
  name,
  default: text,
});

const customTag = object<CustomTag>({
  name,
  value: union<CustomTag['value'], 'kind'>('kind', {
    literal: object<Member<CustomTag['value'], 'literal'>>({ kind: oneOf('literal'), value: text }),
    header: namedTag,
    environment: namedTag,
    format: object<Member<CustomTag['value'], 'format'>>({ kind: oneOf('format'), template: text }),
  }),
});

const tracing = object<TracingPolicy>({
  side: optional(side),
  providers: optional(names),
  samplingPercent: optional(percent),
  disabled: optional(flag),
  customTags: optional(list(customTag)),
  usesRequestId: optional(flag),
  istioTags: optional(flag),
  propagates: optional(flag),
});

export const telemetry: Decoder<TelemetryPolicy> = object<TelemetryPolicy>({
  kind: oneOf('telemetry'),
  name,
  scope: oneOf('mesh', 'namespace', 'target'),
  metrics: list(metricOverride),
  accessLogs: optional(
    list(
      object<AccessLogPolicy>({
        side: optional(side),
        provider: optional(name),
        disabled: flag,
        filter: optional(text),
      }),
    ),
  ),
  tracing: optional(tracing),
});

export const extension: Decoder<Extension> = object<Extension>({
  kind: oneOf('extension'),
  name,
  origin,
  source: text,
  sha256: name,
  config: text,
  phase: oneOf('authentication', 'authorization', 'statistics', 'last'),
  priority: number(-Number.MAX_VALUE),
  failOpen: flag,
  timeoutMs: duration,
  memoryMb: number(0),
  maxBodyBytes: integer(),
});

const extAuthz = object<Member<ProviderUse, 'ext-authz-http'>>({
  kind: oneOf('ext-authz-http', 'ext-authz-grpc'),
  timeoutMs: duration,
  failOpen: flag,
  statusOnError: httpStatus,
  pathPrefix: text,
  includeHeaders: names,
  addHeaders: list(pair),
  body: optional(
    object<NonNullable<Member<ProviderUse, 'ext-authz-http'>['body']>>({
      maxBytes: integer(),
      allowPartial: flag,
      packAsBytes: flag,
    }),
  ),
  headersToUpstreamOnAllow: names,
  headersToDownstreamOnDeny: names,
  headersToDownstreamOnAllow: names,
});

type LogFormat = Member<ProviderUse, 'access-log-file'>['format'];

export const provider: Decoder<Provider> = object<Provider>({
  kind: oneOf('provider'),
  name,
  use: union<ProviderUse, 'kind'>('kind', {
    'ext-authz-http': extAuthz,
    'ext-authz-grpc': extAuthz,
    'rate-limit': object<Member<ProviderUse, 'rate-limit'>>({ kind: oneOf('rate-limit') }),
    opentelemetry: object<Member<ProviderUse, 'opentelemetry'>>({
      kind: oneOf('opentelemetry'),
      protocol: oneOf('grpc', 'http'),
      path: text,
      timeoutMs: duration,
      headers: list(pair),
    }),
    zipkin: object<Member<ProviderUse, 'zipkin'>>({ kind: oneOf('zipkin'), path: text }),
    'access-log-file': object<Member<ProviderUse, 'access-log-file'>>({
      kind: oneOf('access-log-file'),
      path: text,
      format: union<LogFormat, 'kind'>('kind', {
        text: object<Member<LogFormat, 'text'>>({ kind: oneOf('text'), template: text }),
        json: object<Member<LogFormat, 'json'>>({ kind: oneOf('json'), fields: textRecord }),
      }),
    }),
  }),
  backend: optional(name),
});
