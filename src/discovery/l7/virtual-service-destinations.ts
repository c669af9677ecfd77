/** Destinations of routes of VirtualServices: hosts found, ports chosen, weights as they count (ambient-l7, 2.1). */
import type { WeightedDestination } from '../../api/l7/index.ts';
import { backendName, type BackendNeed } from './contracts.ts';
import { fullHost } from './host-names.ts';
import type { L7Service } from './l7-services.ts';
import type { RuleProblems } from './rule-problems.ts';
import type { VsDestination } from './virtual-service-types.ts';

export interface DestinationContext {
  /** Port of the Service that the table is for: that of destinations with several ports that name none. */
  readonly port: number;
  readonly clusterDomain: string;
  readonly find: (hostname: string, namespace: string) => L7Service | undefined;
  readonly problems: RuleProblems;
  /** Gathers what is needed, by `backendName`. */
  readonly backends: Map<string, BackendNeed>;
  /** Whether there is such a subset depends on who asks. */
  readonly onSubset: (need: BackendNeed, path: string) => void;
}

/** As Istio for a cluster that does not exist. */
const unknownStatus = 503;

export function destinationTarget(
  destination: VsDestination,
  at: { readonly path: string; readonly namespace: string },
  context: DestinationContext,
): WeightedDestination['target'] {
  const { clusterDomain, find, problems, backends } = context;
  const hostname = fullHost(destination.host, at.namespace, clusterDomain);
  const refuse = (path: string, message: string): WeightedDestination['target'] => {
    problems.fault(path, 'HostNotFound', `${message}: it is answered with ${unknownStatus}`);
    return { kind: 'invalid', status: unknownStatus, reason: message };
  };
  const service = find(hostname, at.namespace);
  if (!service) return refuse(`${at.path}.host`, `host ${hostname} is not known`);
  const [only, ...more] = service.ports;
  const port = destination.port?.number ?? (more.length === 0 ? only?.port : undefined) ?? context.port;
  if (!service.ports.some((one) => one.port === port)) {
    return refuse(`${at.path}.port`, `host ${hostname} has no port ${port}`);
  }
  const { subset } = destination;
  const need: BackendNeed = { service: service.key, hostname: service.hostname, port, ...(subset ? { subset } : {}) };
  const name = backendName(need);
  backends.set(name, need);
  if (subset) context.onSubset(need, `${at.path}.subset`);
  return { kind: 'backend', backend: name };
}

/** One destination takes everything, whatever its weight; of several, those without weight get nothing. */
export function weighted<R extends { readonly weight?: number }>(
  routes: readonly R[],
): { readonly route: R; readonly index: number; readonly weight: number }[] {
  const all = routes.map((route, index) => ({ route, index, weight: route.weight ?? 0 }));
  const [only] = all;
  if (only && all.length === 1) return [{ ...only, weight: only.weight || 1 }];
  return all.filter(({ weight }) => weight > 0);
}
