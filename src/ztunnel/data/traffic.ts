/** What one connection is called in metrics and in the access log. */
import type { MeshService, MeshWorkload } from '../../api/workload.ts';
import type { SpiffeId } from '../../api/names.ts';
import { unknownLabel, type AccessLogPeer } from '../../telemetry/index.ts';

/** The part of a workload that labels speak of; also what a peer's baggage tells. */
export interface WorkloadLabels {
  readonly workloadName: string;
  readonly namespace: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly clusterId: string;
}

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
  readonly sourceIdentity: SpiffeId | undefined;
  readonly destination: WorkloadLabels | undefined;
  readonly destinationIdentity: SpiffeId | undefined;
  readonly service: MeshService | undefined;
}

/** Values in the order of `trafficLabelNames`. */
export function trafficLabels(traffic: Traffic, flags: ResponseFlags): string[] {
  const { source, destination, service } = traffic;
  return [
    traffic.reporter,
    source?.workloadName || unknownLabel,
    source?.canonicalName || unknownLabel,
    source?.canonicalRevision || unknownLabel,
    source?.namespace || unknownLabel,
    traffic.sourceIdentity ?? unknownLabel,
    source?.canonicalName || unknownLabel,
    source?.canonicalRevision || unknownLabel,
    source?.clusterId || unknownLabel,
    service?.hostname ?? unknownLabel,
    service?.namespace ?? unknownLabel,
    service?.name ?? unknownLabel,
    destination?.workloadName || unknownLabel,
    destination?.canonicalName || unknownLabel,
    destination?.canonicalRevision || unknownLabel,
    destination?.namespace || unknownLabel,
    traffic.destinationIdentity ?? unknownLabel,
    destination?.canonicalName || unknownLabel,
    destination?.canonicalRevision || unknownLabel,
    destination?.clusterId || unknownLabel,
    'tcp',
    flags,
    traffic.sourceIdentity !== undefined && traffic.destinationIdentity !== undefined ? 'mutual_tls' : unknownLabel,
  ];
}

/** One end of a connection for the access log. */
export function accessPeer(
  addr: string,
  workload: MeshWorkload | undefined,
  identity: SpiffeId | undefined,
): AccessLogPeer {
  return { addr, workload: workload?.name, namespace: workload?.namespace, identity, cluster: workload?.clusterId };
}
