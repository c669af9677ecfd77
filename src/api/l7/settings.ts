/** What holds for a whole proxy, and the secrets it is given. */
import type { NetworkId } from '../names.ts';
import type { RetryPolicy } from './routes.ts';

/** Exactly one a proxy; its name is `default`. */
export interface ProxySettings {
  readonly kind: 'settings';
  readonly name: 'default';
  readonly role: 'waypoint' | 'gateway' | 'sidecar';
  /** `<namespace>/<name>` of the Gateway. */
  readonly gateway: string;
  readonly trustDomain: string;
  readonly trustDomainAliases: readonly string[];
  readonly clusterDomain: string;
  readonly network: NetworkId;
  readonly pathNormalization: 'none' | 'base' | 'merge-slashes' | 'decode-and-merge-slashes';
  /** Hops of X-Forwarded-For that are trusted. */
  readonly numTrustedProxies: number;
  /** Of rules that say nothing of retries. */
  readonly defaultRetry?: RetryPolicy;
  readonly accessLog: { readonly kind: 'off' } | { readonly kind: 'text' | 'json'; readonly template: string };
  readonly tracingSamplingPercent: number;
  readonly protocolDetectionTimeoutMs: number;
  readonly drainMs: number;
}

/** A server certificate, a client certificate or CA certificates. Never in logs nor in dumps. */
export interface TlsSecret {
  readonly kind: 'secret';
  /** `<namespace>/<name>`. */
  readonly name: string;
  /** PEM; leaf first. */
  readonly certificateChain?: string;
  readonly privateKey?: string;
  readonly caCertificates?: string;
  /** Revocation lists of the CAs, PEM. */
  readonly revocations?: string;
  /**
   * A certificate that is here should not serve, or there is none: a proxy that was told of a better one under this name, which is
   * still valid, goes on with that.
   */
  readonly keepsLast?: boolean;
}
