/** discovery.k8s.io/v1 EndpointSlice. */
import type { ObjectReference, TransportProtocol } from './core.ts';
import type { KubeObject } from './meta.ts';

export interface EndpointConditions {
  ready?: boolean;
  serving?: boolean;
  terminating?: boolean;
}

export interface Endpoint {
  addresses: string[];
  conditions?: EndpointConditions;
  hostname?: string;
  targetRef?: ObjectReference;
  nodeName?: string;
  zone?: string;
  deprecatedTopology?: Record<string, string>;
  hints?: { forZones?: { name: string }[]; forNodes?: { name: string }[] };
}

export interface EndpointPort {
  /** "" for the one unnamed port of a Service. */
  name?: string;
  protocol?: TransportProtocol;
  port?: number;
  appProtocol?: string;
}

export interface EndpointSlice extends KubeObject {
  addressType: 'IPv4' | 'IPv6' | 'FQDN';
  endpoints: Endpoint[];
  ports?: EndpointPort[];
}

/** Names the Service a slice belongs to. */
export const serviceNameLabel = 'kubernetes.io/service-name';
/** Names who writes a slice. */
export const sliceManagedByLabel = 'endpointslice.kubernetes.io/managed-by';
