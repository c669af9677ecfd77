/** What a namespace decides for everything in it, as small facts: workloads read one of them, and hear of no other change. */
import type { Namespace } from '../api/core.ts';
import type { Sidecar } from '../api/istio.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { matchesLabels } from '../api/selector.ts';
import type { MeshWorkload } from '../api/workload.ts';
import type { Collection, Graph, Reader, Source } from '../collection/index.ts';
import { clusterOfKey, labelIndexKeys, selectorIndexKey } from './object-key.ts';
import { trafficDistributionAnnotation } from './traffic-distribution.ts';
import { declaredIngressUse, declaredWaypoint, type WaypointDeclaration } from './waypoint-labels.ts';

export type OutboundMode = MeshWorkload['outboundMode'];

export interface NamespaceProfile {
  readonly waypoint: WaypointDeclaration | 'none' | undefined;
  readonly ingressUseWaypoint: boolean;
  readonly trafficDistribution: string | undefined;
  /** Of workloads that no Sidecar selects by labels. */
  readonly outboundMode: OutboundMode;
  /** Some Sidecar of the namespace selects workloads by labels. */
  readonly hasSelectors: boolean;
}

export interface NamespaceProfiles {
  readonly of: (cluster: string, namespace: string, read: Reader) => NamespaceProfile;
  readonly outboundModeOf: (
    workload: {
      readonly cluster: string;
      readonly namespace: string;
      readonly labels: Readonly<Record<string, string>>;
    },
    read: Reader,
  ) => OutboundMode;
}

export interface ProfileInputs {
  readonly namespaces: Collection<Namespace>;
  readonly sidecars: Collection<Sidecar>;
  readonly meshConfigs: Source<MeshConfig>;
  readonly rootNamespace: string;
}

/** One Sidecar is for a workload: the oldest that selects it, else that of its namespace, else that of the root namespace. */
export function deriveNamespaceProfiles(graph: Graph, inputs: ProfileInputs): NamespaceProfiles {
  const { namespaces, sidecars, meshConfigs, rootNamespace } = inputs;
  const meshModes = graph.map('outbound modes of the mesh', meshConfigs, (config) => config.outboundTrafficPolicy);
  const modes = graph.map('outbound modes of sidecars', sidecars, sidecarMode);
  const wide = graph.index('sidecars by namespace', modes, ({ namespace, selector }, key) =>
    selector ? [] : [`${clusterOfKey(key)}/${namespace}`],
  );
  const selecting = graph.index('sidecars with selector by namespace', modes, ({ namespace, selector }, key) =>
    selector ? [`${clusterOfKey(key)}/${namespace}`] : [],
  );
  const bySelector = graph.index('sidecars by selector', modes, ({ namespace, selector }, key) =>
    selector ? selectorIndexKey(clusterOfKey(key), namespace, selector) : [],
  );
  // A Sidecar that says nothing of it leaves it to the mesh, and still takes the place of the one above it.
  const modeBy = (sidecar: SidecarMode | undefined, cluster: string, read: Reader): OutboundMode => {
    const mode = sidecar?.mode ?? read.get(meshModes, cluster);
    return mode === 'registry-only' ? mode : undefined;
  };
  const modeOfNamespace = (cluster: string, namespace: string, read: Reader): OutboundMode => {
    const own = oldest(read.lookup(wide, `${cluster}/${namespace}`).values());
    return modeBy(own ?? oldest(read.lookup(wide, `${cluster}/${rootNamespace}`).values()), cluster, read);
  };

  const profiles = graph.map('profiles of namespaces', namespaces, ({ metadata }, key, read): NamespaceProfile => {
    const cluster = clusterOfKey(key);
    const namespace = metadata.name ?? '';
    return {
      waypoint: declaredWaypoint(metadata),
      ingressUseWaypoint: declaredIngressUse(metadata) ?? false,
      trafficDistribution: metadata.annotations?.[trafficDistributionAnnotation],
      outboundMode: modeOfNamespace(cluster, namespace, read),
      hasSelectors: read.lookup(selecting, `${cluster}/${namespace}`).size > 0,
    };
  });
  const of = (cluster: string, namespace: string, read: Reader): NamespaceProfile =>
    read.get(profiles, `${cluster}//${namespace}`) ?? {
      // An object may come a moment before its namespace.
      waypoint: undefined,
      ingressUseWaypoint: false,
      trafficDistribution: undefined,
      outboundMode: modeOfNamespace(cluster, namespace, read),
      hasSelectors: false,
    };
  return {
    of,
    outboundModeOf({ cluster, namespace, labels }, read) {
      const profile = of(cluster, namespace, read);
      if (!profile.hasSelectors) return profile.outboundMode;
      const matching = labelIndexKeys(cluster, namespace, labels).flatMap((indexKey) =>
        [...read.lookup(bySelector, indexKey).values()].filter(({ selector }) => matchesLabels(labels, selector ?? {})),
      );
      const own = oldest(matching);
      return own ? modeBy(own, cluster, read) : profile.outboundMode;
    },
  };
}

interface SidecarMode {
  readonly namespace: string;
  readonly name: string;
  readonly created: string;
  /** Undefined: it is for the whole namespace. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** Undefined: it does not say. */
  readonly mode: 'registry-only' | 'allow-any' | undefined;
}

function sidecarMode({ metadata, spec }: Sidecar): SidecarMode {
  const labels = spec?.workloadSelector?.labels;
  const mode = spec?.outboundTrafficPolicy && (spec.outboundTrafficPolicy.mode ?? 'REGISTRY_ONLY');
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name ?? '',
    created: metadata.creationTimestamp ?? '',
    selector: labels && Object.keys(labels).length > 0 ? labels : undefined,
    mode: mode && (mode === 'ALLOW_ANY' ? 'allow-any' : 'registry-only'),
  };
}

function oldest(sidecars: Iterable<SidecarMode>): SidecarMode | undefined {
  return [...sidecars].toSorted((a, b) => compareText(a.created, b.created) || compareText(a.name, b.name))[0];
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
