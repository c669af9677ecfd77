/**
 * Who may answer for a service in another network: behind a gateway nobody sees which endpoint answers, so the service itself vouches
 * for the identities of all that it has there (ambient-l4, 10.8).
 */
import { spiffeId, type NetworkId } from '../api/names.ts';
import type { MeshAddress } from '../api/workload.ts';
import type { Collection, Graph, Reader } from '../collection/index.ts';

export interface RemoteInputs {
  readonly services: Collection<MeshAddress>;
  /** Endpoints that may be in another network. */
  readonly workloads: Collection<MeshAddress>;
  readonly networkOf: (cluster: string, read: Reader) => NetworkId;
}

interface RemoteEndpoint {
  readonly identity: string;
  readonly services: readonly string[];
}

/** The services, with these identities among their `subjectAltNames`. */
export function withRemoteIdentities(graph: Graph, inputs: RemoteInputs): Collection<MeshAddress> {
  const remote = graph.map('endpoints in other networks', inputs.workloads, (address, _, read) => {
    if (address.kind !== 'workload') return undefined;
    const { clusterId, network, trustDomain, namespace, serviceAccount, tunnelProtocol, services } = address.workload;
    // Without a tunnel or an account of its own, nothing says that it has an identity.
    const hasIdentity = tunnelProtocol === 'hbone' || serviceAccount !== 'default';
    if (!hasIdentity || services.size === 0 || network === inputs.networkOf(clusterId, read)) return undefined;
    const identity = spiffeId(trustDomain, namespace, serviceAccount);
    return { identity, services: [...services.keys()] } satisfies RemoteEndpoint;
  });
  const byService = graph.index('endpoints in other networks by service', remote, ({ services }) => services);
  return graph.map('services with remote identities', inputs.services, (address, key, read): MeshAddress => {
    const endpoints = read.lookup(byService, key);
    if (endpoints.size === 0 || address.kind !== 'service') return address;
    const { service } = address;
    const identities = [...endpoints.values()].map(({ identity }) => identity).toSorted();
    const subjectAltNames = [...new Set([...service.subjectAltNames, ...identities])];
    return { kind: 'service', service: { ...service, subjectAltNames } };
  });
}
