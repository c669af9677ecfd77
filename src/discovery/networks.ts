/** Networks: between two of them, workloads reach each other through gateways alone. */
import type { Namespace } from '../api/core.ts';
import type { NetworkId } from '../api/names.ts';
import type { Collection, Graph, Reader } from '../collection/index.ts';

export const networkLabel = 'topology.istio.io/network';

/** The network of a cluster: a label of its root namespace; "" without one. */
export function deriveNetworks(
  graph: Graph,
  namespaces: Collection<Namespace>,
  rootNamespace: string,
): (cluster: string, read: Reader) => NetworkId {
  const networks = graph.map('networks', namespaces, ({ metadata }) =>
    metadata.name === rootNamespace ? (metadata.labels?.[networkLabel] as NetworkId | undefined) : undefined,
  );
  return (cluster, read) => read.get(networks, `${cluster}//${rootNamespace}`) ?? ('' as NetworkId);
}
