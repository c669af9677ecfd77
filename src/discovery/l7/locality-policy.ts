/** `localityLbSetting` of DestinationRule and of the mesh. Pure. */
import type { DestinationRule } from '../../api/istio.ts';
import type { LocalityPolicy } from '../../api/l7/index.ts';

export type TrafficPolicy = NonNullable<NonNullable<DestinationRule['spec']>['trafficPolicy']>;
export type LocalitySetting = NonNullable<NonNullable<TrafficPolicy['loadBalancer']>['localityLbSetting']>;

/** On where nothing is said, as in Istio: it takes effect with outlier detection, or where failover is forced. */
export function localityPolicy(setting: LocalitySetting | undefined): LocalityPolicy {
  return {
    enabled: setting?.enabled ?? true,
    distribute: (setting?.distribute ?? []).map(({ from = '', to = {} }) => ({
      from,
      to: Object.entries(to)
        .map(([locality, weight]) => ({ locality, weight: Math.max(0, weight) }))
        .toSorted((a, b) => (a.locality < b.locality ? -1 : 1)),
    })),
    failover: (setting?.failover ?? []).map(({ from = '', to = '' }) => ({ from, to })),
    forced: false,
  };
}
