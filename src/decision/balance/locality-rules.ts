/** Istio's locality settings: how near a host is, and which share each locality gets (ambient-l7, 2.2). */
import type { FailoverStep, LocalityPolicy } from '../../api/l7/index.ts';
import type { Locality, MeshWorkload } from '../../api/workload.ts';
import { scopeValue } from '../ranked-endpoints.ts';
import { localityName } from './load-plan.ts';

/**
 * 0: same subzone, 1: same zone, 2: same region, 3: elsewhere, or the region that takes over. 4: elsewhere, where another region is
 * the one that takes over.
 */
export function localityPriority(own: Locality, other: Locality, failover: LocalityPolicy['failover']): number {
  if (own.region === other.region) {
    if (own.zone !== other.zone) return 2;
    return own.subzone === other.subzone ? 0 : 1;
  }
  const rule = failover.find(({ from }) => from === own.region);
  return rule === undefined || rule.to === other.region ? 3 : 4;
}

/** How many steps are left from the first that does not hold: 0 is nearest. */
export function stepPriority(steps: readonly FailoverStep[], own: MeshWorkload, other: MeshWorkload): number {
  const differing = steps.findIndex((step) => !isNear(step, own, other));
  return differing < 0 ? 0 : steps.length - differing;
}

function isNear(step: FailoverStep, own: MeshWorkload, other: MeshWorkload): boolean {
  if (step.kind === 'label') return step.members.includes(other.uid);
  return scopeValue(step.scope, other) === (step.value ?? scopeValue(step.scope, own));
}

/**
 * The share of each locality in use, for a client at `own`; undefined: no rule is for it. A rule's share is spread over the localities
 * that it matches, by the weight of their hosts; what no rule names gets nothing.
 */
export function distributeWeights(
  own: Locality,
  distribute: LocalityPolicy['distribute'],
  hosts: readonly { readonly locality: Locality; readonly weight: number }[],
): ReadonlyMap<string, number> | undefined {
  const rule = distribute.find(({ from }) => matchesLocality(from, own));
  if (!rule) return undefined;
  const hostWeights = new Map<string, { readonly locality: Locality; weight: number }>();
  for (const { locality, weight } of hosts) {
    const name = localityName(locality);
    const known = hostWeights.get(name);
    if (known) known.weight += weight;
    else hostWeights.set(name, { locality, weight });
  }
  const weights = new Map<string, number>();
  // The most specific pattern first: a locality counts once.
  const shares = rule.to.toSorted((a, b) => b.locality.length - a.locality.length);
  for (const { locality: pattern, weight: share } of shares) {
    const matched = [...hostWeights].filter(
      ([name, { locality }]) => !weights.has(name) && matchesLocality(pattern, locality),
    );
    const total = matched.reduce((sum, [, { weight }]) => sum + weight, 0);
    for (const [name, { weight }] of matched) weights.set(name, (share * weight) / total);
  }
  return weights;
}

/** `region/zone/subzone`, any of them left out at the end, or `*` from one on. */
export function matchesLocality(pattern: string, { region, zone, subzone }: Locality): boolean {
  const parts = [region, zone, subzone];
  const wanted = pattern.split('/');
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '*') return true;
    if (wanted[i] !== parts[i]) return false;
  }
  return true;
}
