/** Routes: which request goes where, and what is done to it on the way. */
import type { Origin, TextMatch } from './origin.ts';

export interface RouteTable {
  readonly kind: 'routes';
  readonly name: string;
  /** The most specific domain of all hosts wins. At a waypoint one host, of domain `*`. */
  readonly hosts: readonly VirtualHost[];
  /** First match wins, after `hosts` did not apply: for TLS that is passed through, and for TCP. */
  readonly tls: readonly TlsRule[];
  readonly tcp: readonly TcpRule[];
}

export interface VirtualHost {
  /** `*`, `*.example.com`, `example.com`, `example.com:8080`; without a port: any port. */
  readonly domains: readonly string[];
  /** In the order of precedence: the first that matches decides. None matches: 404. */
  readonly rules: readonly HttpRule[];
}

export interface HttpRule {
  /** As in access logs: `namespace.name.index`, or the route's own name. */
  readonly name: string;
  readonly origin: Origin;
  /** Any is enough; none: every request. */
  readonly matches: readonly HttpMatch[];
  readonly action: HttpAction;
  readonly requestHeaders?: HeaderChanges;
  readonly responseHeaders?: HeaderChanges;
  /** For the whole answer, over all attempts; absent or 0: for ever. */
  readonly timeoutMs?: number;
  readonly retry?: RetryPolicy;
  readonly fault?: FaultInjection;
  readonly mirrors?: readonly Mirror[];
  readonly cors?: CorsPolicy;
  readonly sessionPersistence?: SessionPersistence;
}

/** All that is there must hold. */
export interface HttpMatch {
  readonly path?: PathMatch;
  readonly method?: TextMatch;
  readonly scheme?: TextMatch;
  readonly authority?: TextMatch;
  readonly headers?: readonly NamedMatch[];
  readonly query?: readonly NamedMatch[];
  /** Of verified tokens; `path` leads to the claim. Any member of a list is enough. */
  readonly claims?: readonly {
    readonly path: readonly string[];
    readonly match: TextMatch;
    readonly invert: boolean;
  }[];
  /** Port that the client asked for. */
  readonly port?: number;
  readonly sourceNamespace?: string;
}

export type PathMatch =
  | { readonly kind: 'exact' | 'prefix' | 'regex'; readonly value: string; readonly ignoreCase?: boolean }
  /** By segments: `/a` matches `/a` and `/a/b`, not `/ab` (Gateway API). */
  | { readonly kind: 'path-prefix'; readonly value: string };

export interface NamedMatch {
  /** Headers: in lower case. */
  readonly name: string;
  readonly match: TextMatch;
  /** The match must not hold; a name that is absent counts as empty text (`withoutHeaders`). */
  readonly invert: boolean;
}

export type HttpAction =
  | { readonly kind: 'forward'; readonly destinations: readonly WeightedDestination[]; readonly rewrite?: UrlRewrite }
  | {
      readonly kind: 'redirect';
      readonly status: number;
      readonly scheme?: string;
      readonly hostname?: string;
      /**
       * `from-request`: the one that the client named, else the one that it came to. Absent: the scheme's own port when the scheme
       * changes, else what the client named.
       */
      readonly port?: number | 'from-scheme' | 'from-request';
      readonly path?: PathRewrite;
    }
  | { readonly kind: 'respond'; readonly status: number; readonly body?: string; readonly contentType?: string };

export interface UrlRewrite {
  readonly authority?: string;
  readonly path?: PathRewrite;
}

export type PathRewrite =
  | { readonly kind: 'full'; readonly value: string }
  /** In place of what matched: as text (VirtualService), or by segments (Gateway API). */
  | { readonly kind: 'prefix'; readonly value: string; readonly bySegments: boolean }
  /** `\1` are groups. */
  | { readonly kind: 'regex'; readonly pattern: string; readonly value: string };

export interface WeightedDestination {
  /** Share of the sum of all weights. One destination takes everything, whatever its weight, but 0. */
  readonly weight: number;
  /** Name of a Backend; or why there is none (an invalid reference): its share of requests gets `status`. */
  readonly target:
    | { readonly kind: 'backend'; readonly backend: string }
    | { readonly kind: 'invalid'; readonly status: number; readonly reason: string };
  readonly requestHeaders?: HeaderChanges;
  readonly responseHeaders?: HeaderChanges;
  readonly rewrite?: UrlRewrite;
}

/** In the order remove, set, add. Names in lower case. */
export interface HeaderChanges {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

/** Conditions: ambient-l7, 2.1. */
export interface RetryPolicy {
  /** Attempts after the first one; 0: none. */
  readonly attempts: number;
  readonly perTryTimeoutMs?: number;
  readonly on: readonly RetryCondition[];
  readonly statusCodes: readonly number[];
  /** `retriable-headers`: names of response headers. */
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Not to a host that failed before. */
  readonly avoidsPreviousHosts: boolean;
  /** Locality priorities rotate after failures. */
  readonly remoteLocalities: boolean;
}

export type RetryCondition =
  | '5xx'
  | 'gateway-error'
  | 'reset'
  | 'reset-before-request'
  | 'connect-failure'
  | 'envoy-ratelimited'
  | 'retriable-4xx'
  | 'refused-stream'
  | 'retriable-status-codes'
  | 'retriable-headers'
  | 'cancelled'
  | 'deadline-exceeded'
  | 'internal'
  | 'resource-exhausted'
  | 'unavailable';

export interface FaultInjection {
  /** `percent` 0-100, to a millionth. */
  readonly delay?: { readonly ms: number; readonly percent: number };
  readonly abort?: { readonly percent: number; readonly httpStatus?: number; readonly grpcStatus?: number };
}

export interface Mirror {
  readonly backend: string;
  readonly percent: number;
}

export interface CorsPolicy {
  readonly allowOrigins: readonly TextMatch[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAgeSeconds?: number;
  readonly allowCredentials: boolean;
  /** Preflights of origins that are not allowed: on to the backend, or answered without CORS headers. */
  readonly unmatchedPreflights: 'forward' | 'ignore';
}

export interface SessionPersistence {
  readonly type: 'cookie' | 'header';
  /** Cookie or header name. */
  readonly name: string;
  /** Cookie path; default `/`. */
  readonly path?: string;
  readonly absoluteTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  /** A cookie with or without Max-Age. */
  readonly lifetime: 'session' | 'permanent';
}

export interface TlsRule {
  readonly name: string;
  readonly origin: Origin;
  /** `*`, `*.example.com` or `example.com`. */
  readonly sniHosts: readonly string[];
  readonly destinationSubnets: readonly string[];
  readonly port?: number;
  readonly destinations: readonly WeightedDestination[];
}

export interface TcpRule {
  readonly name: string;
  readonly origin: Origin;
  /** CIDRs; none: any. */
  readonly destinationSubnets: readonly string[];
  readonly port?: number;
  readonly sourceNamespace?: string;
  readonly destinations: readonly WeightedDestination[];
}
