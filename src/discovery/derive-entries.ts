/** ServiceEntries as one part of the graph: Services of their hosts, addresses for them, and who wins a host. */
import type { Condition } from '../api/meta.ts';
import type { ServiceEntry } from '../api/istio.ts';
import { serviceKey, type NetworkId } from '../api/names.ts';
import type { MeshAddress, MeshService } from '../api/workload.ts';
import type { Collection, Graph, Reader } from '../collection/index.ts';
import { allocateAddresses, claimedAddresses, claimRank, wantsAddresses, type Allocation } from './auto-addresses.ts';
import { exported } from './export-to.ts';
import type { NamespaceProfiles } from './namespace-profile.ts';
import { clusterOfKey } from './object-key.ts';
import { entryProblems, entryServices, hostsOf, isDynamic } from './service-entry.ts';
import type { WaypointBinding } from './waypoint-binding.ts';

export interface DerivedEntries {
  /** By `<namespace>/<hostname>`. */
  readonly addresses: Collection<MeshAddress>;
  /** By the key of the ServiceEntry. */
  readonly allocations: Collection<Allocation>;
  readonly verdicts: Collection<EntryVerdict>;
  /** Whether the entry is the one that its namespace describes the host by: neither a Service does, nor an older entry. */
  readonly describes: (entry: ServiceEntry, key: string, host: string, read: Reader) => boolean;
}

export type EntryVerdict = Pick<Condition, 'status' | 'reason' | 'message'>;

export interface EntryInputs {
  readonly entries: Collection<ServiceEntry>;
  readonly bindings: Collection<WaypointBinding>;
  readonly profiles: NamespaceProfiles;
  readonly networkOf: (cluster: string, read: Reader) => NetworkId;
  /** Services of Kubernetes, by `<namespace>/<hostname>`: they win over entries. */
  readonly services: Collection<MeshAddress>;
}

interface Claim {
  readonly service: MeshService;
  readonly rank: string;
}

export function deriveEntries(graph: Graph, inputs: EntryInputs): DerivedEntries {
  const { entries, bindings, profiles, networkOf, services } = inputs;

  const byAddress = graph.index('entries by allocated address', entries, (entry, key) =>
    claimedAddresses(entry).map((ip) => `${clusterOfKey(key)}/${ip}`),
  );
  const allocations = graph.map('addresses given to entries', entries, (entry, key, read) => {
    const own = claimRank(entry);
    const isTaken = (ip: string): boolean => {
      for (const [other, claimant] of read.lookup(byAddress, `${clusterOfKey(key)}/${ip}`)) {
        if (other !== key && (claimRank(claimant) < own || !claimedAddresses(entry).includes(ip))) return true;
      }
      return false;
    };
    return allocateAddresses({ entry, isTaken });
  });

  const claims = graph.flatMap('hosts of entries', entries, (entry, key, read) => {
    const cluster = clusterOfKey(key);
    const found = entryServices(entry, {
      network: networkOf(cluster, read),
      profile: profiles.of(cluster, entry.metadata.namespace ?? '', read),
      binding: read.get(bindings, key),
      allocated: read.get(allocations, key)?.inForce ?? new Map(),
    });
    const rank = ageRank(entry);
    return found.map((service) => [`${key}/${service.hostname}`, { service, rank }] as const);
  });
  const byKey = graph.index('hosts of entries by service', claims, ({ service }) => [keyOf(service)]);
  const publicByHost = graph.index('hosts of entries by name', claims, ({ service }) =>
    service.visibility === 'public' && !service.exportTo ? [service.hostname] : [],
  );
  const servicesByHost = graph.index('services by hostname', services, (address) =>
    address.kind === 'service' ? [address.service.hostname] : [],
  );

  const addresses = graph.flatMap('services of entries', claims, ({ service }, key, read) => {
    if (first(read.lookup(byKey, keyOf(service))) !== key) return [];
    const canonical =
      first(read.lookup(publicByHost, service.hostname)) === key &&
      read.lookup(servicesByHost, service.hostname).size === 0;
    const address: MeshAddress = { kind: 'service', service: { ...service, canonical } };
    return [[keyOf(service), address] as const];
  });

  const winnerOf = (entry: ServiceEntry, key: string, host: string, read: Reader): string | undefined => {
    const namespace = entry.metadata.namespace ?? '';
    const kubernetes = read.get(services, serviceKey(namespace, host));
    if (kubernetes?.kind === 'service') return `Service ${namespace}/${kubernetes.service.name}`;
    const winner = first(read.lookup(byKey, serviceKey(namespace, host)));
    if (winner === undefined || winner === `${key}/${host}`) return undefined;
    return `ServiceEntry ${namespace}/${winner.split('/')[2]}`;
  };

  const verdicts = graph.map('verdicts of entries', entries, (entry, key, read): EntryVerdict => {
    const { namespace = '' } = entry.metadata;
    if (exported(entry.spec.exportTo, namespace) === 'nobody') {
      return { status: 'True', reason: 'Accepted', message: 'exported to no namespace: ztunnels are not told of it' };
    }
    const problems = entryProblems(entry);
    for (const host of read.get(allocations, key)?.without ?? []) problems.push(`no address is left for ${host}`);
    if (isDynamic(entry) && (entry.spec.addresses ?? []).length === 0 && !wantsAddresses(entry))
      problems.push(
        'its hosts get no address, by its label: clients do not come to the waypoint that would resolve them',
      );
    const lost = hostsOf(entry).flatMap((host) => {
      const winner = winnerOf(entry, key, host, read);
      return winner === undefined ? [] : [`${host} is described by ${winner}; only endpoints are added to it`];
    });
    if (problems.length > 0)
      return { status: 'False', reason: 'UnsupportedValue', message: listOf([...problems, ...lost]) };
    if (lost.length > 0) return { status: 'False', reason: 'Conflict', message: listOf(lost) };
    return { status: 'True', reason: 'Accepted', message: 'known to ztunnels' };
  });

  return {
    addresses,
    allocations,
    verdicts,
    describes: (entry, key, host, read) => winnerOf(entry, key, host, read) === undefined,
  };
}

function keyOf({ namespace, hostname }: MeshService): string {
  return serviceKey(namespace, hostname);
}

function ageRank({ metadata }: ServiceEntry): string {
  return `${metadata.creationTimestamp ?? ''} ${metadata.name}`;
}

/** The key of the oldest. */
function first(claims: ReadonlyMap<string, Claim>): string | undefined {
  let best: readonly [string, Claim] | undefined;
  for (const claim of claims) {
    if (!best || claim[1].rank < best[1].rank || (claim[1].rank === best[1].rank && claim[0] < best[0])) best = claim;
  }
  return best?.[0];
}

/** A status is no place for thousands. */
function listOf(items: readonly string[]): string {
  const shown = items.slice(0, 5).join('; ');
  return items.length > 5 ? `${shown}; and ${items.length - 5} more` : shown;
}
