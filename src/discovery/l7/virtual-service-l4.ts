/** `tls` and `tcp` of a VirtualService -> rules of the model (ambient-l7, 2.1). Pure. */
import type { VirtualService } from '../../api/istio.ts';
import type { TcpRule, TlsRule, WeightedDestination } from '../../api/l7/index.ts';
import { originOf } from './l7-services.ts';
import { destinationTarget, weighted, type DestinationContext } from './virtual-service-destinations.ts';
import { isForMesh } from './virtual-service-match.ts';
import type { VsL4Route } from './virtual-service-types.ts';

interface L4Match {
  readonly gateways?: string[];
  readonly port?: number;
  readonly sourceLabels?: Record<string, string>;
  readonly sourceNamespace?: string;
}

export function tlsRules(vs: VirtualService, context: DestinationContext): TlsRule[] {
  return (vs.spec?.tls ?? []).flatMap((rule, index) => {
    const path = `spec.tls[${index}]`;
    const matches = rule.match.filter((match, nth) => {
      const at = `${path}.match[${nth}]`;
      if (!isHere(match, at, context)) return false;
      if (!match.sourceNamespace) return true;
      const message = 'the namespace of clients is not looked at for TLS: the match is left out';
      context.problems.fault(`${at}.sourceNamespace`, 'UnsupportedValue', message);
      return false;
    });
    if (matches.length === 0) return [];
    const destinations = destinationsOf(vs, rule.route, path, context);
    return matches.map((match) => ({
      ...placeOf(vs, 'tls', index, path),
      sniHosts: match.sniHosts.map((host) => host.toLowerCase()),
      destinationSubnets: match.destinationSubnets ?? [],
      destinations,
    }));
  });
}

export function tcpRules(vs: VirtualService, context: DestinationContext): TcpRule[] {
  return (vs.spec?.tcp ?? []).flatMap((rule, index) => {
    const path = `spec.tcp[${index}]`;
    const all = rule.match ?? [];
    const matches = all.filter((match, nth) => isHere(match, `${path}.match[${nth}]`, context));
    if (all.length > 0 && matches.length === 0) return [];
    const destinations = destinationsOf(vs, rule.route, path, context);
    return (matches.length > 0 ? matches : [{}]).map(
      ({ destinationSubnets = [], sourceNamespace }: (typeof all)[number]) => ({
        ...placeOf(vs, 'tcp', index, path),
        destinationSubnets,
        ...(sourceNamespace ? { sourceNamespace } : {}),
        destinations,
      }),
    );
  });
}

function isHere(match: L4Match, path: string, { port, problems }: DestinationContext): boolean {
  if (!isForMesh(match.gateways)) return false;
  if (match.port !== undefined && match.port !== port) return false;
  if (Object.keys(match.sourceLabels ?? {}).length === 0) return true;
  const message = 'a waypoint does not know the labels of clients: the match is left out';
  problems.fault(`${path}.sourceLabels`, 'UnsupportedValue', message);
  return false;
}

function placeOf(vs: VirtualService, field: string, index: number, path: string): Pick<TcpRule, 'name' | 'origin'> {
  const { namespace, name } = vs.metadata;
  return { name: `${namespace}.${name}.${field}.${index}`, origin: originOf('VirtualService', vs, path) };
}

function destinationsOf(
  vs: VirtualService,
  routes: readonly VsL4Route[] = [],
  path: string,
  context: DestinationContext,
): WeightedDestination[] {
  const namespace = vs.metadata.namespace ?? '';
  const found = weighted(routes).map(({ route, index, weight }) => ({
    weight,
    target: destinationTarget(route.destination, { path: `${path}.route[${index}].destination`, namespace }, context),
  }));
  if (found.length === 0) context.problems.fault(path, 'Invalid', 'it leads nowhere: connections are refused');
  return found;
}
