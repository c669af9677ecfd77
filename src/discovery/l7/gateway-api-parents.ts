/** Parents of a route: whether each takes it, and where it is then bound (ambient-l7, 2.3 and 15.4). Pure. */
import type { HTTPRoute } from '../../api/gateway.ts';
import type { ServiceEntry } from '../../api/istio.ts';
import { matchesSelector } from '../../api/selector.ts';
import { serviceKey } from '../../api/names.ts';
import type { Service } from '../../api/core.ts';
import { isMeshService, serviceHostname } from '../mesh-service.ts';
import { portsOfEntry, portsOfService, type NamedPort } from '../ports.ts';
import { hostsOf } from '../service-entry.ts';
import type { RouteParent } from './contracts.ts';
import { commonHostnames } from './gateway-api-hostnames.ts';
import type { GatewayView } from './gateway-listeners-view.ts';
import { gatewayGroup, type ListenerView, type RouteKind } from './gateway-listeners.ts';

/** The same in every kind of route. */
export type ParentRef = NonNullable<HTTPRoute['spec']['parentRefs']>[number];

export interface ParentScope {
  readonly clusterDomain: string;
  /** Routes of Services are told under its name. */
  readonly meshController: string;
  readonly gateway: (namespace: string, name: string) => GatewayView | undefined;
  readonly service: (namespace: string, name: string) => Service | undefined;
  readonly entry: (namespace: string, name: string) => ServiceEntry | undefined;
  /** Labels of the namespace of the route. */
  readonly namespaceLabels: () => Readonly<Record<string, string>> | undefined;
  /** Whose waypoint a Service or ServiceEntry goes through. */
  readonly waypointOf: (
    kind: 'Service' | 'ServiceEntry',
    namespace: string,
    name: string,
  ) => 'ours' | 'foreign' | 'none';
}

export interface RouteIdentity {
  readonly kind: RouteKind;
  readonly namespace: string;
  /** Undefined: the route has none; those of the parent then hold. */
  readonly hostnames: readonly string[] | undefined;
}

/** One place where a route is bound. */
export interface Binding {
  readonly parent: RouteParent;
  readonly hostnames: readonly string[];
  readonly consumerNamespace?: string;
}

export interface ParentOutcome {
  readonly parentRef: ParentRef;
  readonly controllerName: string;
  /** Empty: refused, for the reason of `refusal`. */
  readonly bindings: readonly Binding[];
  readonly refusal?: {
    readonly reason: 'NoMatchingParent' | 'NotAllowedByListeners' | 'NoMatchingListenerHostname';
    readonly message: string;
  };
  /** Of a Service or ServiceEntry. */
  readonly hasWaypoint?: boolean;
}

/** Undefined: the parent is none of ours, or nobody knows whose it will be. */
export function resolveParent(ref: ParentRef, route: RouteIdentity, scope: ParentScope): ParentOutcome | undefined {
  const { group = gatewayGroup, kind = 'Gateway', namespace = route.namespace } = ref;
  if (group === gatewayGroup && kind === 'Gateway') {
    const gateway = scope.gateway(namespace, ref.name);
    return (
      gateway && {
        parentRef: ref,
        controllerName: gateway.controllerName,
        ...bindToGateway(ref, route, gateway, scope),
      }
    );
  }
  if (group === '' && kind === 'Service') {
    const service = scope.service(namespace, ref.name);
    const usable = service && isMeshService(service) ? service : undefined;
    return ofMesh(ref, route, scope, {
      kind: 'Service',
      namespace,
      hosts: usable ? [serviceHostname(usable, scope.clusterDomain)] : undefined,
      ports: usable ? portsOfService(usable) : [],
    });
  }
  if (group === 'networking.istio.io' && kind === 'ServiceEntry') {
    const entry = scope.entry(namespace, ref.name);
    return ofMesh(ref, route, scope, {
      kind: 'ServiceEntry',
      namespace,
      hosts: entry && hostsOf(entry),
      ports: entry ? portsOfEntry(entry) : [],
    });
  }
  return undefined;
}

interface MeshParent {
  readonly kind: 'Service' | 'ServiceEntry';
  readonly namespace: string;
  /** Undefined: it does not exist. */
  readonly hosts: readonly string[] | undefined;
  readonly ports: readonly NamedPort[];
}

/** In the namespace of the parent the route is its producer's and holds for all clients, else it is a consumer's. */
function ofMesh(
  ref: ParentRef,
  route: RouteIdentity,
  scope: ParentScope,
  parent: MeshParent,
): ParentOutcome | undefined {
  const { kind, namespace, hosts, ports } = parent;
  const waypoint = scope.waypointOf(kind, namespace, ref.name);
  // Another controller's waypoint follows the route, or does not: it tells.
  if (waypoint === 'foreign') return undefined;
  const common = { parentRef: ref, controllerName: scope.meshController };
  const refuse = (message: string): ParentOutcome => ({
    ...common,
    bindings: [],
    refusal: { reason: 'NoMatchingParent', message },
  });
  const full = `${kind} ${namespace}/${ref.name}`;
  if (!hosts) return refuse(`${full} does not exist`);
  const { sectionName, port } = ref;
  const asked = sectionName !== undefined || port !== undefined;
  const found = ports.filter(
    (one) => (port === undefined || one.port === port) && (sectionName === undefined || one.name === sectionName),
  );
  if (asked && found.length === 0) return refuse(`${full} has no TCP port ${sectionName ?? port}`);
  const numbers = asked ? found.map((one) => one.port) : [undefined];
  return {
    ...common,
    hasWaypoint: waypoint === 'ours',
    bindings: hosts.flatMap((host) =>
      numbers.map((number) => ({
        parent: {
          kind: 'service',
          service: serviceKey(namespace, host),
          ...(number === undefined ? {} : { port: number }),
        },
        hostnames: ['*'],
        ...(namespace === route.namespace ? {} : { consumerNamespace: route.namespace }),
      })),
    ),
  };
}

/** A listener must be meant, then allow the route, then have a host name in common with it: the furthest step tells. */
function bindToGateway(
  ref: ParentRef,
  route: RouteIdentity,
  gateway: GatewayView,
  scope: ParentScope,
): Pick<ParentOutcome, 'bindings' | 'refusal'> {
  const { sectionName, port } = ref;
  const full = `${gateway.namespace}/${gateway.name}`;
  const meant = gateway.listeners.filter(
    (one) => (sectionName === undefined || one.name === sectionName) && (port === undefined || one.port === port),
  );
  if (meant.length === 0) {
    const what = [...(sectionName === undefined ? [] : [sectionName]), ...(port === undefined ? [] : [`port ${port}`])];
    const message = `Gateway ${full} has no listener ${what.join(' with ')}`;
    return { bindings: [], refusal: { reason: 'NoMatchingParent', message } };
  }
  const allowing = meant.filter((listener) => allows(listener, route, gateway, scope));
  if (allowing.length === 0) {
    const names = meant.map(({ name }) => name).join(', ');
    const message = `no listener (${names}) of Gateway ${full} lets a ${route.kind} of namespace ${route.namespace} attach`;
    return { bindings: [], refusal: { reason: 'NotAllowedByListeners', message } };
  }
  const bindings = allowing.flatMap((listener): Binding[] => {
    const hostnames = commonHostnames(listener.hostname, route.hostnames);
    if (hostnames.length === 0) return [];
    return [{ parent: { kind: 'listener', gateway: full, listener: listener.name }, hostnames }];
  });
  if (bindings.length > 0) return { bindings };
  const message = `no host name of the route is one of ${allowing.map(({ hostname }) => hostname).join(', ')}`;
  return { bindings, refusal: { reason: 'NoMatchingListenerHostname', message } };
}

function allows(listener: ListenerView, route: RouteIdentity, gateway: GatewayView, scope: ParentScope): boolean {
  if (!listener.supportedKinds.includes(route.kind)) return false;
  const { allowed } = listener;
  switch (allowed.from) {
    case 'All':
      return true;
    case 'Same':
      return route.namespace === gateway.namespace;
    case 'Selector':
      return matchesSelector(scope.namespaceLabels(), allowed.selector);
  }
}
