/** Which blocks of DestinationRules hold for one port of one subset (ambient-l7, 2.2). Pure. */
import type { DestinationRule } from '../../api/istio.ts';
import type { TrafficPolicy } from './locality-policy.ts';

export type DestinationRuleSpec = NonNullable<DestinationRule['spec']>;
export type Subset = NonNullable<DestinationRuleSpec['subsets']>[number];

/** What holds for a port: no settings of ports are left in it. */
export type EffectivePolicy = Omit<TrafficPolicy, 'portLevelSettings'>;

/** The blocks that settings of a port replace, all four together: what they do not say is the default. */
const portBlocks = ['loadBalancer', 'connectionPool', 'outlierDetection', 'tls'] as const;

export function effectivePolicy(
  top: TrafficPolicy | undefined,
  ofSubset: TrafficPolicy | undefined,
  port: number,
): EffectivePolicy {
  const base = forPort(top, port, {});
  return forPort(ofSubset, port, base);
}

/** `policy` over what it inherits, block by block. */
function forPort(policy: TrafficPolicy | undefined, port: number, inherited: EffectivePolicy): EffectivePolicy {
  if (!policy) return inherited;
  const { portLevelSettings = [], ...blocks } = policy;
  const merged: EffectivePolicy = { ...inherited, ...blocks };
  const settings = portLevelSettings.find((one) => one.port?.number === port);
  if (!settings) return merged;
  const kept = Object.fromEntries(
    Object.entries(merged).filter(([name]) => !portBlocks.some((block) => block === name)),
  );
  const { port: _, ...own } = settings;
  return { ...kept, ...own };
}
