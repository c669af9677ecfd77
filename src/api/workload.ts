/**
 * What a data plane knows of workloads and services: the domain form of `istio.workload` (WDS).
 *
 * Discovery makes these values, `wire` carries them, `mesh` indexes them. Addresses are canonical text (lib/ip.ts).
 */
import type { ClusterId, NetworkId, PolicyKey, ServiceKey, WorkloadUid } from './names.ts';

export interface NetworkAddress {
  readonly network: NetworkId;
  readonly ip: string;
  /** CIDR prefix length; absent for one address. */
  readonly prefixLength?: number;
}

export type GatewayDestination =
  | { readonly kind: 'hostname'; readonly namespace: string; readonly hostname: string }
  | { readonly kind: 'address'; readonly address: NetworkAddress };

export interface GatewayAddress {
  readonly destination: GatewayDestination;
  readonly hboneMtlsPort: number;
}

export type AppProtocol = 'unknown' | 'http11' | 'http2' | 'grpc' | 'tcp' | 'tls';

export interface ServicePort {
  readonly servicePort: number;
  /** 0: each endpoint decides. */
  readonly targetPort: number;
  readonly appProtocol: AppProtocol;
}

export type RoutingScope = 'region' | 'zone' | 'subzone' | 'node' | 'cluster' | 'network';

export interface LoadBalancing {
  readonly routingPreference: readonly RoutingScope[];
  readonly mode: 'unspecified' | 'strict' | 'failover' | 'passthrough';
  readonly healthPolicy: 'only-healthy' | 'allow-all';
}

export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

export interface MeshService {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly addresses: readonly NetworkAddress[];
  readonly ports: readonly ServicePort[];
  readonly subjectAltNames: readonly string[];
  readonly waypoint?: GatewayAddress;
  readonly weightedWaypoints: readonly { readonly destination: GatewayAddress; readonly weight: number }[];
  readonly loadBalancing?: LoadBalancing;
  readonly ipFamilies: 'automatic' | 'ipv4' | 'ipv6' | 'dual';
  readonly canonical: boolean;
  readonly ingressUseWaypoint: boolean;
  readonly visibility: 'public' | 'namespace';
  /**
   * The namespaces that see it, where they are neither all nor its own alone. Travels as an extension of the resource: who
   * does not know it goes by `visibility`.
   */
  readonly exportTo?: readonly string[];
}

export interface ApplicationTunnel {
  readonly protocol: 'none' | 'proxy';
  /** 0: the original port. */
  readonly port: number;
}

export interface MeshWorkload {
  readonly uid: WorkloadUid;
  readonly name: string;
  readonly namespace: string;
  /** IPs, canonical text; may be empty. */
  readonly addresses: readonly string[];
  /** DNS name of a workload without addresses; "" otherwise. */
  readonly hostname: string;
  readonly network: NetworkId;
  /** Whether peers reach it by HBONE on 15008. */
  readonly tunnelProtocol: 'none' | 'hbone';
  readonly nativeTunnel: boolean;
  readonly trustDomain: string;
  readonly serviceAccount: string;
  readonly waypoint?: GatewayAddress;
  readonly networkGateway?: GatewayAddress;
  readonly node: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly workloadType: 'deployment' | 'cronjob' | 'pod' | 'job';
  readonly workloadName: string;
  readonly applicationTunnel?: ApplicationTunnel;
  /** Services it is an endpoint of, with the ports it serves there. */
  readonly services: ReadonlyMap<ServiceKey, readonly ServicePort[]>;
  /** Selector policies and converted PeerAuthentications that bind it. */
  readonly authorizationPolicies: readonly PolicyKey[];
  readonly status: 'healthy' | 'unhealthy';
  readonly clusterId: ClusterId;
  readonly locality: Locality;
  readonly networkMode: 'standard' | 'host-network';
  readonly capacity: number;
  /**
   * What it may reach outside the mesh (`meshConfig.outboundTrafficPolicy`, `Sidecar.spec.outboundTrafficPolicy`); absent: anything.
   * Travels as an extension of the resource, which other data planes ignore.
   */
  readonly outboundMode?: 'registry-only';
}

/** One resource of type `istio.workload.Address`. Its name on the wire is the uid, or `<namespace>/<hostname>`. */
export type MeshAddress =
  | { readonly kind: 'workload'; readonly workload: MeshWorkload }
  | { readonly kind: 'service'; readonly service: MeshService };
