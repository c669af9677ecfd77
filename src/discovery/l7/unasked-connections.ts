/** Connections that are no HTTP, about which a policy asks an authorizer that can be asked about requests alone: they are denied. Pure. */
import type { HttpAuthorization, HttpAuthorizationRule, L7Protocol } from '../../api/l7/index.ts';
import type { Graph, Reader } from '../../collection/index.ts';
import type { MeshScope } from '../mesh-scope.ts';
import type { PolicyTarget } from './contracts.ts';
import type { L7Services } from './l7-services.ts';
import { maySpeakHttp } from './port-protocol.ts';

/** A port that a policy guards. */
export interface GuardedPort {
  readonly port: number;
  readonly protocol: L7Protocol;
  /** As people know it: `web.shop.svc.cluster.local`, `listener db of shop/edge`. */
  readonly of: string;
}

/** The ports behind what a policy is bound to, as far as they are known. */
export function guardedPorts(
  graph: Graph,
  { scope, services }: { readonly scope: Pick<MeshScope, 'gateways'>; readonly services: Pick<L7Services, 'all'> },
): (target: PolicyTarget, cluster: string, read: Reader) => GuardedPort[] {
  const ofServices = graph.map('ports of services for policies', services.all, ({ ports, hostname, waypoints }) => ({
    ports: ports.map(({ port, protocol }): GuardedPort => ({ port, protocol, of: hostname })),
    waypoints,
  }));
  const byWaypoint = graph.index('ports by waypoint', ofServices, ({ waypoints }) => waypoints);
  const ofGateways = graph.map('ports of gateways for policies', scope.gateways, ({ metadata, spec }) => ({
    className: spec.gatewayClassName,
    gateway: `${metadata.namespace}/${metadata.name}`,
    ports: spec.listeners.flatMap(({ name, port, protocol }): GuardedPort[] =>
      protocol === 'TCP' || protocol === 'TLS'
        ? [
            {
              port,
              protocol: protocol === 'TCP' ? 'tcp' : 'tls',
              of: `listener ${name} of ${metadata.namespace}/${metadata.name}`,
            },
          ]
        : [],
    ),
  }));
  const byClass = graph.index('gateways by class for policies', ofGateways, ({ className }) => [className]);
  return function portsOf(target, cluster, read): GuardedPort[] {
    switch (target.kind) {
      case 'service':
        return [...(read.get(ofServices, target.service)?.ports ?? [])];
      case 'gateway':
        return [
          ...(read.get(ofGateways, `${cluster}/${target.gateway}`)?.ports ?? []),
          ...[...read.lookup(byWaypoint, target.gateway).values()].flatMap(({ ports }) => ports),
        ];
      case 'gateway-class':
        return [...read.lookup(byClass, target.name).values()].flatMap(({ gateway }) =>
          portsOf({ kind: 'gateway', gateway }, cluster, read),
        );
      case 'mesh':
      case 'namespace':
        return [];
    }
  };
}

/** A status is no place for hundreds. */
const shown = 5;

/** A line for the status; undefined: every connection that the rules may match can be asked about. */
export function unaskedConnections(
  { action, provider = '', dryRun, rules }: HttpAuthorization,
  ports: readonly GuardedPort[],
): string | undefined {
  if (action !== 'custom' || dryRun) return undefined;
  const denied = ports.filter(
    ({ port, protocol }) => !maySpeakHttp(protocol) && rules.some((rule) => mayMatchPort(rule, port)),
  );
  if (denied.length === 0) return undefined;
  const names = [...new Set(denied.map(({ port, of }) => `${port} of ${of}`))].toSorted();
  const listed = names.slice(0, shown).join(', ');
  const more = names.length > shown ? ` and ${names.length - shown} more` : '';
  return `provider ${JSON.stringify(provider)} is asked by HTTP, and port ${listed}${more} speaks none: what the rules match there is denied`;
}

/** Whatever else a rule says: without HTTP there is little more to go by. */
function mayMatchPort({ to, when }: HttpAuthorizationRule, port: number): boolean {
  const allows = (matches: HttpAuthorizationRule['when']): boolean =>
    matches.every(({ attribute, values, notValues }) => {
      if (attribute.kind !== 'destination-port') return true;
      const isThere = (list: typeof values): boolean =>
        list.some((value) => value.kind === 'port' && value.port === port);
      return (values.length === 0 || isThere(values)) && !isThere(notValues);
    });
  return (to.length === 0 || to.some(allows)) && allows(when);
}
