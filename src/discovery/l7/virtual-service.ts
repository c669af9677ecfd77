/** VirtualService -> routes bound to one port of one Service, and what is wrong with it (ambient-l7, 2.1). Pure. */
import type { VirtualService } from '../../api/istio.ts';
import type { BackendNeed, BoundRoutes } from './contracts.ts';
import type { L7Port, L7Service } from './l7-services.ts';
import type { RuleProblems } from './rule-problems.ts';
import type { SourcedRoute } from './virtual-service-delegates.ts';
import { httpRules } from './virtual-service-http.ts';
import { tcpRules, tlsRules } from './virtual-service-l4.ts';

export interface VirtualServiceTarget {
  readonly service: L7Service;
  readonly port: L7Port;
  /** The host of the VirtualService that means the Service. */
  readonly host: string;
}

export interface VirtualServiceContext {
  readonly clusterDomain: string;
  readonly find: (hostname: string, namespace: string) => L7Service | undefined;
  readonly problems: RuleProblems;
  readonly onSubset: (need: BackendNeed, path: string) => void;
}

/** `http` are its routes with those of its delegates. */
export function bindVirtualService(
  vs: VirtualService,
  http: readonly SourcedRoute[],
  { service, port, host }: VirtualServiceTarget,
  context: VirtualServiceContext,
): BoundRoutes {
  const backends = new Map<string, BackendNeed>();
  const destinations = { ...context, port: port.port, backends };
  const { namespace = '', name = '', creationTimestamp = '' } = vs.metadata;
  const bound = {
    http: http.flatMap((route) => httpRules(route, destinations)),
    tls: tlsRules(vs, destinations),
    tcp: tcpRules(vs, destinations),
  };
  return {
    parent: { kind: 'service', service: service.key, port: port.port },
    hostnames: [host],
    ...bound,
    api: 'istio',
    route: { kind: 'VirtualService', namespace, name },
    createdAt: creationTimestamp,
    backends: [...backends.values()],
  };
}
