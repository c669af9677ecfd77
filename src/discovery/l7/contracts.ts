/** What the derivations of L7 configuration hand to one another: routes bound to parents, policies bound to targets. */
import type { HttpRule, ProxyPolicy, ProxyResource, TcpRule, TlsRule } from '../../api/l7/index.ts';
import type { ServiceKey } from '../../api/names.ts';

/** Where a route is attached. */
export type RouteParent =
  /** A Service or a ServiceEntry's host (GAMMA; VirtualService of `mesh`); without a port all of its ports. */
  | { readonly kind: 'service'; readonly service: ServiceKey; readonly port?: number }
  /** A listener of a Gateway; `gateway` is `<namespace>/<name>`, `listener` the section's name. */
  | { readonly kind: 'listener'; readonly gateway: string; readonly listener: string };

/** The rules of one route object at one parent, whichever API it was written in. */
export interface BoundRoutes {
  readonly parent: RouteParent;
  /** Of the virtual host; `*` at a Service. */
  readonly hostnames: readonly string[];
  readonly http: readonly HttpRule[];
  readonly tls: readonly TlsRule[];
  readonly tcp: readonly TcpRule[];
  /** Gateway API: precedence over all routes of the host is computed; Istio: order of the object, older objects first. */
  readonly api: 'gateway' | 'istio';
  readonly route: { readonly kind: string; readonly namespace: string; readonly name: string };
  /** `metadata.creationTimestamp`. */
  readonly createdAt: string;
  /** Only requests of clients in this namespace (a consumer's route). Absent: all. */
  readonly consumerNamespace?: string;
  readonly backends: readonly BackendNeed[];
}

/** A backend that rules name, as `backendName` names it. */
export interface BackendNeed {
  readonly service: ServiceKey;
  readonly hostname: string;
  readonly port: number;
  readonly subset?: string;
  /** Tunnels of other networks, to the endpoints or to the Service's waypoint. Absent: requests and connections of applications. */
  readonly tunnels?: 'to-endpoints' | 'to-waypoint';
}

/** Istio's name of a cluster: `outbound|80|v1|reviews.default.svc.cluster.local`. */
export function backendName({
  hostname,
  port,
  subset = '',
}: Pick<BackendNeed, 'hostname' | 'port' | 'subset'>): string {
  return `outbound|${port}|${subset}|${hostname}`;
}

/** What a policy binds. `<namespace>/<name>` where it is one object. */
export type PolicyTarget =
  | { readonly kind: 'gateway'; readonly gateway: string }
  /** Everything of the class, by the class's name. */
  | { readonly kind: 'gateway-class'; readonly name: string }
  | { readonly kind: 'service'; readonly service: ServiceKey }
  /** All in the namespace; of the root namespace: all in the mesh (Telemetry). */
  | { readonly kind: 'namespace'; readonly namespace: string }
  | { readonly kind: 'mesh' };

export interface TargetedPolicy {
  readonly target: PolicyTarget;
  readonly policy: ProxyPolicy;
  /** `metadata.creationTimestamp`: older ones first. */
  readonly createdAt: string;
}

/** One resource of one proxy. Collections of these are keyed `<gateway>|<kind>/<name>`. */
export interface ProxyResourceOf {
  /** `<namespace>/<name>` of the Gateway. */
  readonly gateway: string;
  readonly resource: ProxyResource;
}
