/** The whole mesh as its proxies would see it, derived from the API's objects by the code that tells them. */
import { kinds } from '../api/kinds.ts';
import type { Pod } from '../api/core.ts';
import type { Gateway } from '../api/gateway.ts';
import type { ProxyResource } from '../api/l7/index.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import type { KindRef, KubeObject } from '../api/meta.ts';
import { defaultClusterId, defaultTrustDomain, systemNamespace } from '../api/names.ts';
import { createGraph, type Source } from '../collection/index.ts';
import { createDiscovery, keyOfObject, type DiscoverySources } from '../discovery/index.ts';
import { isKubeError, type KubeClient } from '../kube/index.ts';
import { MeshState } from '../mesh/index.ts';
import { assembleSnapshot, type ProxySnapshot } from '../proxy/index.ts';

export interface World {
  readonly mesh: MeshState;
  /** Of each Gateway, by `<namespace>/<name>`: what its proxies are told. */
  readonly proxies: ReadonlyMap<string, ProxySnapshot>;
  readonly pods: readonly Pod[];
  /** With what the control plane told of them. */
  readonly gateways: readonly Gateway[];
  readonly trustDomain: string;
}

export interface WorldOptions {
  readonly trustDomain?: string;
  readonly rootNamespace?: string;
  readonly revision?: string;
  readonly meshConfig?: MeshConfig;
}

/** Where the objects of each kind go. Kinds that a cluster does not have are like kinds without objects. */
const sourceOf: readonly (readonly [kind: KindRef<KubeObject>, source: keyof DiscoverySources])[] = [
  [kinds.Namespace, 'namespaces'],
  [kinds.Node, 'nodes'],
  [kinds.Pod, 'pods'],
  [kinds.Service, 'services'],
  [kinds.EndpointSlice, 'endpointSlices'],
  [kinds.AuthorizationPolicy, 'authorizationPolicies'],
  [kinds.PeerAuthentication, 'peerAuthentications'],
  [kinds.RequestAuthentication, 'requestAuthentications'],
  [kinds.ServiceEntry, 'serviceEntries'],
  [kinds.WorkloadEntry, 'workloadEntries'],
  [kinds.Sidecar, 'sidecars'],
  [kinds.Gateway, 'gateways'],
  [kinds.GatewayClass, 'gatewayClasses'],
  [kinds.VirtualService, 'virtualServices'],
  [kinds.DestinationRule, 'destinationRules'],
  [kinds.HTTPRoute, 'httpRoutes'],
  [kinds.GRPCRoute, 'grpcRoutes'],
  [kinds.TCPRoute, 'tcpRoutes'],
  [kinds.TLSRoute, 'tlsRoutes'],
  [kinds.ReferenceGrant, 'referenceGrants'],
  [kinds.BackendTLSPolicy, 'backendTlsPolicies'],
  [kinds.Telemetry, 'telemetries'],
  [kinds.RateLimit, 'rateLimits'],
  [kinds.ProxyExtension, 'proxyExtensions'],
] as unknown as readonly (readonly [KindRef<KubeObject>, keyof DiscoverySources])[];

/** Reads every object once. Rejects with the API's error, but for kinds that are not there. */
export async function readWorld(client: KubeClient, options: WorldOptions = {}): Promise<World> {
  const { trustDomain = defaultTrustDomain, rootNamespace = systemNamespace, revision, meshConfig } = options;
  const graph = createGraph();
  const discovery = createDiscovery(graph, { trustDomain, rootNamespace, ...(revision ? { revision } : {}) });
  const lists = await Promise.all(sourceOf.map(async ([kind, name]) => [name, await listAll(client, kind)] as const));
  for (const [name, objects] of lists) {
    const source = discovery.sources[name] as Source<KubeObject>;
    for (const object of objects) source.set(keyOfObject(defaultClusterId, object), object);
  }
  if (meshConfig) discovery.sources.meshConfigs.set(defaultClusterId, meshConfig);
  graph.flush();
  const mesh = new MeshState();
  mesh.applyAuthorizations({
    updated: [...discovery.authorizations.entries()].map(([, policy]) => policy),
    removed: [],
  });
  mesh.applyAddresses({ updated: [...discovery.addresses.entries()].map(([, address]) => address), removed: [] });
  const resources = new Map<string, ProxyResource[]>();
  for (const [, { gateway, resource }] of discovery.proxyResources.entries()) {
    const own = resources.get(gateway);
    if (own) own.push(resource);
    else resources.set(gateway, [resource]);
  }
  const proxies = new Map<string, ProxySnapshot>();
  for (const [gateway, own] of resources) {
    const snapshot = assembleSnapshot(own, undefined);
    if (snapshot) proxies.set(gateway, snapshot);
  }
  const listed = (name: keyof DiscoverySources): readonly KubeObject[] => lists.find(([of]) => of === name)?.[1] ?? [];
  const gateways = listed('gateways') as readonly Gateway[];
  return { mesh, proxies, pods: listed('pods') as readonly Pod[], gateways, trustDomain };
}

async function listAll(client: KubeClient, kind: KindRef<KubeObject>): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(kind)).items;
  } catch (error) {
    if (isKubeError(error, 'kube.not-found')) return [];
    throw error;
  }
}
