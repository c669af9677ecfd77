/** TCPRoute and TLSRoute -> rules of the model. Pure. */
import type { TCPRoute, TLSRoute } from '../../api/gateway.ts';
import type { Origin, TcpRule, TlsRule, WeightedDestination } from '../../api/l7/index.ts';
import type { BackendRef, ReferenceReader } from './gateway-api-backends.ts';

/** `sniHosts` of the rules are those of the route; whoever binds it to a listener narrows them. */
export function tlsRules(route: TLSRoute, references: ReferenceReader): TlsRule[] {
  const sniHosts = route.spec.hostnames.map((host) => host.toLowerCase());
  return readRules(route, 'TLSRoute', references).map((rule) => ({
    ...rule,
    sniHosts: sniHosts.length > 0 ? sniHosts : ['*'],
  }));
}

export function tcpRules(route: TCPRoute, references: ReferenceReader): TcpRule[] {
  return readRules(route, 'TCPRoute', references);
}

interface L4Rule {
  readonly name: string;
  readonly origin: Origin;
  readonly destinationSubnets: readonly string[];
  readonly destinations: readonly WeightedDestination[];
}

function readRules(route: TCPRoute | TLSRoute, kind: string, references: ReferenceReader): L4Rule[] {
  const { name = '', namespace = '', generation = 0 } = route.metadata;
  return route.spec.rules.map((rule, index) => {
    const path = `spec.rules[${index}]`;
    return {
      name: `${namespace}.${name}.${rule.name ?? index}`,
      origin: { kind, namespace, name, generation, path },
      destinationSubnets: [],
      destinations: readDestinations(rule.backendRefs, path, references),
    };
  });
}

function readDestinations(
  refs: readonly BackendRef[] | undefined,
  rulePath: string,
  references: ReferenceReader,
): WeightedDestination[] {
  return (refs ?? []).flatMap((ref, index) => {
    const target = references.target(ref, `${rulePath}.backendRefs[${index}]`);
    const weight = ref.weight ?? 1;
    return weight === 0 ? [] : { weight, target };
  });
}
