/** Policies as one part of the graph: what ztunnels are told of them, what their statuses say, and which bind a workload. */
import { policyKey, type PolicyKey } from '../api/names.ts';
import type { MeshConfig } from '../api/mesh-config.ts';
import { matchesLabels } from '../api/selector.ts';
import type { Collection, Graph, Reader } from '../collection/index.ts';
import type { Authorization } from '../policy/model.ts';
import { convertAuthorizationPolicy, policySelector, type PolicyVerdict } from './authorization-policy.ts';
import type { MeshScope } from './mesh-scope.ts';
import { withTrustDomains } from './trust-domain-aliases.ts';
import { clusterOfKey, labelIndexKeys, selectorIndexKey } from './object-key.ts';
import {
  convertPeerAuthentication,
  namespaceMode,
  oldestPeer,
  peerSelector,
  staticStrictKey,
  staticStrictPolicy,
  type PeerMode,
} from './peer-authentication.ts';

/** What selectors look at. */
export interface Selectable {
  readonly cluster: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface JudgedPolicy {
  readonly verdict: PolicyVerdict;
  readonly generation: number | undefined;
}

export interface DerivedPolicies {
  readonly authorizations: Collection<Authorization>;
  readonly verdicts: Collection<JudgedPolicy>;
  /** The policies that a workload names: selector policies, then what PeerAuthentication gives it. */
  readonly policiesOf: (workload: Selectable, read: Reader) => PolicyKey[];
}

export interface PolicyInputs {
  readonly scope: MeshScope;
  readonly meshConfigs: Collection<MeshConfig>;
  readonly rootNamespace: string;
  readonly trustDomain: string;
}

export function derivePolicies(graph: Graph, inputs: PolicyInputs): DerivedPolicies {
  const { scope, meshConfigs, rootNamespace, trustDomain } = inputs;
  const { authorizationPolicies, peerAuthentications } = scope;
  const aliases = graph.map('aliases of the trust domain', meshConfigs, (config) => config.trustDomainAliases);
  const conversions = graph.map('conversions of policies', authorizationPolicies, (policy) => ({
    ...convertAuthorizationPolicy(policy, rootNamespace),
    generation: policy.metadata.generation,
    selector: policySelector(policy) ?? {},
  }));
  const verdicts = graph.map('verdicts', conversions, ({ verdict, generation }) =>
    verdict ? { verdict, generation } : undefined,
  );
  const converted = graph.flatMap('authorizations of policies', conversions, ({ authorization }, key, read) => {
    if (!authorization) return [];
    const domains = [trustDomain, ...(read.get(aliases, clusterOfKey(key)) ?? [])];
    return [
      [policyKey(authorization.namespace, authorization.name), withTrustDomains(authorization, domains)] as const,
    ];
  });
  const bySelector = graph.index('policies by selector', conversions, ({ authorization, selector }, key) =>
    authorization ? selectorIndexKey(clusterOfKey(key), authorization.namespace, selector) : [],
  );

  const peersByNamespace = graph.index('peer authentications by namespace', peerAuthentications, (peer, key) =>
    peerSelector(peer) ? [] : [`${clusterOfKey(key)}/${peer.metadata.namespace}`],
  );
  const peersBySelector = graph.index('peer authentications by selector', peerAuthentications, (peer, key) =>
    selectorIndexKey(clusterOfKey(key), peer.metadata.namespace ?? '', peerSelector(peer) ?? {}),
  );
  const modeOf = (cluster: string, namespace: string, read: Reader): PeerMode =>
    namespaceMode(
      oldestPeer(read.lookup(peersByNamespace, `${cluster}/${namespace}`).values()),
      oldestPeer(read.lookup(peersByNamespace, `${cluster}/${rootNamespace}`).values()),
    );
  const peerConversions = graph.map('conversions of peer authentications', peerAuthentications, (peer, key, read) =>
    peerSelector(peer)
      ? convertPeerAuthentication(peer, modeOf(clusterOfKey(key), peer.metadata.namespace ?? '', read), rootNamespace)
      : {},
  );
  const peerPolicies = graph.flatMap('authorizations of peer authentications', peerConversions, ({ dedicated }) => [
    [staticStrictKey(rootNamespace), staticStrictPolicy(rootNamespace)] as const,
    ...(dedicated ? [[policyKey(dedicated.namespace, dedicated.name), dedicated] as const] : []),
  ]);

  const peerReference = ({ cluster, namespace, labels }: Selectable, read: Reader): PolicyKey | undefined => {
    const selecting = labelIndexKeys(cluster, namespace, labels).flatMap((indexKey) =>
      [...read.lookup(peersBySelector, indexKey).values()].filter((peer) =>
        matchesLabels(labels, peerSelector(peer) ?? {}),
      ),
    );
    const peer = oldestPeer(selecting);
    if (!peer) return modeOf(cluster, namespace, read) === 'strict' ? staticStrictKey(rootNamespace) : undefined;
    return read.get(peerConversions, `${cluster}/${peer.metadata.namespace}/${peer.metadata.name}`)?.reference;
  };

  return {
    authorizations: graph.join('authorizations', [converted, peerPolicies]),
    verdicts,
    policiesOf(workload, read) {
      const { cluster, namespace, labels } = workload;
      const names = new Set<PolicyKey>();
      for (const scope of new Set([rootNamespace, namespace])) {
        for (const indexKey of labelIndexKeys(cluster, scope, labels)) {
          for (const { authorization, selector } of read.lookup(bySelector, indexKey).values()) {
            if (authorization && matchesLabels(labels, selector)) {
              names.add(policyKey(authorization.namespace, authorization.name));
            }
          }
        }
      }
      const reference = peerReference(workload, read);
      return [...[...names].toSorted(), ...(reference ? [reference] : [])];
    },
  };
}
