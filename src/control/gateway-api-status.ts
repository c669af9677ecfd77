/**
 * Statuses of the Gateway API's objects: discovery's verdicts, merged with what other controllers say of the same objects.
 *
 * This is the one place that writes the status of a Gateway: what is known of its proxies and addresses comes in as a value.
 */
import type { Gateway } from '../api/gateway.ts';
import { kinds } from '../api/kinds.ts';
import type { KindRef } from '../api/meta.ts';
import type { Collection } from '../collection/index.ts';
import type { Discovery } from '../discovery/index.ts';
import type { Verdict } from './conditions.ts';
import { mergeAncestors, mergeListeners, mergeParents } from './gateway-api-status-merge.ts';
import type { StatusKind, StatusObject } from './status-writer.ts';

/** What the status of a Gateway says of its proxies. */
export interface DeployedGateway {
  /** By type: Programmed; Accepted, where something outside of its listeners speaks against it. */
  readonly conditions: Readonly<Record<string, Verdict>>;
  /** Absent: as they are. */
  readonly addresses?: NonNullable<NonNullable<Gateway['status']>['addresses']>;
}

/** Conditions that `deployed` may give besides. */
const deployedTypes = ['Programmed', 'ambit.io/Reconciled'];
/** Those of discovery. */
const gatewayTypes = ['Accepted', 'ResolvedRefs'];

const fieldManager = 'istio.io/gateway-status';

type Follow = (kind: KindRef, ...collections: readonly Collection<unknown>[]) => void;

/** An object without a verdict is not ours: its status is left alone. */
export function gatewayApiStatusKinds(
  { sources, statuses }: Discovery,
  keyOf: (name: string) => string,
  deployed?: (name: string) => DeployedGateway | undefined,
): StatusKind[] {
  const { routes, gateways, classes, backendTlsPolicies, isOwn } = statuses.gatewayApi;
  const ofKind = (
    kind: KindRef<StatusObject>,
    objects: Collection<StatusObject>,
    verdicts: Collection<unknown>,
    conditionTypes: readonly string[],
    judged: StatusKind['judged'],
  ): StatusKind => ({
    kind,
    fieldManager,
    distributedAs: 'untold',
    conditionTypes,
    current: (name) => (verdicts.get(keyOf(name)) === undefined ? undefined : objects.get(keyOf(name))),
    judged,
  });
  const ofRoutes = (kind: keyof typeof routes, objects: Collection<StatusObject>): StatusKind =>
    ofKind(kinds[kind] as KindRef<StatusObject>, objects, routes[kind], [], (name) => {
      const verdict = routes[kind].get(keyOf(name));
      return (
        verdict && {
          generation: verdict.generation,
          conditions: {},
          merged(status, about) {
            const parents = mergeParents(status['parents'], verdict.parents, { ...about, isOwn });
            // Nothing to say, and nothing said: no status.
            return parents.length === 0 && status['parents'] === undefined ? {} : { parents };
          },
        }
      );
    });
  return [
    ofRoutes('HTTPRoute', asStatusObjects(sources.httpRoutes)),
    ofRoutes('GRPCRoute', asStatusObjects(sources.grpcRoutes)),
    ofRoutes('TLSRoute', asStatusObjects(sources.tlsRoutes)),
    ofRoutes('TCPRoute', asStatusObjects(sources.tcpRoutes)),
    ofKind(
      kinds.Gateway,
      sources.gateways,
      gateways,
      deployed ? [...gatewayTypes, ...deployedTypes] : gatewayTypes,
      (name) => {
        const verdict = gateways.get(keyOf(name));
        const known = deployed?.(name);
        return (
          verdict && {
            generation: verdict.generation,
            conditions: { ...verdict.conditions, ...known?.conditions },
            ...(known?.addresses ? { fields: { addresses: known.addresses } } : {}),
            merged: (status, about) => ({ listeners: mergeListeners(status['listeners'], verdict.listeners, about) }),
          }
        );
      },
    ),
    ofKind(
      kinds.BackendTLSPolicy as KindRef<StatusObject>,
      asStatusObjects(sources.backendTlsPolicies),
      backendTlsPolicies,
      [],
      (name) => {
        const verdict = backendTlsPolicies.get(keyOf(name));
        return (
          verdict && {
            generation: verdict.generation,
            conditions: {},
            merged: (status, about) => ({
              ancestors: mergeAncestors(status['ancestors'], verdict.ancestors, { ...about, isOwn }),
            }),
          }
        );
      },
    ),
    ofKind(kinds.GatewayClass, sources.gatewayClasses, classes, ['Accepted'], (name) => {
      const verdict = classes.get(keyOf(name));
      return verdict && { generation: verdict.generation, conditions: { Accepted: verdict.accepted } };
    }),
  ];
}

export function followGatewayApi({ sources, statuses }: Discovery, follow: Follow): void {
  const { routes, gateways, classes, backendTlsPolicies } = statuses.gatewayApi;
  follow(kinds.HTTPRoute, sources.httpRoutes, routes.HTTPRoute);
  follow(kinds.GRPCRoute, sources.grpcRoutes, routes.GRPCRoute);
  follow(kinds.TLSRoute, sources.tlsRoutes, routes.TLSRoute);
  follow(kinds.TCPRoute, sources.tcpRoutes, routes.TCPRoute);
  follow(kinds.Gateway, sources.gateways, gateways);
  follow(kinds.BackendTLSPolicy, sources.backendTlsPolicies, backendTlsPolicies);
  follow(kinds.GatewayClass, sources.gatewayClasses, classes);
}

/** Of routes, what a status writer looks at. */
function asStatusObjects(routes: Collection<unknown>): Collection<StatusObject> {
  return routes as Collection<StatusObject>;
}
