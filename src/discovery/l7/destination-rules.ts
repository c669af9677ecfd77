/** DestinationRules by the host that they are for, as a proxy finds and merges them (ambient-l7, 2.2). */
import type { DestinationRule } from '../../api/istio.ts';
import type { Origin } from '../../api/l7/index.ts';
import { matchesLabels } from '../../api/selector.ts';
import type { Collection, Graph, Reader } from '../../collection/index.ts';
import { coversHost, fullHost, hostRank } from './host-names.ts';
import { originOf, type L7Service } from './l7-services.ts';
import type { TrafficPolicy } from './locality-policy.ts';
import type { ProxyGateway } from './proxy-gateways.ts';
import { compareText } from './service-routes.ts';
import type { Subset } from './traffic-policy.ts';

export interface MergedSubset extends Subset {
  readonly origin: Origin;
}

/** All that one namespace says of a host. */
export interface MergedRule {
  readonly trafficPolicy: TrafficPolicy | undefined;
  /** Of the rule with the traffic policy, else of the first. */
  readonly origin: Origin;
  readonly subsets: ReadonlyMap<string, MergedSubset>;
}

export interface DestinationRules {
  /** The proxy's namespace is asked first, then the Service's, then the root. */
  readonly of: (service: L7Service, gateway: ProxyGateway, read: Reader) => MergedRule | undefined;
  /** Those of one namespace for this host as written, in the order in which they merge. */
  readonly sameHost: (rule: DestinationRule, read: Reader) => DestinationRule[];
}

export function deriveDestinationRules(
  graph: Graph,
  inputs: {
    readonly destinationRules: Collection<DestinationRule>;
    readonly clusterDomain: string;
    readonly rootNamespace: string;
  },
): DestinationRules {
  const { destinationRules, clusterDomain, rootNamespace } = inputs;
  const hostOf = ({ metadata, spec }: DestinationRule): string =>
    fullHost(spec?.host ?? '', metadata.namespace ?? '', clusterDomain);
  const byHost = graph.index('destination rules by host', destinationRules, (rule) => {
    const host = hostOf(rule);
    const { namespace } = rule.metadata;
    return host.startsWith('*') ? [`${namespace} ${host}`, `${namespace} any wildcard`] : [`${namespace} ${host}`];
  });
  const inNamespace = (namespace: string, hostname: string, gateway: ProxyGateway, read: Reader): DestinationRule[] => {
    const isFor = (rule: DestinationRule): boolean => selects(rule, gateway);
    const exact = [...read.lookup(byHost, `${namespace} ${hostname}`).values()].filter(isFor);
    if (exact.length > 0) return exact;
    const wild = [...read.lookup(byHost, `${namespace} any wildcard`).values()].filter(
      (rule) => coversHost(hostOf(rule), hostname) && isFor(rule),
    );
    const best = Math.max(...wild.map((rule) => hostRank(hostOf(rule))));
    return wild.filter((rule) => hostRank(hostOf(rule)) === best);
  };
  return {
    of(service, gateway, read) {
      for (const namespace of new Set([gateway.namespace, service.namespace, rootNamespace])) {
        const [first, ...more] = inNamespace(namespace, service.hostname, gateway, read).toSorted(byAge);
        if (first) return merge([first, ...more], first);
      }
      return undefined;
    },
    sameHost: (rule, read) =>
      [...read.lookup(byHost, `${rule.metadata.namespace} ${hostOf(rule)}`).values()].toSorted(byAge),
  };
}

function merge(rules: readonly DestinationRule[], first: DestinationRule): MergedRule {
  const deciding = rules.find(({ spec }) => spec?.trafficPolicy);
  const subsets = new Map<string, MergedSubset>();
  for (const rule of rules) {
    for (const [index, subset] of (rule.spec?.subsets ?? []).entries()) {
      if (subsets.has(subset.name)) continue;
      subsets.set(subset.name, { ...subset, origin: originOf('DestinationRule', rule, `spec.subsets[${index}]`) });
    }
  }
  return {
    trafficPolicy: deciding?.spec?.trafficPolicy,
    origin: originOf('DestinationRule', deciding ?? first),
    subsets,
  };
}

/** A rule may choose its clients: of a proxy's pods the labels are known that every Gateway's have. */
function selects({ spec }: DestinationRule, { name, className }: ProxyGateway): boolean {
  const wanted = spec?.workloadSelector?.matchLabels;
  if (!wanted) return true;
  return matchesLabels(
    {
      'gateway.networking.k8s.io/gateway-name': name,
      'gateway.networking.k8s.io/gateway-class-name': className,
      'service.istio.io/canonical-name': name,
    },
    wanted,
  );
}

function byAge(a: DestinationRule, b: DestinationRule): number {
  return (
    compareText(a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? '') ||
    compareText(a.metadata.name ?? '', b.metadata.name ?? '')
  );
}
