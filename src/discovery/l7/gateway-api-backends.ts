/** Backends that routes of the Gateway API name: found, granted, with the port that is asked for (ambient-l7, 2.3). Pure. */
import type { Service } from '../../api/core.ts';
import type { HTTPRoute } from '../../api/gateway.ts';
import type { ServiceEntry } from '../../api/istio.ts';
import type { WeightedDestination } from '../../api/l7/index.ts';
import { serviceKey } from '../../api/names.ts';
import { isMeshService, serviceHostname } from '../mesh-service.ts';
import { portsOfEntry, portsOfService } from '../ports.ts';
import { backendName, type BackendNeed } from './contracts.ts';
import type { ReferenceFrom, ReferenceTo } from './reference-grant.ts';

type HttpRouteRule = NonNullable<HTTPRoute['spec']['rules']>[number];
/** The same in every kind of route. */
export type BackendRef = Omit<NonNullable<HttpRouteRule['backendRefs']>[number], 'filters'>;

/** What can be looked up for a route. */
export interface RouteScope {
  readonly clusterDomain: string;
  /** Of the mesh. */
  readonly service: (namespace: string, name: string) => Service | undefined;
  /** The ServiceEntry of the namespace with this host. */
  readonly entryOfHost: (namespace: string, host: string) => ServiceEntry | undefined;
  /** Whether what is in `namespace` may be named. */
  readonly isGranted: (from: ReferenceFrom, namespace: string, to: ReferenceTo) => boolean;
}

/** Why a reference of a route does not hold: a reason of its condition `ResolvedRefs`. */
export interface ReferenceProblem {
  readonly reason:
    | 'BackendNotFound'
    | 'RefNotPermitted'
    | 'InvalidKind'
    | 'InvalidDestination'
    | 'InvalidFilter'
    | 'UnsupportedProtocol';
  readonly message: string;
  /** Field of the route, as in `spec.rules[0].backendRefs[1]`. */
  readonly path: string;
}

/** Gathers what the references of one route come to. */
export interface ReferenceReader {
  target(ref: BackendRef, path: string): WeightedDestination['target'];
  refuse(problem: ReferenceProblem): void;
  /** Each once. */
  readonly backends: readonly BackendNeed[];
  readonly problems: readonly ReferenceProblem[];
}

/** Of what a reference that cannot be followed gets (Gateway API: HTTPBackendRef). */
const invalidStatus = 500;

export function createReferenceReader(scope: RouteScope, from: ReferenceFrom): ReferenceReader {
  const backends = new Map<string, BackendNeed>();
  const problems: ReferenceProblem[] = [];
  return {
    target(ref, path) {
      const resolved = resolveBackend(ref, scope, from);
      if ('reason' in resolved) {
        problems.push({ ...resolved, path });
        return { kind: 'invalid', status: invalidStatus, reason: resolved.message };
      }
      const name = backendName(resolved);
      backends.set(name, resolved);
      return { kind: 'backend', backend: name };
    },
    refuse: (problem) => void problems.push(problem),
    get backends() {
      return [...backends.values()];
    },
    problems,
  };
}

type Resolved = BackendNeed | Pick<ReferenceProblem, 'reason' | 'message'>;

function resolveBackend(ref: BackendRef, scope: RouteScope, from: ReferenceFrom): Resolved {
  const { group = '', kind = 'Service', name, namespace = from.namespace, port } = ref;
  if (group === '' && kind === 'Service') {
    // Before existence: who may not name it does not learn whether it is there.
    if (namespace !== from.namespace && !scope.isGranted(from, namespace, { group, kind, name })) {
      return {
        reason: 'RefNotPermitted',
        message: `Service ${namespace}/${name} is in another namespace, where no ReferenceGrant allows to name it`,
      };
    }
    const service = scope.service(namespace, name);
    if (!service) return { reason: 'BackendNotFound', message: `Service ${namespace}/${name} does not exist` };
    if (!isMeshService(service)) {
      return {
        reason: 'InvalidDestination',
        message: `Service ${namespace}/${name} is an ExternalName, which is no backend`,
      };
    }
    return withPort(serviceHostname(service, scope.clusterDomain), namespace, port, portsOfService(service), 'Service');
  }
  if (group === 'networking.istio.io' && kind === 'Hostname') return resolveHostname(ref, scope, from);
  return { reason: 'InvalidKind', message: `${kind}${group === '' ? '' : `.${group}`} is no kind of backend` };
}

/** Any host that the namespace of the route has: of its ServiceEntries, or of its Services. */
function resolveHostname(ref: BackendRef, scope: RouteScope, from: ReferenceFrom): Resolved {
  const host = ref.name.toLowerCase();
  const { namespace } = from;
  if (ref.namespace !== undefined && ref.namespace !== namespace) {
    return { reason: 'InvalidDestination', message: `Hostname ${host} must be of the namespace of the route` };
  }
  const entry = scope.entryOfHost(namespace, host);
  if (entry) return withPort(host, namespace, ref.port, portsOfEntry(entry), 'Hostname');
  const suffix = `.${namespace}.svc.${scope.clusterDomain}`;
  const service = host.endsWith(suffix) ? scope.service(namespace, host.slice(0, -suffix.length)) : undefined;
  if (!service || !isMeshService(service)) {
    return { reason: 'BackendNotFound', message: `Hostname ${host} is no host of namespace ${namespace}` };
  }
  return withPort(host, namespace, ref.port, portsOfService(service), 'Hostname');
}

function withPort(
  hostname: string,
  namespace: string,
  port: number | undefined,
  ports: readonly { readonly port: number }[],
  kind: string,
): Resolved {
  if (port === undefined) {
    return { reason: 'InvalidDestination', message: `${kind} ${hostname} is named without a port` };
  }
  if (!ports.some((one) => one.port === port)) {
    return { reason: 'BackendNotFound', message: `${kind} ${hostname} has no TCP port ${port}` };
  }
  return { service: serviceKey(namespace, hostname), hostname, port };
}
