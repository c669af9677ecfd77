/** Waypoints as Gateways: how one is written, and which of those in a cluster are some. */
import { kinds, type Gateway, type GatewayClass } from '../../api/index.ts';
import { gatewayRole } from '../../discovery/gateway-role.ts';
import { isKubeError, type KubeClient } from '../../kube/index.ts';

export const trafficTypes = ['service', 'workload', 'all', 'none'] as const;
export type TrafficType = (typeof trafficTypes)[number];

const trafficLabel = 'istio.io/waypoint-for';
const revisionLabel = 'istio.io/rev';

export interface WaypointSpec {
  readonly name: string;
  readonly namespace: string;
  readonly className: string;
  /** Absent: as the class says, else services. */
  readonly trafficType?: TrafficType;
  readonly revision?: string;
}

export function waypointGateway({ name, namespace, className, trafficType, revision }: WaypointSpec): Gateway {
  const labels = {
    ...(trafficType === undefined ? {} : { [trafficLabel]: trafficType }),
    ...(revision === undefined ? {} : { [revisionLabel]: revision }),
  };
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name, namespace, ...(Object.keys(labels).length > 0 ? { labels } : {}) },
    spec: { gatewayClassName: className, listeners: [{ name: 'mesh', port: 15_008, protocol: 'HBONE' }] },
  };
}

/** What a list shows of one. */
export interface WaypointRow {
  readonly namespace: string;
  readonly name: string;
  readonly revision: string;
  readonly trafficType: string;
  /** Of the condition Programmed: True, False or Unknown. */
  readonly programmed: string;
  readonly reason: string;
  readonly message: string;
}

/** In the order of their names. Other Gateways are not in it. */
export async function listWaypoints(client: KubeClient, namespace: string | undefined): Promise<WaypointRow[]> {
  const [gateways, classes] = await Promise.all([
    listOrNone(() => client.list(kinds.Gateway, namespace === undefined ? {} : { namespace })),
    listOrNone(() => client.list(kinds.GatewayClass)),
  ]);
  const byName = new Map<string | undefined, GatewayClass>(classes.map((one) => [one.metadata.name, one]));
  return gateways
    .filter((gateway) => gatewayRole(gateway, byName.get(gateway.spec.gatewayClassName)) === 'waypoint')
    .map((gateway) => rowOf(gateway, byName.get(gateway.spec.gatewayClassName)))
    .toSorted((a, b) => (`${a.namespace}/${a.name}` < `${b.namespace}/${b.name}` ? -1 : 1));
}

/** A cluster without the Gateway API has none. */
async function listOrNone<T>(list: () => Promise<{ readonly items: T[] }>): Promise<T[]> {
  try {
    return (await list()).items;
  } catch (error) {
    if (isKubeError(error, 'kube.not-found')) return [];
    throw error;
  }
}

function rowOf({ metadata, status }: Gateway, gatewayClass: GatewayClass | undefined): WaypointRow {
  const { labels = {} } = metadata;
  const programmed = status?.conditions?.find(({ type }) => type === 'Programmed');
  const isCurrent = programmed?.observedGeneration === metadata.generation;
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    revision: labels[revisionLabel] ?? 'default',
    trafficType: labels[trafficLabel] ?? gatewayClass?.metadata.labels?.[trafficLabel] ?? 'service',
    programmed: isCurrent ? (programmed?.status ?? 'Unknown') : 'Unknown',
    reason: isCurrent ? (programmed?.reason ?? '') : 'Pending',
    message: isCurrent ? (programmed?.message ?? '') : 'no control plane has looked at it yet',
  };
}
