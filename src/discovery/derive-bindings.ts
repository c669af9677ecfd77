/** Which objects use which waypoint, as one part of the graph. */
import type { Namespace, Service } from '../api/core.ts';
import type { KubeObject } from '../api/meta.ts';
import type { Collection, Graph, Reader } from '../collection/index.ts';
import type { NamespaceProfiles } from './namespace-profile.ts';
import { clusterOfKey } from './object-key.ts';
import { bindWaypoint, type BindingRequest, type WaypointBinding } from './waypoint-binding.ts';
import type { Waypoint } from './waypoint.ts';

export interface BindingInputs {
  readonly namespaces: Collection<Namespace>;
  readonly waypoints: Collection<Waypoint>;
  readonly profiles: NamespaceProfiles;
  readonly clusterDomain: string;
}

export interface Bindings {
  /** Of every object that asks for a waypoint, or whose namespace does. */
  readonly ofAll: <T extends KubeObject>(
    name: string,
    objects: Collection<T>,
    traffic: 'service' | 'workload',
    isPrivate?: (object: T) => boolean,
  ) => Collection<WaypointBinding>;
  readonly ofPod: (pod: KubeObject, cluster: string, read: Reader) => WaypointBinding | undefined;
  /** Of the endpoints that a ServiceEntry lists. */
  readonly ofEndpoints: (entry: KubeObject, cluster: string, read: Reader) => WaypointBinding | undefined;
}

export function deriveBindings(graph: Graph, inputs: BindingInputs): Bindings {
  const { namespaces, waypoints, profiles, clusterDomain } = inputs;
  const labels = graph.map('labels of namespaces', namespaces, ({ metadata }) => metadata.labels ?? {});
  const bind = (
    object: KubeObject,
    cluster: string,
    read: Reader,
    of: Pick<BindingRequest, 'traffic' | 'isPrivate' | 'isInherited' | 'isHeadless'>,
  ): WaypointBinding | undefined => {
    const { metadata } = object;
    const own = metadata.namespace ?? '';
    return bindWaypoint({
      ...of,
      metadata,
      ofNamespace: profiles.of(cluster, own, read).waypoint,
      clusterDomain,
      find: (namespace, name) => read.get(waypoints, `${cluster}/${namespace}/${name}`),
      namespaceLabels: () => read.get(labels, `${cluster}//${own}`),
    });
  };
  return {
    ofAll: (name, objects, traffic, isPrivate) =>
      graph.map(name, objects, (object, key, read) =>
        bind(object, clusterOfKey(key), read, {
          traffic,
          isPrivate: isPrivate?.(object) ?? false,
          isHeadless: (object as Partial<Service>).spec?.clusterIP === 'None',
        }),
      ),
    ofPod: (pod, cluster, read) => bind(pod, cluster, read, { traffic: 'workload' }),
    ofEndpoints: (entry, cluster, read) => bind(entry, cluster, read, { traffic: 'workload', isInherited: true }),
  };
}
