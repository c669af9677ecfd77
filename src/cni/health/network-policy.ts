/** NetworkPolicies under which a pod's mesh traffic would not arrive: they name the ports of applications, and not the tunnel's. */
import { isDeepStrictEqual } from 'node:util';
import { matchesSelector, type KubeObject, type LabelSelector, type Pod } from '../../api/index.ts';
import { hbonePort } from '../rules/pod-rule-set.ts';

export interface NetworkPolicy extends KubeObject {
  readonly spec?: {
    readonly podSelector?: LabelSelector;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly IngressRule[];
    readonly egress?: readonly EgressRule[];
  };
}

interface PolicyPort {
  readonly protocol?: string;
  readonly port?: number | string;
  readonly endPort?: number;
}

interface Peer {
  readonly podSelector?: LabelSelector;
  readonly namespaceSelector?: LabelSelector;
  readonly ipBlock?: { readonly cidr?: string; readonly except?: readonly string[] };
}

interface IngressRule {
  readonly ports?: readonly PolicyPort[];
  readonly from?: readonly Peer[];
}

interface EgressRule {
  readonly ports?: readonly PolicyPort[];
  readonly to?: readonly Peer[];
}

interface Rule {
  readonly policy: string;
  readonly index: number;
  readonly ports: readonly PolicyPort[];
  /** None: everybody. */
  readonly peers: readonly Peer[];
}

type Direction = 'ingress' | 'egress';

/**
 * Sentences that say which rule leaves port 15008 out, and what to add. A rule that admits nobody, or no TCP port, is meant
 * so. Whether peers of another rule include this one's is not computed: the same peers, or all, must be named.
 */
export function blockedMeshTraffic(pod: Pod, policies: readonly NetworkPolicy[]): string[] {
  const selecting = policies.filter(
    (policy) =>
      policy.metadata.namespace === pod.metadata.namespace &&
      matchesSelector(pod.metadata.labels, policy.spec?.podSelector ?? {}),
  );
  return [...blocked('ingress', pod, selecting), ...blocked('egress', pod, selecting)];
}

function blocked(direction: Direction, pod: Pod, policies: readonly NetworkPolicy[]): string[] {
  const rules = policies
    .filter((policy) => appliesTo(direction, policy))
    .flatMap((policy) => rulesOf(direction, policy));
  const tunnelRules = rules.filter((rule) => admits(rule, hbonePort, pod));
  return rules
    .filter((rule) => carriesTcp(rule, direction) && !tunnelRules.some((other) => coversPeers(other, rule)))
    .map((rule) => {
      const where = direction === 'ingress' ? 'to this pod' : 'from this pod to others';
      return `NetworkPolicy ${rule.policy}, ${direction} rule ${rule.index + 1}, leaves out port ${hbonePort}, by which mesh traffic comes ${where}: add "- { protocol: TCP, port: ${hbonePort} }" to its ports`;
    });
}

function appliesTo(direction: Direction, { spec }: NetworkPolicy): boolean {
  const types = spec?.policyTypes ?? ['Ingress', ...(spec?.egress ? ['Egress'] : [])];
  return types.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
}

function rulesOf(direction: Direction, { metadata, spec }: NetworkPolicy): Rule[] {
  const policy = metadata.name ?? '';
  if (direction === 'ingress')
    return (spec?.ingress ?? []).map(({ ports = [], from = [] }, index) => ({ policy, index, ports, peers: from }));
  return (spec?.egress ?? []).map(({ ports = [], to = [] }, index) => ({ policy, index, ports, peers: to }));
}

/** Whether the rule is about connections that go through the mesh, on ports that it names. */
function carriesTcp({ ports, peers }: Rule, direction: Direction): boolean {
  const tcp = ports.filter(({ protocol = 'TCP', port }) => protocol === 'TCP' && port !== 53 && port !== hbonePort);
  if (tcp.length === 0) return false;
  // Egress to address blocks is usually to what is outside of the mesh.
  return direction === 'ingress' || peers.length === 0 || peers.some(({ ipBlock }) => ipBlock === undefined);
}

function admits({ ports }: Rule, wanted: number, pod: Pod): boolean {
  if (ports.length === 0) return true;
  return ports.some(({ protocol = 'TCP', port, endPort }) => {
    if (protocol !== 'TCP') return false;
    if (port === undefined) return true;
    const first = typeof port === 'number' ? port : namedPort(pod, port);
    return first !== undefined && wanted >= first && wanted <= (endPort ?? first);
  });
}

function namedPort(pod: Pod, name: string): number | undefined {
  const ports = pod.spec.containers.flatMap((container) => container.ports ?? []);
  return ports.find((each) => each.name === name)?.containerPort;
}

function coversPeers(other: Rule, rule: Rule): boolean {
  if (other.peers.length === 0) return true;
  return rule.peers.length > 0 && rule.peers.every((peer) => other.peers.some((each) => isDeepStrictEqual(each, peer)));
}
