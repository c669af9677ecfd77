/** Tags of spans: Envoy's and Istio's names (ambient-l7, 4.3). */
import type { MeshWorkload } from '../../api/workload.ts';
import type { HttpRun } from '../engine/http-run.ts';
import { protocolOf } from './expression-context.ts';
import { flagsText } from './http-metrics.ts';

export interface OwnTags {
  readonly nodeId: string;
  readonly meshId: string;
  readonly workload: MeshWorkload | undefined;
}

/** As Istio cuts it. */
const longestUrl = 256;

export function spanTags(
  run: HttpRun,
  { own, istioTags }: { readonly own: OwnTags; readonly istioTags: boolean },
): [string, string][] {
  const { request, connection, host, backend } = run;
  const tags: [string, string][] = [
    ['component', 'proxy'],
    ['node_id', own.nodeId],
    ['http.protocol', protocolOf(run)],
    ['http.method', request.method],
    ['http.url', `${request.scheme}://${run.originalAuthority}${pathOf(run)}`.slice(0, longestUrl)],
    ['http.status_code', String(run.responseStatus)],
    ['request_size', String(run.bytesReceived)],
    ['response_size', String(run.bytesSent)],
    ['response_flags', flagsText(run.flags)],
    ['guid:x-request-id', run.requestId],
    ['peer.address', run.remoteAddress],
    ['downstream_cluster', '-'],
  ];
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') tags.push([name, value]);
  };
  add('user_agent', request.headers.get('user-agent'));
  add('upstream_cluster', backend);
  add('upstream_cluster.name', backend);
  add('upstream_address', host && `${host.address}:${host.port}`);
  add('grpc.status_code', run.isGrpc ? run.grpcStatus : undefined);
  add('ambit.reason', run.reason);
  if (!istioTags) return tags;
  add('istio.mesh_id', own.meshId);
  add('istio.namespace', own.workload?.namespace);
  add('istio.cluster_id', own.workload?.clusterId);
  add('istio.canonical_service', own.workload?.canonicalName);
  add('istio.canonical_revision', own.workload?.canonicalRevision);
  addPeer(add, 'source', connection.sourceWorkload);
  addPeer(add, 'destination', host?.workload);
  return tags;
}

function addPeer(
  add: (name: string, value: string | undefined) => void,
  side: 'source' | 'destination',
  workload: MeshWorkload | undefined,
): void {
  if (!workload) return;
  add(`istio.${side}_workload`, workload.workloadName);
  add(`istio.${side}_namespace`, workload.namespace);
  add(`istio.${side}_canonical_service`, workload.canonicalName);
  add(`istio.${side}_canonical_revision`, workload.canonicalRevision);
}

/** As the client asked, without a rewrite of ours. What follows `?` may be a secret. */
function pathOf({ originalPath }: HttpRun): string {
  const question = originalPath.indexOf('?');
  return question < 0 ? originalPath : originalPath.slice(0, question);
}
