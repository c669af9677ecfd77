/** Gives Services of type LoadBalancer their addresses, as a cloud's controller does: from the mesh's own pools. */
import { isDeepStrictEqual } from 'node:util';
import { kinds, type LoadBalancerIngress, type Service } from '../../api/index.ts';
import { objectKey, startInformer, type KubeClient } from '../../kube/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { formatIp, parseCidr, tryParseIp } from '../../lib/ip.ts';
import type { Log } from '../../lib/log.ts';
import { createWorkQueue } from './work-queue.ts';

export interface LoadBalancersOptions {
  /** May update the status of Services. */
  readonly client: KubeClient;
  /** Where addresses come from, for each family that the mesh has. The last byte tells them apart: 1 to 254. */
  readonly pools: Readonly<Partial<Record<'IPv4' | 'IPv6', string>>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/**
 * Works until `signal` aborts. A Service keeps its address as long as it is a load balancer; `loadBalancerIP` is given if
 * it is in the pool and free. Services of another `loadBalancerClass` are somebody else's.
 */
export async function startLoadBalancers(options: LoadBalancersOptions): Promise<void> {
  const { client, clock, signal } = options;
  const log = options.log.child('load-balancers');
  const queue = createWorkQueue({ reconcile, signal, log, clock });
  /** What was given by us: the store shows it a moment later, and meanwhile another Service must not get it. */
  const given = new Map<string, LoadBalancerIngress[]>();
  const changed = (service: Service): void => queue.add(objectKey(service));
  const services = startInformer<Service>(client, kinds.Service, {
    signal,
    log,
    onAdd: changed,
    onUpdate: (_, service) => changed(service),
    onDelete: (gone) => {
      given.delete(objectKey(gone));
      // Somebody may have waited for the address.
      for (const [key, service] of services.store) if (isOurs(service) && !hasAddress(service)) queue.add(key);
    },
  });
  await services.synced;
  queue.start();

  async function reconcile(key: string): Promise<void> {
    const service = services.store.get(key);
    if (!service || service.metadata.deletionTimestamp || !isOurs(service)) return;
    const others = [...services.store].map(([other, each]): Service => {
      const ours = given.get(other);
      return ours && isOurs(each) ? { ...each, status: { loadBalancer: { ingress: ours } } } : each;
    });
    const ingress = chooseIngress(service, others, options.pools);
    if (isDeepStrictEqual(ingress, service.status?.loadBalancer?.ingress ?? [])) return;
    const { name = '', namespace, resourceVersion } = service.metadata;
    const patch = {
      // Two Services must not get one address: the choice holds for this state of the Service alone.
      metadata: { ...(resourceVersion !== undefined && { resourceVersion }) },
      status: { loadBalancer: { ingress } },
    };
    await client.patch(kinds.Service, name, namespace, patch, { type: 'merge', subresource: 'status', signal });
    given.set(key, ingress);
  }
}

/** Pure: an address of each family of the Service; those that it has stay. */
export function chooseIngress(
  service: Service,
  all: Iterable<Service>,
  pools: LoadBalancersOptions['pools'],
): LoadBalancerIngress[] {
  const taken = new Set<string>();
  const own = new Set((service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []));
  for (const other of all) {
    if (other.metadata.uid === service.metadata.uid) continue;
    for (const { ip } of other.status?.loadBalancer?.ingress ?? []) if (ip !== undefined) taken.add(ip);
  }
  return (service.spec?.ipFamilies ?? ['IPv4']).flatMap((family): LoadBalancerIngress[] => {
    const pool = pools[family];
    if (pool === undefined) return [];
    const choices = addressesOf(pool);
    const asked = service.spec?.loadBalancerIP;
    const kept = choices.find((ip) => own.has(ip) && !taken.has(ip));
    const wanted = asked !== undefined && choices.includes(asked) && !taken.has(asked) ? asked : undefined;
    const ip = wanted ?? kept ?? choices.find((each) => !taken.has(each));
    return ip === undefined ? [] : [{ ip, ipMode: 'VIP' }];
  });
}

function addressesOf(pool: string): string[] {
  const { address } = parseCidr(pool);
  return Array.from({ length: 254 }, (_, i) => {
    const bytes = Uint8Array.from(address);
    bytes[bytes.length - 1] = i + 1;
    return formatIp(bytes);
  });
}

function isOurs({ spec }: Service): boolean {
  return spec?.type === 'LoadBalancer' && (spec.loadBalancerClass ?? '') === '';
}

function hasAddress({ status }: Service): boolean {
  return (status?.loadBalancer?.ingress ?? []).some(({ ip }) => ip !== undefined && tryParseIp(ip) !== undefined);
}
