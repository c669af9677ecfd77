/** How near endpoints are to be (ambient-l4, 10.3). */
import type { LoadBalancing, RoutingScope } from '../api/workload.ts';

export const trafficDistributionAnnotation = 'networking.istio.io/traffic-distribution';

const closest: readonly RoutingScope[] = ['network', 'region', 'zone'];

/** Undefined for a value that asks for nothing, or that nobody knows: all endpoints alike. */
export function loadBalancingBy(
  distribution: string | undefined,
  healthPolicy: LoadBalancing['healthPolicy'],
): LoadBalancing | undefined {
  if (distribution === 'PreferClose' || distribution === 'PreferSameZone') {
    return { routingPreference: closest, mode: 'failover', healthPolicy };
  }
  if (distribution === 'PreferSameNode') {
    return { routingPreference: [...closest, 'subzone', 'node'], mode: 'failover', healthPolicy };
  }
  return healthPolicy === 'allow-all' ? { routingPreference: [], mode: 'unspecified', healthPolicy } : undefined;
}
