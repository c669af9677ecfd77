/** Services of Kubernetes as one part of the graph. */
import type { Service } from '../api/core.ts';
import { serviceKey, type NetworkId } from '../api/names.ts';
import type { MeshAddress } from '../api/workload.ts';
import type { Collection, Graph, Reader } from '../collection/index.ts';
import { meshService } from './mesh-service.ts';
import type { NamespaceProfiles } from './namespace-profile.ts';
import { clusterOfKey } from './object-key.ts';
import type { WaypointBinding } from './waypoint-binding.ts';

export interface ServiceInputs {
  readonly services: Collection<Service>;
  readonly bindings: Collection<WaypointBinding>;
  readonly profiles: NamespaceProfiles;
  readonly networkOf: (cluster: string, read: Reader) => NetworkId;
  readonly clusterDomain: string;
}

/** By `<namespace>/<hostname>`. */
export function deriveServices(graph: Graph, inputs: ServiceInputs): Collection<MeshAddress> {
  const { bindings, profiles, networkOf, clusterDomain } = inputs;
  return graph.flatMap('services of the mesh', inputs.services, (service, key, read) => {
    const cluster = clusterOfKey(key);
    const derived = meshService(service, {
      clusterDomain,
      network: networkOf(cluster, read),
      profile: profiles.of(cluster, service.metadata.namespace ?? '', read),
      binding: read.get(bindings, key),
    });
    if (!derived) return [];
    const address: MeshAddress = { kind: 'service', service: derived };
    return [[serviceKey(derived.namespace, derived.hostname), address] as const];
  });
}
