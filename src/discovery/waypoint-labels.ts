/** How objects and namespaces ask for a waypoint: `istio.io/use-waypoint` and its like (ambient-l4, 10.4). */
import type { ObjectMeta } from '../api/meta.ts';

export interface WaypointReference {
  /** Of the Gateway. */
  readonly name: string;
  /** Absent: that of the object, or the namespace, which says it. */
  readonly namespace?: string;
}

export interface WaypointDeclaration {
  readonly primary: WaypointReference;
  /** A second waypoint that takes a share, with its percentage as it was written. */
  readonly canary?: WaypointReference & { readonly weight: string };
}

/** The one way to opt out of what the namespace asks for. */
const optOut = 'none';

/** Undefined: it asks for nothing, and the namespace decides. */
export function declaredWaypoint(metadata: ObjectMeta): WaypointDeclaration | 'none' | undefined {
  const { labels = {}, annotations = {} } = metadata;
  const primary = reference(labels['istio.io/use-waypoint'], labels['istio.io/use-waypoint-namespace']);
  if (!primary) return undefined;
  if (primary.name === optOut) return 'none';
  const canary = reference(labels['istio.io/use-waypoint-canary'], labels['istio.io/use-waypoint-canary-namespace']);
  const weight = annotations['istio.io/use-waypoint-canary-weight'] ?? '0';
  return canary ? { primary, canary: { ...canary, weight } } : { primary };
}

/** Whether ingress gateways go through the waypoint; undefined: it does not say. */
export function declaredIngressUse(metadata: ObjectMeta): boolean | undefined {
  const value = metadata.labels?.['istio.io/ingress-use-waypoint'];
  return value === undefined ? undefined : value === 'true';
}

function reference(name: string | undefined, namespace: string | undefined): WaypointReference | undefined {
  if (!name) return undefined;
  return namespace ? { name, namespace } : { name };
}
