/** What one connection is called in metrics and in the access log. */
import { spiffeId, type SpiffeId } from '../../api/names.ts';
import type { MeshService, MeshWorkload } from '../../api/workload.ts';
import type { WorkloadLabels } from '../../hbone/index.ts';
import { LabelSet, trafficLabel, unknownLabel, type AccessLogPeer } from '../../telemetry/index.ts';

export type { WorkloadLabels };

/** Why a connection failed, as dashboards group it. `-`: it did not. */
export type ResponseFlags =
  | '-'
  | 'DENY'
  | 'CONNECT'
  | 'TLS_FAILURE'
  | 'H2_HANDSHAKE_FAILURE'
  | 'NETWORK_POLICY'
  | 'IDENTITY_ERROR'
  | 'CERT_REVOKED';

export interface Traffic {
  readonly reporter: 'source' | 'destination';
  readonly source: WorkloadLabels | undefined;
  /** As mutual TLS proved it; absent without. */
  readonly sourceIdentity: SpiffeId | undefined;
  readonly destination: WorkloadLabels | undefined;
  /** As mutual TLS proved it, else the one that the mesh says it has. */
  readonly destinationIdentity: SpiffeId | undefined;
  readonly service: MeshService | undefined;
}

/**
 * The labels of traffic without failure. Most connections of a pod are between the same few workloads, which never change in place:
 * their labels are remembered, up to a number of them.
 */
export function labelSetOf(traffic: Traffic): LabelSet {
  const { source, destination } = traffic;
  // What peers say of themselves is another object each time.
  if (!isKnown(source) || !isKnown(destination)) return new LabelSet(trafficLabels(traffic, '-'));
  let byDestination = remembered.get(source);
  if (!byDestination) remembered.set(source, (byDestination = new Map()));
  let entries = byDestination.get(destination);
  if (!entries) byDestination.set(destination, (entries = []));
  for (const entry of entries) if (isSame(entry.traffic, traffic)) return entry.labels;
  const labels = new LabelSet(trafficLabels(traffic, '-'));
  if (++rememberedCount > maxRemembered) {
    remembered.clear();
    rememberedCount = 0;
  } else entries.push({ traffic, labels });
  return labels;
}

const maxRemembered = 1024;
const remembered = new Map<
  WorkloadLabels | undefined,
  Map<WorkloadLabels | undefined, { readonly traffic: Traffic; readonly labels: LabelSet }[]>
>();
let rememberedCount = 0;

function isKnown(workload: WorkloadLabels | undefined): boolean {
  return workload === undefined || 'uid' in workload;
}

/** Of two between the same workloads. */
function isSame(a: Traffic, b: Traffic): boolean {
  return (
    a.reporter === b.reporter &&
    a.service === b.service &&
    a.sourceIdentity === b.sourceIdentity &&
    a.destinationIdentity === b.destinationIdentity
  );
}

/** Values in the order of `trafficLabelNames`, then of `localityLabelNames`: those are empty unless one of them is known. */
export function trafficLabels(traffic: Traffic, flags: ResponseFlags): string[] {
  const { source, destination, service } = traffic;
  const [from, to] = [source?.locality, destination?.locality];
  const locality = [from?.region, from?.zone, to?.region, to?.zone];
  const isPlaced = locality.some((part) => part !== undefined && part !== '');
  return [
    traffic.reporter,
    trafficLabel(source?.workloadName),
    trafficLabel(source?.canonicalName),
    trafficLabel(source?.canonicalRevision),
    trafficLabel(source?.namespace),
    trafficLabel(traffic.sourceIdentity),
    trafficLabel(source?.canonicalName),
    trafficLabel(source?.canonicalRevision),
    trafficLabel(source?.clusterId),
    trafficLabel(service?.hostname),
    trafficLabel(service?.namespace),
    trafficLabel(service?.name),
    trafficLabel(destination?.workloadName),
    trafficLabel(destination?.canonicalName),
    trafficLabel(destination?.canonicalRevision),
    trafficLabel(destination?.namespace),
    trafficLabel(traffic.destinationIdentity),
    trafficLabel(destination?.canonicalName),
    trafficLabel(destination?.canonicalRevision),
    trafficLabel(destination?.clusterId),
    'tcp',
    flags,
    traffic.sourceIdentity === undefined ? unknownLabel : 'mutual_tls',
    ...(isPlaced ? locality.map(trafficLabel) : noLocality),
  ];
}

const noLocality = ['', '', '', ''];

/** The identity that the mesh says a workload has. */
export function identityOf(workload: MeshWorkload | undefined): SpiffeId | undefined {
  if (workload === undefined) return undefined;
  const { trustDomain, namespace, serviceAccount } = workload;
  return serviceAccount === '' ? undefined : spiffeId(trustDomain, namespace, serviceAccount);
}

/** One end of a connection for the access log. */
export function accessPeer(
  addr: string,
  workload: MeshWorkload | undefined,
  identity: SpiffeId | undefined,
): AccessLogPeer {
  return { addr, workload: workload?.name, namespace: workload?.namespace, identity, cluster: workload?.clusterId };
}
