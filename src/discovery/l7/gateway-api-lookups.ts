/** What a route of the Gateway API looks up elsewhere in the graph. */
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import type { MeshScope } from '../mesh-scope.ts';
import { meshController } from '../gateway-role.ts';
import { clusterOfKey } from '../object-key.ts';
import { hostsOf } from '../service-entry.ts';
import type { WaypointBinding } from '../waypoint-binding.ts';
import type { RouteScope } from './gateway-api-backends.ts';
import type { IsGranted } from './gateway-api-certificates.ts';
import type { ParentScope } from './gateway-api-parents.ts';
import type { GatewayView } from './gateway-listeners-view.ts';

export interface LookupInputs {
  readonly scope: MeshScope;
  readonly views: Collection<GatewayView>;
  readonly serviceBindings: Collection<WaypointBinding>;
  readonly entryBindings: Collection<WaypointBinding>;
  readonly isGranted: IsGranted;
  readonly clusterDomain: string;
  readonly hasIstioClasses: boolean;
}

export interface Lookups {
  /** For a route of this namespace, while it is computed. */
  readonly of: (cluster: string, namespace: string, read: Reader) => RouteScope & ParentScope;
}

export function createLookups(graph: Graph, inputs: LookupInputs): Lookups {
  const { scope, views, serviceBindings, entryBindings, isGranted, clusterDomain } = inputs;
  const { services, serviceEntries, namespaces } = scope;
  const labels = graph.map('labels of namespaces with routes', namespaces, ({ metadata }) => metadata.labels ?? {});
  const entriesByHost = graph.index('service entries by host', serviceEntries, (entry, key) =>
    hostsOf(entry).map((host) => `${clusterOfKey(key)}/${entry.metadata.namespace}/${host}`),
  );
  const controllerName = meshController(inputs.hasIstioClasses);
  return {
    of: (cluster, own, read) => ({
      clusterDomain,
      meshController: controllerName,
      service: (namespace, name) => read.get(services, `${cluster}/${namespace}/${name}`),
      entry: (namespace, name) => read.get(serviceEntries, `${cluster}/${namespace}/${name}`),
      entryOfHost(namespace, host) {
        const [first] = read.lookup(entriesByHost, `${cluster}/${namespace}/${host}`).values();
        return first;
      },
      gateway: (namespace, name) => read.get(views, `${cluster}/${namespace}/${name}`),
      isGranted: (from, namespace, to) => isGranted(cluster, namespace, from, to, read),
      namespaceLabels: () => read.get(labels, `${cluster}//${own}`),
      waypointOf(kind, namespace, name) {
        const bindings = kind === 'Service' ? serviceBindings : entryBindings;
        const binding = read.get(bindings, `${cluster}/${namespace}/${name}`);
        if (!binding?.waypoint) return 'none';
        const isForeign = binding.gateways.some(
          (gateway) => read.get(scope.gateways, `${cluster}/${gateway}`) && !read.get(views, `${cluster}/${gateway}`),
        );
        return isForeign ? 'foreign' : 'ours';
      },
    }),
  };
}
