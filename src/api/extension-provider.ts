/** `meshConfig.extensionProviders`: services that proxies call, by name (ambient-l7, 3.2). */

export type ExtensionProvider = { readonly name: string } & ExtensionProviderUse;

/** A host of the registry, and a port of it. */
export interface ProviderAddress {
  /** `host` or `namespace/host`. */
  readonly service: string;
  readonly port: number;
}

interface ExtAuthz extends ProviderAddress {
  readonly timeoutMs?: number;
  readonly failOpen: boolean;
  /** As written; default 403. */
  readonly statusOnError?: number;
  readonly body?: {
    readonly maxRequestBytes: number;
    readonly allowPartialMessage: boolean;
    readonly packAsBytes: boolean;
  };
}

export type ExtensionProviderUse =
  | (ExtAuthz & {
      readonly kind: 'envoyExtAuthzHttp';
      readonly pathPrefix: string;
      readonly includeRequestHeadersInCheck: readonly string[];
      readonly includeAdditionalHeadersInCheck: Readonly<Record<string, string>>;
      readonly headersToUpstreamOnAllow: readonly string[];
      readonly headersToDownstreamOnDeny: readonly string[];
      readonly headersToDownstreamOnAllow: readonly string[];
    })
  | (ExtAuthz & { readonly kind: 'envoyExtAuthzGrpc' })
  /** A service of Envoy's rate limit protocol, for RateLimits: Ambit's own field. */
  | (ProviderAddress & { readonly kind: 'envoyRateLimitGrpc' })
  | (ProviderAddress & { readonly kind: 'zipkin'; readonly path: string; readonly timeoutMs?: number })
  | (ProviderAddress & {
      readonly kind: 'opentelemetry';
      /** Absent: gRPC. */
      readonly http?: {
        readonly path: string;
        readonly timeoutMs?: number;
        readonly headers: readonly (readonly [name: string, value: string])[];
      };
      readonly grpc?: {
        readonly timeoutMs?: number;
        readonly initialMetadata: readonly (readonly [name: string, value: string])[];
      };
    })
  | {
      readonly kind: 'envoyFileAccessLog';
      readonly path: string;
      /** Absent: Istio's own. */
      readonly format?:
        | { readonly kind: 'text'; readonly template: string }
        | { readonly kind: 'json'; readonly fields: Readonly<Record<string, string>> };
    }
  | { readonly kind: 'prometheus' }
  /** One that no proxy of ours can call; `type` is the field, as in `skywalking`. */
  | { readonly kind: 'unsupported'; readonly type: string };
