/** Where requests go: one port of a Service, or of a subset of its endpoints, and how it is treated. */
import type { ServiceKey, WorkloadUid } from '../names.ts';
import type { RoutingScope } from '../workload.ts';
import type { Origin } from './origin.ts';

export interface Backend {
  readonly kind: 'backend';
  /** `outbound|80|v1|reviews.default.svc.cluster.local`; `inbound-vip|...` for what a waypoint stands for: as in Istio's metrics and logs. */
  readonly name: string;
  readonly service: ServiceKey;
  readonly hostname: string;
  /** Port of the Service. Endpoints are those of the Service in the mesh's view (WDS). */
  readonly port: number;
  readonly subset?: string;
  /** Only these endpoints, where the choice is narrower than the Service. */
  readonly members?: readonly BackendMember[];
  /** There are no endpoints: each request and connection goes to the host that it names, which the proxy resolves. */
  readonly requestedHosts?: RequestedHosts;
  /** What the application speaks; `auto`: what the client spoke. */
  readonly protocol: 'http1' | 'http2' | 'auto' | 'tcp';
  /**
   * Through the waypoint of the Service, when it has one (a gateway with `istio.io/ingress-use-waypoint`); a waypoint never goes
   * through another.
   */
  readonly throughWaypoint: boolean;
  /**
   * What is carried is a tunnel of the mesh that ends at the endpoint: connections of bytes go to this port of it, 15008, and only
   * to endpoints of our own network that take tunnels. Absent: to the application.
   */
  readonly tunnelPort?: number;
  readonly loadBalancer: LoadBalancer;
  readonly locality: LocalityPolicy;
  readonly outlierDetection?: OutlierDetection;
  readonly connectionPool: ConnectionPool;
  readonly retryBudget?: { readonly percent: number; readonly minConcurrency: number; readonly intervalMs: number };
  readonly tls?: UpstreamTls;
  readonly proxyProtocol?: 'v1' | 'v2';
  /** DestinationRule or BackendTLSPolicy that shaped it; absent: defaults. */
  readonly origin?: Origin;
}

export interface RequestedHosts {
  /** `*.example.com`: names that are resolved; all others are refused. */
  readonly pattern: string;
  /** Of the hosts, whatever port the request names. */
  readonly port: number;
}

export interface BackendMember {
  readonly workload: WorkloadUid;
}

export type LoadBalancer =
  | { readonly kind: 'round-robin' | 'least-request'; readonly warmup?: Warmup }
  | { readonly kind: 'random' }
  /** To the address that the client asked for. */
  | { readonly kind: 'passthrough' }
  | { readonly kind: 'consistent-hash'; readonly on: HashSource; readonly table: HashTable };

export interface Warmup {
  readonly durationMs: number;
  readonly minimumPercent: number;
  readonly aggression: number;
}

export type HashSource =
  | { readonly kind: 'header' | 'query'; readonly name: string }
  | { readonly kind: 'source-ip' }
  /** With `ttlSeconds` the proxy makes the cookie where it is absent; 0: a session cookie. */
  | { readonly kind: 'cookie'; readonly name: string; readonly path?: string; readonly ttlSeconds?: number };

export type HashTable =
  | { readonly kind: 'ring'; readonly minimumSize: number }
  | { readonly kind: 'maglev'; readonly tableSize: number };

/** Who is near and who takes over. Localities are `region/zone/subzone`, with `*` at the end. */
export interface LocalityPolicy {
  readonly enabled: boolean;
  readonly distribute: readonly {
    readonly from: string;
    readonly to: readonly { readonly locality: string; readonly weight: number }[];
  }[];
  readonly failover: readonly { readonly from: string; readonly to: string }[];
  /** What makes an endpoint near, the most important first: the first that does not hold decides. In place of localities. */
  readonly failoverPriority?: readonly FailoverStep[];
  /** Failover without outlier detection: asked for by the Service's traffic distribution. */
  readonly forced: boolean;
}

export type FailoverStep =
  /** The endpoint is in the same place as the proxy, or in the one that is named. */
  | { readonly kind: 'place'; readonly scope: RoutingScope; readonly value?: string }
  /** The endpoint has some label like the proxy, or the value that was asked for: these do. */
  | { readonly kind: 'label'; readonly members: readonly WorkloadUid[] };

export interface OutlierDetection {
  /** 0: off. */
  readonly consecutive5xx: number;
  readonly consecutiveGatewayErrors: number;
  readonly consecutiveLocalOriginFailures: number;
  readonly splitsLocalOrigin: boolean;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionPercent: number;
  /** Below it all endpoints are used, whatever their health (panic); 0: never. */
  readonly minHealthPercent: number;
}

/** Absent limits: none. */
export interface ConnectionPool {
  readonly maxConnections?: number;
  readonly connectTimeoutMs: number;
  readonly tcpKeepalive?: { readonly timeMs: number; readonly intervalMs: number; readonly probes: number };
  readonly maxConnectionDurationMs?: number;
  readonly maxPendingRequests?: number;
  readonly maxRequests?: number;
  readonly maxRequestsPerConnection?: number;
  readonly maxRetries?: number;
  readonly maxConcurrentStreams?: number;
  readonly idleTimeoutMs: number;
}

/** TLS to the application, inside of any tunnel. */
export interface UpstreamTls {
  readonly mode: 'simple' | 'mutual';
  /** Absent: the host name of the request. */
  readonly sni?: string;
  /** Empty: the server's name is the SNI. */
  readonly subjectAltNames: readonly string[];
  /** PEM, or what the operating system trusts. */
  readonly ca:
    | { readonly kind: 'system' }
    | { readonly kind: 'secret'; readonly secret: string }
    | { readonly kind: 'none' };
  /** Name of the TLS secret with our certificate. */
  readonly clientCertificate?: string;
}
