/** What several workers have open at each backend and host, added up. Pure. */
import type { BackendStatus } from '../upstream/index.ts';

type HostStatus = BackendStatus['hosts'][number];

/** `known`: backends and hosts with their health, whose own loads count for nothing. Hosts that clients chose are the workers' alone. */
export function addEndpoints(
  known: readonly BackendStatus[],
  loads: readonly (readonly BackendStatus[])[],
): BackendStatus[] {
  return known.map((backend) => {
    const each = loads.flatMap((all) => all.find(({ name }) => name === backend.name) ?? []);
    const hosts = new Map<string, HostStatus>(
      backend.hosts.map((host) => [keyOf(host), { ...host, activeRequests: 0, connections: 0 }]),
    );
    for (const host of each.flatMap((one) => one.hosts)) {
      const sum = hosts.get(keyOf(host));
      if (!sum) hosts.set(keyOf(host), host);
      else {
        hosts.set(keyOf(host), {
          ...sum,
          activeRequests: sum.activeRequests + host.activeRequests,
          connections: sum.connections + host.connections,
        });
      }
    }
    return {
      ...backend,
      hosts: [...hosts.values()],
      activeRequests: sumOf(each, 'activeRequests'),
      pendingRequests: sumOf(each, 'pendingRequests'),
      connections: sumOf(each, 'connections'),
    };
  });
}

function keyOf({ address, workload }: HostStatus): string {
  return `${address} ${workload}`;
}

function sumOf(
  statuses: readonly BackendStatus[],
  field: 'activeRequests' | 'pendingRequests' | 'connections',
): number {
  return statuses.reduce((sum, status) => sum + status[field], 0);
}
