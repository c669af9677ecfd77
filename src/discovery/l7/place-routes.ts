/** Routes as one proxy holds them: backends by the names that they have there, and none that does not exist. Pure. */
import type { HttpRule, Mirror, WeightedDestination } from '../../api/l7/index.ts';
import type { BackendUse } from './backend-names.ts';
import { backendName, type BackendNeed, type BoundRoutes } from './contracts.ts';

/** The backend's name at the proxy, or why there is none. */
export type PlaceBackend = (need: BackendNeed, use: BackendUse) => PlacedBackend;

export type PlacedBackend =
  | { readonly kind: 'backend'; readonly name: string; readonly need: BackendNeed }
  | { readonly kind: 'missing'; readonly reason: string };

export interface PlacedRoutes {
  readonly routes: BoundRoutes;
  /** By their names at the proxy. */
  readonly backends: ReadonlyMap<string, BackendNeed>;
}

/** What a backend that does not exist is answered with: as Istio for VirtualServices, and as the Gateway API has it. */
const missingStatus = { istio: 503, gateway: 500 } as const;

export function placeRoutes(routes: BoundRoutes, place: PlaceBackend): PlacedRoutes {
  const needs = new Map(routes.backends.map((need) => [backendName(need), need]));
  const backends = new Map<string, BackendNeed>();
  const find = (name: string, use: BackendUse): PlacedBackend => {
    const need = needs.get(name);
    const placed: PlacedBackend = need ? place(need, use) : { kind: 'missing', reason: `${name} is not known` };
    if (placed.kind === 'backend') backends.set(placed.name, placed.need);
    return placed;
  };
  const destination = (one: WeightedDestination, use: BackendUse): WeightedDestination => {
    if (one.target.kind === 'invalid') return one;
    const placed = find(one.target.backend, use);
    if (placed.kind === 'backend') return { ...one, target: { kind: 'backend', backend: placed.name } };
    return { ...one, target: { kind: 'invalid', status: missingStatus[routes.api], reason: placed.reason } };
  };
  // A copy for a backend that is not there goes nowhere.
  const mirrors = (list: readonly Mirror[]): Mirror[] =>
    list.flatMap((mirror) => {
      const placed = find(mirror.backend, 'http');
      return placed.kind === 'backend' ? [{ ...mirror, backend: placed.name }] : [];
    });
  const http = (rule: HttpRule): HttpRule => ({
    ...rule,
    action:
      rule.action.kind === 'forward'
        ? { ...rule.action, destinations: rule.action.destinations.map((one) => destination(one, 'http')) }
        : rule.action,
    ...(rule.mirrors ? { mirrors: mirrors(rule.mirrors) } : {}),
  });
  const placed: BoundRoutes = {
    ...routes,
    http: routes.http.map(http),
    tls: routes.tls.map((rule) => ({ ...rule, destinations: rule.destinations.map((one) => destination(one, 'tcp')) })),
    tcp: routes.tcp.map((rule) => ({ ...rule, destinations: rule.destinations.map((one) => destination(one, 'tcp')) })),
  };
  return { routes: placed, backends };
}
