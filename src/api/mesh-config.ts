/** `MeshConfig`, as far as Ambit reads it: key `mesh` of ConfigMap `istio` (or `istio-<revision>`) in the root namespace. */
import type { LabelSelector } from './meta.ts';

export interface MeshConfig {
  /** Which namespaces belong to the mesh, by their labels; one match is enough. None: all of them. */
  readonly discoverySelectors: readonly LabelSelector[];
  /** What workloads may reach that the mesh does not know, where no Sidecar says it. Absent: anything. */
  readonly outboundTrafficPolicy?: 'allow-any' | 'registry-only';
  /** Further names of the mesh's trust domain. The chart hands them to ztunnels, too. */
  readonly trustDomainAliases?: readonly string[];
}
