/** `loadBalancer` of a traffic policy (ambient-l7, 2.2). Pure. */
import type { HashSource, HashTable, LoadBalancer, Warmup } from '../../api/l7/index.ts';
import { milliseconds } from './durations.ts';
import type { TrafficPolicy } from './locality-policy.ts';
import type { RuleProblems } from './rule-problems.ts';

type LoadBalancerSettings = NonNullable<TrafficPolicy['loadBalancer']>;
type ConsistentHash = NonNullable<LoadBalancerSettings['consistentHash']>;

const minimumRingSize = 1024;
const maglevTableSize = 65_537;
const warmupPercent = 10;

export function loadBalancerOf(settings: LoadBalancerSettings, path: string, problems: RuleProblems): LoadBalancer {
  const { simple, consistentHash, zoneAwareLbSetting } = settings;
  const warmup = warmupOf(settings);
  if (zoneAwareLbSetting?.enabled)
    problems.note(`${path}.zoneAwareLbSetting`, 'waypoints prefer near endpoints by localityLbSetting alone');
  if (warmup && (consistentHash || simple === 'RANDOM' || simple === 'PASSTHROUGH'))
    problems.note(`${path}.warmup`, 'it is for ROUND_ROBIN and LEAST_REQUEST');
  if (consistentHash) {
    const on = hashSource(consistentHash);
    if (on) {
      if (consistentHash.httpCookie?.attributes?.length)
        problems.fault(
          `${path}.consistentHash.httpCookie.attributes`,
          'UnsupportedValue',
          'cookies are made without them',
        );
      return { kind: 'consistent-hash', on, table: hashTable(consistentHash) };
    }
    problems.fault(`${path}.consistentHash`, 'Invalid', 'it does not say of what: LEAST_REQUEST is used');
  }
  switch (simple ?? 'UNSPECIFIED') {
    case 'RANDOM':
      return { kind: 'random' };
    case 'PASSTHROUGH':
      return { kind: 'passthrough' };
    case 'ROUND_ROBIN':
      return { kind: 'round-robin', ...(warmup ? { warmup } : {}) };
    case 'LEAST_REQUEST':
    case 'LEAST_CONN':
    case 'UNSPECIFIED':
      return { kind: 'least-request', ...(warmup ? { warmup } : {}) };
  }
}

function hashSource(hash: ConsistentHash): HashSource | undefined {
  const { httpHeaderName, httpQueryParameterName, httpCookie, useSourceIp } = hash;
  if (httpHeaderName) return { kind: 'header', name: httpHeaderName.toLowerCase() };
  if (httpQueryParameterName) return { kind: 'query', name: httpQueryParameterName };
  if (httpCookie) {
    const ttlMs = milliseconds(httpCookie.ttl);
    return {
      kind: 'cookie',
      name: httpCookie.name,
      ...(httpCookie.path ? { path: httpCookie.path } : {}),
      ...(ttlMs === undefined ? {} : { ttlSeconds: Math.ceil(ttlMs / 1000) }),
    };
  }
  return useSourceIp ? { kind: 'source-ip' } : undefined;
}

function hashTable(hash: ConsistentHash): HashTable {
  if (hash.maglev) return { kind: 'maglev', tableSize: positive(hash.maglev.tableSize) ?? maglevTableSize };
  const minimum = positive(hash.ringHash?.minimumRingSize) ?? positive(hash.minimumRingSize);
  return { kind: 'ring', minimumSize: minimum ?? minimumRingSize };
}

function warmupOf({ warmup, warmupDurationSecs }: LoadBalancerSettings): Warmup | undefined {
  const durationMs = milliseconds(warmup?.duration ?? warmupDurationSecs);
  if (!durationMs) return undefined;
  return {
    durationMs,
    minimumPercent: Math.min(100, positive(warmup?.minimumPercent) ?? warmupPercent),
    aggression: positive(warmup?.aggression) ?? 1,
  };
}

function positive(value: number | null | undefined): number | undefined {
  return value !== undefined && value !== null && value > 0 ? value : undefined;
}
