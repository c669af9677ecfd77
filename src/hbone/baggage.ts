/** The headers that ride on a CONNECT for telemetry: `baggage` and `forwarded`. Never used to authorize. */
import type { MeshWorkload } from '../api/workload.ts';
import type { HeaderList } from '../http/header-list.ts';

/** The part of a workload that labels speak of; also what a peer's baggage tells. */
export interface WorkloadLabels {
  readonly workloadName: string;
  readonly namespace: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly clusterId: string;
  readonly locality?: { readonly region: string; readonly zone: string };
}

/** Who a workload is, in the order that Istio writes; empty values are left out. */
export function formatBaggage(workload: MeshWorkload): string {
  const known = written.get(workload);
  if (known !== undefined) return known;
  const text = writeBaggage(workload);
  written.set(workload, text);
  return text;
}

// Two of these a connection, always of the same few workloads.
const written = new WeakMap<MeshWorkload, string>();

function writeBaggage(workload: MeshWorkload): string {
  const entries: [string, string][] = [
    ['k8s.cluster.name', workload.clusterId],
    ['k8s.namespace.name', workload.namespace],
    [`k8s.${workload.workloadType}.name`, workload.workloadName],
    ['service.name', workload.canonicalName],
    ['service.version', workload.canonicalRevision],
    ['cloud.region', workload.locality.region],
    ['cloud.availability_zone', workload.locality.zone],
  ];
  return entries
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}

/** What a peer says of itself; unknown keys and whatever is malformed are ignored. */
export function parseBaggage(header: string): WorkloadLabels {
  const found = new Map<string, string>();
  for (const entry of header.split(',')) {
    const [key = '', value = ''] = entry.split('=');
    if (value !== '') found.set(key.trim(), value.trim());
  }
  const names = ['k8s.deployment.name', 'k8s.cronjob.name', 'k8s.pod.name', 'k8s.job.name'];
  return {
    workloadName: names.map((key) => found.get(key)).find((value) => value !== undefined) ?? '',
    namespace: found.get('k8s.namespace.name') ?? '',
    canonicalName: found.get('service.name') ?? '',
    canonicalRevision: found.get('service.version') ?? '',
    clusterId: found.get('k8s.cluster.name') ?? '',
    locality: { region: found.get('cloud.region') ?? '', zone: found.get('cloud.availability_zone') ?? '' },
  };
}

/** On the inner CONNECT of a tunnel through a gateway: the network that it comes from. */
export const forwardedNetworkHeader = 'x-forwarded-network';

/** Whether a CONNECT came through the gateway of another network: then the address that it comes from is the gateway's. */
export function isFromOtherNetwork(headers: HeaderList, ownNetwork: string): boolean {
  const from = headers.get(forwardedNetworkHeader);
  return from !== undefined && from.toLowerCase() !== ownNetwork.toLowerCase();
}

/** On CONNECTs through a gateway: what kind of proxy sends it, `waypoint` or `gateway`; ztunnels say nothing. */
export const sourceHeader = 'x-istio-source';

/** RFC 7239: whose connection this is, and which service it was meant for. */
export function formatForwarded(clientAddress: string, serviceHostname: string | undefined): string {
  const client = `for="${clientAddress}"`;
  return serviceHostname === undefined ? client : `${client};host=${serviceHostname}`;
}

/** The `host=` of a `forwarded` header. */
export function parseForwardedHost(header: string): string | undefined {
  return /(?:^|;)\s*host="?([^";,]+)"?/i.exec(header)?.[1];
}
