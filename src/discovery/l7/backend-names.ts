/** What backends are called at one proxy: Istio's names of clusters (ambient-l7, 1.6 item 5). Pure. */
import { backendName, type BackendNeed } from './contracts.ts';
import type { L7Service } from './l7-services.ts';

export type BackendUse = 'http' | 'tcp';

/**
 * A waypoint calls the Services that it stands for `inbound-vip|...`. Of several Services with one hostname, which only
 * ServiceEntries can have, all but the one that is known everywhere have their namespace in the name.
 */
export function backendNameAt(
  gateway: string,
  service: L7Service,
  { port, subset }: Pick<BackendNeed, 'port' | 'subset'>,
  use: BackendUse,
): string {
  const hostname = service.canonical ? service.hostname : `${service.hostname}@${service.namespace}`;
  if (!service.waypoints.includes(gateway)) {
    return backendName({ hostname, port, ...(subset === undefined ? {} : { subset }) });
  }
  return `inbound-vip|${port}|${use}${subset ? `/${subset}` : ''}|${hostname}`;
}

/** Of the route table of a port. */
export function tableName(service: L7Service, port: number, use: BackendUse): string {
  const hostname = service.canonical ? service.hostname : `${service.hostname}@${service.namespace}`;
  return `inbound-vip|${port}|${use}|${hostname}`;
}
