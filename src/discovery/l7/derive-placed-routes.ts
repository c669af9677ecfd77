/**
 * Routes as each proxy holds them, a route at a time: a change of one among thousands places that one, and the rules of the others
 * stay the very objects that they were, which is what makes them cheap to compare and to encode.
 */
import type { Collection, Graph, Index, Reader } from '../../collection/index.ts';
import { backendNameAt } from './backend-names.ts';
import type { BackendNeed, BoundRoutes } from './contracts.ts';
import type { L7Services } from './l7-services.ts';
import { placeRoutes, type PlaceBackend, type PlacedRoutes } from './place-routes.ts';
import type { ProxyGateway } from './proxy-gateways.ts';

/** Whether a rule of somebody names the subset, as seen from the namespace of a proxy. */
export type HasSubset = (need: BackendNeed, gateway: ProxyGateway, read: Reader) => boolean;

export interface PlacedAt extends PlacedRoutes {
  /** `<namespace>/<name>` of the Gateway. */
  readonly gateway: string;
}

export interface PlacedRoutesInputs {
  /** By `<namespace>/<name>`. */
  readonly gateways: Collection<ProxyGateway>;
  readonly services: L7Services;
  readonly routes: Collection<BoundRoutes>;
  readonly hasSubset: HasSubset;
}

/** By `placedKey`. */
export function derivePlacedRoutes(graph: Graph, inputs: PlacedRoutesInputs): Index<PlacedAt> {
  const { gateways, services, routes } = inputs;
  const placed = graph.flatMap('routes placed', routes, (bound, key, read) => {
    const { parent } = bound;
    const names =
      parent.kind === 'listener' ? [parent.gateway] : (read.get(services.all, parent.service)?.waypoints ?? []);
    return names.flatMap((name) => {
      const gateway = read.get(gateways, name);
      if (!gateway) return [];
      return [
        [`${name}|${key}`, { gateway: name, ...placeRoutes(bound, backendPlacer(gateway, inputs, read)) }] as const,
      ];
    });
  });
  return graph.index('routes placed by parent', placed, ({ gateway, routes: { parent } }) => [
    placedKey(gateway, parent),
  ]);
}

export function placedKey(gateway: string, parent: BoundRoutes['parent']): string {
  return parent.kind === 'service'
    ? `${gateway} service ${parent.service}`
    : `${gateway} listener ${parent.gateway}/${parent.listener}`;
}

/** Finds backends as one proxy has them. */
function backendPlacer(
  gateway: ProxyGateway,
  { services, hasSubset }: Pick<PlacedRoutesInputs, 'services' | 'hasSubset'>,
  read: Reader,
): PlaceBackend {
  return (need, use) => {
    const service = read.get(services.all, need.service);
    if (!service) return { kind: 'missing', reason: `host ${need.hostname} is not known` };
    if (!service.ports.some(({ port }) => port === need.port)) {
      return { kind: 'missing', reason: `host ${need.hostname} has no port ${need.port}` };
    }
    if (need.subset !== undefined && !hasSubset(need, gateway, read)) {
      return { kind: 'missing', reason: `no DestinationRule has subset ${need.subset} of host ${need.hostname}` };
    }
    return { kind: 'backend', name: backendNameAt(gateway.gateway, service, need, use), need };
  };
}
