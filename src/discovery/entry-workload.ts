/** WorkloadEntry, endpoint of a ServiceEntry, host that DNS resolves -> MeshWorkload (ambient-l4, 10.2). */
import type { ServiceEntry, WorkloadEntry } from '../api/istio.ts';
import type { ClusterId, NetworkId, PolicyKey, ServiceKey, WorkloadUid } from '../api/names.ts';
import type { GatewayAddress, Locality, MeshWorkload, ServicePort } from '../api/workload.ts';
import { canonicalIp, tryParseIp } from '../lib/ip.ts';
import { networkLabel } from './networks.ts';
import type { OutboundMode } from './namespace-profile.ts';
import { canonicalNames } from './workload-names.ts';

/** What a WorkloadEntry says, and an endpoint of a ServiceEntry as well. */
export type EndpointSpec = WorkloadEntry['spec'];

export interface EntryWorkloadContext {
  readonly cluster: ClusterId;
  readonly trustDomain: string;
  readonly network: NetworkId;
  readonly networkGateway: GatewayAddress | undefined;
  readonly waypoint: GatewayAddress | undefined;
  readonly outboundMode: OutboundMode;
  readonly services: ReadonlyMap<ServiceKey, readonly ServicePort[]>;
  readonly authorizationPolicies: readonly PolicyKey[];
}

/** The labels that selectors see: those of the object win over those of its spec. */
export function workloadEntryLabels(entry: WorkloadEntry): Readonly<Record<string, string>> {
  return { ...entry.spec.labels, ...entry.metadata.labels };
}

export function workloadEntryNetwork(entry: WorkloadEntry, own: NetworkId): NetworkId {
  return (entry.spec.network || workloadEntryLabels(entry)[networkLabel] || own) as NetworkId;
}

/** Undefined for one that nobody can reach: a unix socket. */
export function workloadEntryWorkload(entry: WorkloadEntry, context: EntryWorkloadContext): MeshWorkload | undefined {
  if (isUnix(entry.spec)) return undefined;
  const { name = '', namespace = '', annotations } = entry.metadata;
  const labels = workloadEntryLabels(entry);
  // Somebody watches over it, and says that it does not answer.
  const isSick = entry.status?.conditions?.some(({ type, status }) => type === 'Healthy' && status === 'False');
  return {
    uid: `${context.cluster}/networking.istio.io/WorkloadEntry/${namespace}/${name}` as WorkloadUid,
    ...common({ name, namespace, spec: entry.spec, labels, context }),
    ...tunnelOf(labels, annotations),
    status: isSick || entry.metadata.deletionTimestamp !== undefined ? 'unhealthy' : 'healthy',
  };
}

/** `nth` tells endpoints of one address apart: the first has the name that WDS knows. */
export function inlineEndpointWorkload(
  entry: ServiceEntry,
  endpoint: EndpointSpec,
  context: EntryWorkloadContext & { readonly nth: number },
): MeshWorkload {
  const { name = '', namespace = '' } = entry.metadata;
  const labels = endpoint.labels ?? {};
  const address = addressName(endpoint);
  const suffix = context.nth === 0 ? '' : `/${context.nth}`;
  return {
    uid: `${context.cluster}/networking.istio.io/ServiceEntry/${namespace}/${name}/${address}${suffix}` as WorkloadUid,
    ...common({ name, namespace, spec: endpoint, labels, context }),
    ...tunnelOf(labels, undefined),
    status: 'healthy',
  };
}

/** By which endpoints of one ServiceEntry are told apart: the address, or the network that stands for it. */
export function addressName({ address, network }: EndpointSpec): string {
  return address ? canonicalIp(address) : (network ?? '');
}

/** Why nobody reaches it; undefined when somebody may. */
export function workloadEntryProblem(entry: WorkloadEntry, gateway: GatewayAddress | undefined): string | undefined {
  if (isUnix(entry.spec)) return `${entry.spec.address}: a unix socket cannot be reached through the mesh`;
  if (entry.spec.address || gateway) return undefined;
  return `it has no address, and no gateway leads to network ${JSON.stringify(entry.spec.network ?? '')}`;
}

function isUnix({ address = '' }: EndpointSpec): boolean {
  return address.startsWith('unix:');
}

type Common = Omit<MeshWorkload, 'uid' | 'tunnelProtocol' | 'nativeTunnel' | 'status'>;

function common(of: {
  readonly name: string;
  readonly namespace: string;
  readonly spec: EndpointSpec;
  readonly labels: Readonly<Record<string, string>>;
  readonly context: EntryWorkloadContext;
}): Common {
  const { name, namespace, spec, labels, context } = of;
  const { address = '' } = spec;
  const { networkGateway, waypoint, outboundMode } = context;
  return {
    name,
    namespace,
    addresses: tryParseIp(address) ? [canonicalIp(address)] : [],
    hostname: tryParseIp(address) ? '' : address,
    network: context.network,
    trustDomain: context.trustDomain,
    serviceAccount: spec.serviceAccount || 'default',
    ...(waypoint ? { waypoint } : {}),
    ...(networkGateway ? { networkGateway } : {}),
    node: '',
    ...canonicalNames(labels, name),
    workloadType: 'pod',
    workloadName: name,
    services: context.services,
    authorizationPolicies: context.authorizationPolicies,
    clusterId: context.cluster,
    locality: parseLocality(spec.locality),
    networkMode: 'standard',
    // Protobuf does not tell zero from absent.
    capacity: spec.weight || 1,
    ...(outboundMode ? { outboundMode } : {}),
  };
}

/** `region/zone/subzone`, from the left. */
function parseLocality(text = ''): Locality {
  const [region = '', zone = '', subzone = ''] = text.split('/');
  return { region, zone, subzone };
}

/** A machine takes HBONE when it says so: there is no node agent that would know. */
export function tunnelOf(
  labels: Readonly<Record<string, string>> | undefined,
  annotations: Readonly<Record<string, string>> | undefined,
): Pick<MeshWorkload, 'tunnelProtocol' | 'nativeTunnel'> {
  const nativeTunnel = (labels?.['networking.istio.io/tunnel'] ?? '').split(',').includes('http');
  const captured = annotations?.['ambient.istio.io/redirection'] === 'enabled';
  return { tunnelProtocol: nativeTunnel || captured ? 'hbone' : 'none', nativeTunnel };
}
