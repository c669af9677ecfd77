/** What planOutbound answers: where one connection goes, or why it goes nowhere. */
import type { SpiffeId, WorkloadUid } from '../api/names.ts';
import type { MeshService, MeshWorkload } from '../api/workload.ts';
import type { IpFamilies } from './addresses.ts';

/** Why an outbound connection is refused: stable, for logs and metrics. */
export type OutboundRefusal =
  | 'self-call'
  | 'no-healthy-upstream'
  | 'waypoint-absent'
  | 'no-address'
  | 'remote-network'
  | 'no-identity'
  | 'registry-only';

export interface HbonePlan {
  readonly kind: 'hbone';
  /** Where TLS is dialled. */
  readonly ip: string;
  readonly port: number;
  /** CONNECT authority: what the other end reaches for us. */
  readonly authority: string;
  /** The peer must prove one of these. Never empty. */
  readonly expected: readonly SpiffeId[];
  /** Who is dialled: the destination, its waypoint, or the gateway of its network. */
  readonly workload: MeshWorkload;
  readonly service: MeshService | undefined;
  readonly via: 'direct' | 'waypoint' | 'gateway';
  /** Through a gateway: who must answer inside its tunnel. Never empty. */
  readonly innerExpected?: readonly SpiffeId[];
  /** Another endpoint may serve as well: plan again with this one among the tried. */
  readonly drawn: WorkloadUid | undefined;
}

/** A known workload that speaks no HBONE. */
export interface TcpPlan {
  readonly kind: 'tcp';
  readonly ip: string;
  readonly port: number;
  readonly workload: MeshWorkload;
  readonly service: MeshService | undefined;
  readonly drawn: WorkloadUid | undefined;
}

/** Outside the mesh, or a service that wants it: the original destination, untouched. */
export interface PassthroughPlan {
  readonly kind: 'passthrough';
  readonly ip: string;
  readonly port: number;
  readonly service: MeshService | undefined;
  readonly drawn?: undefined;
}

/** The endpoint is known by name alone. */
export interface ResolvePlan {
  readonly kind: 'resolve';
  readonly hostname: string;
  /** The address must be of one of these families; `preferred` first. */
  readonly allowed: IpFamilies;
  readonly preferred: IpFamilies;
  readonly workload: MeshWorkload;
  readonly service: MeshService | undefined;
  readonly drawn: WorkloadUid | undefined;
  /** The plan for one of the name's addresses; never another `resolve`. */
  withAddress(ip: string): OutboundPlan;
}

export interface RefusedPlan {
  readonly kind: 'refuse';
  readonly reason: OutboundRefusal;
  /** For a person: what is missing, and where to look. */
  readonly message: string;
  readonly workload: MeshWorkload | undefined;
  readonly service: MeshService | undefined;
}

export type OutboundPlan = HbonePlan | TcpPlan | PassthroughPlan | ResolvePlan | RefusedPlan;
