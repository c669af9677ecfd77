/** Where a proxy takes traffic, and which Services it stands for. */
import type { ServiceKey } from '../names.ts';
import type { Origin } from './origin.ts';

/** Names of policies (`policy.ts`) in the order of evaluation; each list may be empty. */
export interface PolicyAttachment {
  readonly authorization: readonly string[];
  readonly authentication: readonly string[];
  readonly rateLimits: readonly string[];
  readonly telemetry: readonly string[];
  readonly extensions: readonly string[];
}

export type Listener = WaypointListener | EastWestListener | EdgeListener;

/** HBONE on 15008 (ambient-l7, 1.6): the inner connection's destination decides, by its authority. */
export interface WaypointListener {
  readonly kind: 'listener';
  readonly type: 'waypoint';
  readonly name: string;
  readonly port: number;
  /** What it is for (`istio.io/waypoint-for`): connections to Services, to workloads, or both. */
  readonly trafficType: 'service' | 'workload' | 'all' | 'none';
  /** Of policies that target the Gateway or its class: they bind all that passes. */
  readonly policies: PolicyAttachment;
  /** `ambient.istio.io/xfcc-include-client-identity`. */
  readonly includesClientIdentity: boolean;
  readonly origin: Origin;
}

/**
 * HBONE of clients in other networks (ambient-l7, 9): their inner tunnels are carried to who serves, by the host name in the
 * authority. The Services that the proxy is told of are those that other networks may reach.
 */
export interface EastWestListener {
  readonly kind: 'listener';
  readonly type: 'east-west';
  readonly name: string;
  readonly port: number;
  readonly policies: PolicyAttachment;
  readonly origin: Origin;
}

/** A port of a gateway at the edge. */
export interface EdgeListener {
  readonly kind: 'listener';
  readonly type: 'edge';
  readonly name: string;
  readonly port: number;
  readonly policies: PolicyAttachment;
  /** The most specific host name wins; by SNI for TLS, by authority for HTTP. */
  readonly servers: readonly EdgeServer[];
  readonly origin: Origin;
}

export interface EdgeServer {
  /** Section name of the Gateway's listener. */
  readonly name: string;
  readonly protocol: 'http' | 'https' | 'tls' | 'tcp';
  /** `*`, `*.example.com` or `example.com`. */
  readonly hostname: string;
  readonly tls?: EdgeTls;
  /** Name of the route table. */
  readonly routes: string;
  readonly policies: PolicyAttachment;
  readonly origin: Origin;
}

export interface EdgeTls {
  readonly mode: 'terminate' | 'passthrough';
  /** Names of TLS secrets, at most one RSA and one ECDSA. */
  readonly certificates: readonly string[];
  /** Secret with the CA certificates that clients must come from; absent: no client certificate is asked for. */
  readonly clientCa?: { readonly secret: string; readonly required: boolean };
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly cipherSuites: readonly string[];
}

export type L7Protocol = 'http' | 'http2' | 'grpc' | 'grpc-web' | 'tls' | 'tcp' | 'auto';

/** A Service that a waypoint stands for, or whose routes a gateway or a sidecar follows. Named by its `ServiceKey`. */
export interface DestinationService {
  readonly kind: 'service';
  readonly name: ServiceKey;
  readonly namespace: string;
  readonly hostname: string;
  readonly ports: readonly DestinationPort[];
  readonly policies: PolicyAttachment;
  /** The waypoint will stand for it no longer: what still comes is served, and clients are asked to connect anew. */
  readonly leaving?: boolean;
  readonly origin: Origin;
}

export interface DestinationPort {
  readonly port: number;
  readonly protocol: L7Protocol;
  /** Name of the route table. */
  readonly routes: string;
  /** Of tunnels that come from a waypoint, and go to no other; absent: the same. At gateways between networks alone. */
  readonly routesPastWaypoint?: string;
}
