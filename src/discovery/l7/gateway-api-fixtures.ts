/** The Gateway API over objects written by hand, for tests. */
import type { Gateway, HTTPRoute, ReferenceGrant } from '../../api/gateway.ts';
import type { KubeObject, ObjectMeta } from '../../api/meta.ts';
import { defaultClusterId } from '../../api/names.ts';
import type { EdgeListener, HttpRule, TlsSecret } from '../../api/l7/index.ts';
import { createGraph, type Source } from '../../collection/index.ts';
import { createDiscovery, type DiscoverySources } from '../discovery.ts';
import { defaultRevision, meshScope } from '../mesh-scope.ts';
import { objectKey, keyOfObject } from '../object-key.ts';
import type { BoundRoutes } from './contracts.ts';
import { deriveGatewayApi, type GatewayApi } from './gateway-api.ts';
import type { GatewayVerdict, ListenerVerdict } from './gateway-listeners-view.ts';
import type { RouteKind } from './gateway-listeners.ts';
import type { ParentVerdict } from './route-status.ts';

export interface GatewayWorld {
  readonly sources: DiscoverySources;
  readonly api: GatewayApi;
  put<T extends KubeObject>(source: Source<T>, ...objects: T[]): void;
  /** The moment has come at which another certificate of the Secret `shop/<name>` may serve. */
  due(secret: string): void;
  remove<T extends KubeObject>(source: Source<T>, object: T): void;
  /** Of the route `shop/<name>`. */
  bound(name: string): BoundRoutes[];
  rules(name: string): readonly HttpRule[];
  parents(kind: RouteKind, name: string): readonly ParentVerdict[];
  /** `type=reason` of the conditions that are not as they should be, of the only parent. */
  faults(kind: RouteKind, name: string): string[];
  /** Of the Gateway `shop/<name>`. */
  gateway(name: string): GatewayVerdict | undefined;
  listener(gateway: string, name: string): ListenerVerdict | undefined;
  edge(gateway: string): EdgeListener[];
  secrets(gateway: string): TlsSecret[];
  /** What derivations threw. */
  readonly errors: string[];
}

export interface WorldOptions {
  readonly hasIstioClasses?: boolean;
  readonly nowMs?: () => number;
}

export function openGatewayWorld({ hasIstioClasses = true, nowMs = Date.now }: WorldOptions = {}): GatewayWorld {
  const errors: string[] = [];
  const graph = createGraph({
    onError: (collection, key, error) => errors.push(`${collection} ${key}: ${String(error)}`),
  });
  const { sources, statuses } = createDiscovery(graph);
  const scope = meshScope(graph, sources, { rootNamespace: 'istio-system', revision: defaultRevision });
  const { serviceBindings, entryBindings } = statuses;
  const api = deriveGatewayApi(graph, {
    scope,
    serviceBindings,
    entryBindings,
    clusterDomain: 'cluster.local',
    hasIstioClasses,
    certificateTime: { nowMs, due: sources.certificatesDue },
  });
  const key = (name: string): string => objectKey(defaultClusterId, 'shop', name);
  const world: GatewayWorld = {
    sources,
    api,
    errors,
    put(source, ...objects) {
      for (const object of objects) source.set(keyOfObject(defaultClusterId, object), object);
      graph.flush();
    },
    due(secret) {
      const changesAtMs = api.servedCertificates.get(key(secret))?.changesAtMs ?? 0;
      sources.certificatesDue.set(key(secret), changesAtMs);
      graph.flush();
    },
    remove(source, object) {
      source.delete(keyOfObject(defaultClusterId, object));
      graph.flush();
    },
    bound: (name) => [...api.boundRoutes.entries()].map(([, one]) => one).filter(({ route }) => route.name === name),
    rules: (name) => world.bound(name)[0]?.http ?? [],
    parents: (kind, name) => api.verdicts.routes[kind].get(key(name))?.parents ?? [],
    faults: (kind, name) =>
      Object.entries(world.parents(kind, name)[0]?.conditions ?? {})
        .filter(([type, { status }]) => (type === 'PartiallyInvalid' ? status === 'True' : status === 'False'))
        .map(([type, { reason }]) => `${type}=${reason}`),
    gateway: (name) => api.verdicts.gateways.get(key(name)),
    listener: (gateway, name) => world.gateway(gateway)?.listeners.find((one) => one.name === name),
    edge: (gateway) =>
      [...api.edgeListeners.entries()]
        .flatMap(([, one]) =>
          one.gateway === `shop/${gateway}` && one.resource.kind === 'listener' && one.resource.type === 'edge'
            ? [one.resource]
            : [],
        )
        .toSorted((a, b) => a.port - b.port),
    secrets: (gateway) =>
      [...api.secrets.entries()].flatMap(([, one]) =>
        one.gateway === `shop/${gateway}` && one.resource.kind === 'secret' ? [one.resource] : [],
      ),
  };
  return world;
}

type Meta = Omit<ObjectMeta, 'name'>;
export type HttpRouteRule = NonNullable<HTTPRoute['spec']['rules']>[number];
type ParentRef = NonNullable<HTTPRoute['spec']['parentRefs']>[number];

export const toWeb: ParentRef = { group: '', kind: 'Service', name: 'web' };
export const toGateway: ParentRef = { name: 'edge' };
/** Service `web`, port 80. */
export const webBackend: { name: string; port: number } = { name: 'web', port: 80 };

export function httpRoute(
  name: string,
  spec: { parents?: ParentRef[]; hostnames?: string[]; rules?: HttpRouteRule[] } = {},
  more: Meta = {},
): HTTPRoute {
  const { parents = [toWeb], hostnames, rules = [{ backendRefs: [webBackend] }] } = spec;
  return {
    metadata: { name, namespace: 'shop', generation: 3, creationTimestamp: '2026-01-01T00:00:00Z', ...more },
    spec: { parentRefs: parents, ...(hostnames ? { hostnames } : {}), rules },
  };
}

/** Gateway `shop/edge` of class `istio`. */
export function edgeGateway(
  listeners: Gateway['spec']['listeners'],
  more: Meta & { className?: string } = {},
): Gateway {
  const { className = 'istio', ...metadata } = more;
  return {
    metadata: { name: 'edge', namespace: 'shop', generation: 1, ...metadata },
    spec: { gatewayClassName: className, listeners },
  };
}

export function grant(namespace: string, spec: ReferenceGrant['spec']): ReferenceGrant {
  return { metadata: { name: 'grant', namespace }, spec };
}
