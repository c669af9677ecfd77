/** Policies of an L7 proxy, each a resource of its own, and the services that policies call. */
import type { Cidr } from '../../lib/ip.ts';
import type { Origin, TextMatch } from './origin.ts';
import type { HttpMatch } from './routes.ts';

export type ProxyPolicy = HttpAuthorization | RequestAuthentication | RateLimit | TelemetryPolicy | Extension;

/** AuthorizationPolicy in full (ambient-l7, 2.5). Named `<namespace>/<name>`. */
export interface HttpAuthorization {
  readonly kind: 'authorization';
  readonly name: string;
  readonly origin: Origin;
  readonly action: 'allow' | 'deny' | 'audit' | 'custom';
  readonly dryRun: boolean;
  /** Of `custom`: name of the Provider; one that does not exist denies what the rules match. */
  readonly provider?: string;
  /** Any is enough. `allow` without rules allows nothing. */
  readonly rules: readonly HttpAuthorizationRule[];
}

/** All clauses must hold; of a clause, any alternative. */
export interface HttpAuthorizationRule {
  readonly from: readonly (readonly AttributeMatch[])[];
  readonly to: readonly (readonly AttributeMatch[])[];
  readonly when: readonly AttributeMatch[];
}

/** One attribute: any of `values` (where there are some), and none of `notValues`. */
export interface AttributeMatch {
  readonly attribute: Attribute;
  readonly values: readonly AttributeValue[];
  readonly notValues: readonly AttributeValue[];
}

export type Attribute =
  | { readonly kind: 'source-principal' | 'source-namespace' | 'source-service-account' | 'source-trust-domain' }
  | { readonly kind: 'source-ip' | 'remote-ip' | 'destination-ip' }
  | { readonly kind: 'destination-port' }
  | { readonly kind: 'request-principal' | 'request-audiences' | 'request-presenter' }
  | { readonly kind: 'claim'; readonly path: readonly string[] }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'host' | 'method' | 'path' | 'sni' }
  /** What this proxy cannot know. In `allow` it never holds; elsewhere it is passed over, so that more is denied. */
  | { readonly kind: 'unsupported'; readonly key: string };

export type AttributeValue =
  | { readonly kind: 'text'; readonly match: TextMatch; readonly ignoreCase?: boolean }
  /** `{*}` is one segment, `{**}` any number at the end. */
  | { readonly kind: 'path-template'; readonly value: string }
  | { readonly kind: 'cidr'; readonly cidr: Cidr }
  | { readonly kind: 'port'; readonly port: number }
  /** Of a token: issuer and subject. */
  | { readonly kind: 'principal'; readonly issuer: TextMatch; readonly subject: TextMatch }
  | { readonly kind: 'service-account'; readonly namespace: string; readonly serviceAccount: string };

/** RequestAuthentication (ambient-l7, 2.7). Named `<namespace>/<name>`. */
export interface RequestAuthentication {
  readonly kind: 'authentication';
  readonly name: string;
  readonly origin: Origin;
  readonly rules: readonly JwtRule[];
}

export interface JwtRule {
  readonly issuer: string;
  /** Any; none: not looked at. */
  readonly audiences: readonly string[];
  /** JWK set as JSON, resolved by the control plane. `unavailable`: every token fails. */
  readonly keys:
    | { readonly kind: 'jwks'; readonly json: string }
    | { readonly kind: 'unavailable'; readonly reason: string };
  /** Under which the control plane can be asked to fetch the keys anew; absent: they are part of the policy. */
  readonly keySet?: string;
  readonly fromHeaders: readonly { readonly name: string; readonly prefix: string }[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  readonly outputPayloadToHeader?: string;
  readonly outputClaimToHeaders: readonly { readonly header: string; readonly claim: readonly string[] }[];
  readonly forwardOriginalToken: boolean;
  readonly spaceDelimitedClaims: readonly string[];
}

/** RateLimit of `policy.ambit.dev` (named `<namespace>/<name>`). */
export interface RateLimit {
  readonly kind: 'rate-limit';
  readonly name: string;
  readonly origin: Origin;
  readonly limits: readonly RateLimitRule[];
}

export interface RateLimitRule {
  readonly name: string;
  /** Requests that count; none: all. */
  readonly matches: readonly HttpMatch[];
  /** One bucket for each combination of values; none: one for all. */
  readonly by: readonly RateLimitKey[];
  readonly enforcement:
    | {
        readonly kind: 'local';
        /** Tokens of a full bucket, and how many come back in each interval. */
        readonly burst: number;
        readonly tokens: number;
        readonly intervalMs: number;
      }
    | {
        readonly kind: 'global';
        /** Name of the Provider. */
        readonly provider: string;
        readonly domain: string;
        readonly timeoutMs: number;
        /** What an unreachable service means. */
        readonly failOpen: boolean;
      };
  /** Logged and counted, not enforced. */
  readonly dryRun: boolean;
  readonly status: number;
}

export type RateLimitKey =
  | { readonly kind: 'header'; readonly name: string; readonly key: string }
  | { readonly kind: 'query'; readonly name: string; readonly key: string }
  | { readonly kind: 'claim'; readonly path: readonly string[]; readonly key: string }
  | {
      readonly kind: 'remote-ip' | 'source-principal' | 'source-namespace' | 'method' | 'path' | 'route';
      readonly key: string;
    }
  | { readonly kind: 'value'; readonly key: string; readonly value: string };

/**
 * Telemetry (ambient-l7, 4). Named `<namespace>/<name>`. Of those of one place, what one with a narrower scope says of access logs or
 * tracing counts instead of what wider ones say; changes of metrics add up.
 */
export interface TelemetryPolicy {
  readonly kind: 'telemetry';
  readonly name: string;
  /** How it came to this place: from widest to narrowest. */
  readonly scope: 'mesh' | 'namespace' | 'target';
  readonly metrics: readonly MetricOverride[];
  /** Absent: it says nothing of access logs. */
  readonly accessLogs?: readonly AccessLogPolicy[];
  readonly tracing?: TracingPolicy;
}

/** Traffic of which side: waypoints are servers, gateways clients. Absent: of both. */
export type TelemetrySide = 'client' | 'server';

export interface MetricOverride {
  readonly side?: TelemetrySide;
  /** Istio's name as in `REQUEST_COUNT`, `ALL_METRICS`. */
  readonly metric: string;
  /** Absent: as before. */
  readonly disabled?: boolean;
  readonly tags: readonly {
    readonly name: string;
    readonly change: { readonly kind: 'remove' } | { readonly kind: 'set'; readonly expression: string };
  }[];
}

export interface AccessLogPolicy {
  readonly side?: TelemetrySide;
  /** Name of a Provider; absent: standard output. */
  readonly provider?: string;
  readonly disabled: boolean;
  /** CEL, as in `response.code >= 400`. */
  readonly filter?: string;
}

/** Absent fields: as wider scopes say. */
export interface TracingPolicy {
  readonly side?: TelemetrySide;
  /** Names of Providers. */
  readonly providers?: readonly string[];
  /** Of requests that nobody decided for. */
  readonly samplingPercent?: number;
  /** Spans are not sent; contexts are passed on. */
  readonly disabled?: boolean;
  readonly customTags?: readonly {
    readonly name: string;
    readonly value:
      | { readonly kind: 'literal'; readonly value: string }
      | { readonly kind: 'header' | 'environment'; readonly name: string; readonly default: string }
      /** Operators of access logs. */
      | { readonly kind: 'format'; readonly template: string };
  }[];
  /** Whether the request id tells if the request is sampled. Default true. */
  readonly usesRequestId?: boolean;
  /** Whether spans have `istio.*` tags. Default true. */
  readonly istioTags?: boolean;
  /** Whether backends are told of the trace. Default true. */
  readonly propagates?: boolean;
}

/** A user's filter (a module), run in a process of its own. Named `<namespace>/<name>`. */
export interface Extension {
  readonly kind: 'extension';
  readonly name: string;
  readonly origin: Origin;
  /** Text of the module (ECMAScript, or TypeScript whose types can be stripped), and its SHA-256. */
  readonly source: string;
  readonly sha256: string;
  /** JSON. */
  readonly config: string;
  readonly phase: 'authentication' | 'authorization' | 'statistics' | 'last';
  readonly priority: number;
  readonly failOpen: boolean;
  readonly timeoutMs: number;
  readonly memoryMb: number;
  /** Body bytes that it is shown; 0: heads only. */
  readonly maxBodyBytes: number;
}

/** `meshConfig.extensionProviders`: a service that the proxy calls, over its own upstream. */
export interface Provider {
  readonly kind: 'provider';
  readonly name: string;
  readonly use: ProviderUse;
  /** Name of the Backend. */
  readonly backend?: string;
}

export type ProviderUse =
  | {
      readonly kind: 'ext-authz-http' | 'ext-authz-grpc';
      readonly timeoutMs: number;
      readonly failOpen: boolean;
      readonly statusOnError: number;
      readonly pathPrefix: string;
      readonly includeHeaders: readonly string[];
      readonly addHeaders: readonly (readonly [name: string, value: string])[];
      readonly body?: { readonly maxBytes: number; readonly allowPartial: boolean; readonly packAsBytes: boolean };
      readonly headersToUpstreamOnAllow: readonly string[];
      readonly headersToDownstreamOnDeny: readonly string[];
      readonly headersToDownstreamOnAllow: readonly string[];
    }
  | { readonly kind: 'rate-limit' }
  | {
      readonly kind: 'opentelemetry';
      readonly protocol: 'grpc' | 'http';
      readonly path: string;
      readonly timeoutMs: number;
      readonly headers: readonly (readonly [name: string, value: string])[];
    }
  | { readonly kind: 'zipkin'; readonly path: string }
  | {
      readonly kind: 'access-log-file';
      readonly path: string;
      readonly format:
        | { readonly kind: 'text'; readonly template: string }
        | { readonly kind: 'json'; readonly fields: Readonly<Record<string, string>> };
    };
