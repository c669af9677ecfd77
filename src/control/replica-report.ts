/** What one replica of the control plane tells the others: how far its data planes are. Kept in the annotations of a Lease. */
import type { Lease } from '../api/coordination.ts';
import type { KindRef } from '../api/meta.ts';

/** `authorizationpolicies.security.istio.io` */
export type ResourceName = string;

export function resourceNameOf({ plural, group }: Pick<KindRef, 'plural' | 'group'>): ResourceName {
  return group === '' ? plural : `${plural}.${group}`;
}

export interface Refusal {
  readonly clients: number;
  /** Of one of them. */
  readonly reason: string;
}

export interface ReplicaReport {
  /** By resource: every ztunnel of the replica holds what was written up to this resource version. */
  readonly held: Readonly<Record<ResourceName, string>>;
  /** Policies that ztunnels of the replica refuse, by `namespace/name`; Gateways whose proxies refuse what they are told, by `gateway:<namespace>/<name>`. */
  readonly refused: Readonly<Record<string, Refusal>>;
}

const annotation = 'policy.ambit.dev/data-planes';
/** Selects the Leases of replicas. */
export const replicaLabel = 'policy.ambit.dev/control-replica';
/** More than these are not worth the space: the first are enough to find the cause. */
const maxRefusals = 20;
const maxReasonLength = 200;

export function formatReport({ held, refused }: ReplicaReport): Record<string, string> {
  const some = Object.entries(refused)
    .slice(0, maxRefusals)
    .map(([name, { clients, reason }]) => [name, { clients, reason: reason.slice(0, maxReasonLength) }]);
  return { [annotation]: JSON.stringify({ held, refused: Object.fromEntries(some) }) };
}

/** Nothing is held by a replica whose report is not there, or cannot be read. */
export function readReport(lease: Lease): ReplicaReport {
  try {
    const value = JSON.parse(lease.metadata.annotations?.[annotation] ?? '{}') as Partial<ReplicaReport>;
    return { held: value.held ?? {}, refused: value.refused ?? {} };
  } catch {
    return { held: {}, refused: {} };
  }
}
