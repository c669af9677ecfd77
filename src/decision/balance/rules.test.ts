import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FailoverStep, OutlierDetection } from '../../api/l7/index.ts';
import type { WorkloadUid } from '../../api/names.ts';
import type { Locality, MeshWorkload } from '../../api/workload.ts';
import { HeaderList } from '../../http/header-list.ts';
import { cookieValue, requestHash } from './hash-source.ts';
import { hashText } from './hash.ts';
import { distributeWeights, localityPriority, matchesLocality, stepPriority } from './locality-rules.ts';
import { createOutlierState, eject, forgive, mayEject, noteFailure, noteStatus, restore } from './outlier.ts';
import { warmupFactor } from './warmup.ts';

const at = (text: string): Locality => {
  const [region = '', zone = '', subzone = ''] = text.split('/');
  return { region, zone, subzone };
};

describe('localities', () => {
  const own = at('r1/z1/s1');

  test('are near by region, zone and subzone in a row', () => {
    const near = ['r1/z1/s1', 'r1/z1/s2', 'r1/z2/s1', 'r2/z1/s1'].map((other) => localityPriority(own, at(other), []));
    assert.deepEqual(near, [0, 1, 2, 3]);
  });

  test('of the region that takes over come before others', () => {
    const failover = [{ from: 'r1', to: 'r3' }];
    assert.equal(localityPriority(own, at('r3/z'), failover), 3);
    assert.equal(localityPriority(own, at('r2/z'), failover), 4);
    assert.equal(localityPriority(own, at('r1/z9'), failover), 2);
    assert.equal(localityPriority(at('r9'), at('r2'), failover), 3);
  });

  test('give way to steps: the first that does not hold decides', () => {
    const workload = (uid: string, region: string, zone: string): MeshWorkload =>
      ({ uid, locality: { region, zone, subzone: '' } }) as MeshWorkload;
    const proxy = workload('proxy', 'r1', 'z1');
    const priority = (other: MeshWorkload, ...steps: FailoverStep[]): number => stepPriority(steps, proxy, other);
    const region: FailoverStep = { kind: 'place', scope: 'region' };
    const zone: FailoverStep = { kind: 'place', scope: 'zone', value: 'z9' };
    const label: FailoverStep = { kind: 'label', members: ['a' as WorkloadUid] };
    assert.equal(priority(workload('a', 'r1', 'z9'), region, label, zone), 0);
    assert.equal(priority(workload('a', 'r1', 'z1'), region, label, zone), 1);
    assert.equal(priority(workload('b', 'r1', 'z9'), region, label, zone), 2);
    assert.equal(priority(workload('a', 'r2', 'z9'), region, label, zone), 3);
  });

  test('match patterns from the left, with a star for the rest', () => {
    const matches = ['*', 'r1', 'r1/*', 'r1/z1', 'r1/z1/*', 'r1/z1/s1'].map((pattern) => matchesLocality(pattern, own));
    assert.deepEqual(matches, [true, true, true, true, true, true]);
    const others = ['r', 'r2/*', 'r1/z2', 'r1/z1/s2'].map((pattern) => matchesLocality(pattern, own));
    assert.deepEqual(others, [false, false, false, false]);
  });

  test('get shares by the rule of the own locality, spread by the weight of their hosts', () => {
    const hosts = [
      { locality: at('r1/z1'), weight: 1 },
      { locality: at('r1/z2'), weight: 3 },
      { locality: at('r2/z1'), weight: 1 },
      { locality: at('r3/z1'), weight: 1 },
    ];
    const rules = [
      { from: 'r9/*', to: [{ locality: 'r1/*', weight: 100 }] },
      {
        from: 'r1/z1/*',
        to: [
          { locality: 'r1/*', weight: 80 },
          { locality: 'r2/z1/*', weight: 20 },
        ],
      },
    ];
    const shares = distributeWeights(own, rules, hosts);
    assert.deepEqual(
      [...(shares ?? [])].toSorted(([left], [right]) => left.localeCompare(right)),
      [
        ['r1/z1', 20],
        ['r1/z2', 60],
        ['r2/z1', 20],
      ],
    );
    assert.equal(distributeWeights(at('r7'), rules, hosts), undefined);
  });
});

test('a new host warms up from its minimum to its whole weight, slower at first with a small aggression', () => {
  const plain = { durationMs: 10_000, minimumPercent: 10, aggression: 1 };
  assert.deepEqual(
    [0, 1000, 5000, 9999, 10_000].map((age) => warmupFactor(plain, age)),
    [0.1, 0.1, 0.5, 0.9999, 1],
  );
  assert.ok(warmupFactor({ ...plain, aggression: 0.5 }, 5000) < 0.5);
  assert.ok(warmupFactor({ ...plain, aggression: 2 }, 5000) > 0.5);
  assert.ok(warmupFactor({ ...plain, minimumPercent: 0 }, 0) > 0);
});

describe('outlier detection', () => {
  const config: OutlierDetection = {
    consecutive5xx: 3,
    consecutiveGatewayErrors: 0,
    consecutiveLocalOriginFailures: 2,
    splitsLocalOrigin: false,
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionPercent: 50,
    minHealthPercent: 0,
  };
  const run = (statuses: readonly number[], settings = config): boolean[] => {
    const state = createOutlierState();
    return statuses.map((status) => noteStatus(state, status, settings));
  };

  test('counts server errors in a row', () => {
    assert.deepEqual(run([500, 503, 500]), [false, false, true]);
    assert.deepEqual(run([500, 503, 200, 500, 500]), [false, false, false, false, false]);
    assert.deepEqual(run([500, 500, 404, 500]), [false, false, false, false]);
    assert.deepEqual(run([500, 500, 500, 500], { ...config, consecutive5xx: 0 }), [false, false, false, false]);
  });

  test('counts gateway errors by themselves: another server error ends the row', () => {
    const gateway = { ...config, consecutive5xx: 0, consecutiveGatewayErrors: 2 };
    assert.deepEqual(run([502, 503], gateway), [false, true]);
    assert.deepEqual(run([502, 500, 504], gateway), [false, false, false]);
  });

  test('a host that cannot be asked counts as one that answers 503, or by itself where that is split', () => {
    const together = createOutlierState();
    noteFailure(together, config);
    noteStatus(together, 500, config);
    assert.equal(noteFailure(together, config), true);
    const split = { ...config, splitsLocalOrigin: true };
    const apart = createOutlierState();
    assert.equal(noteFailure(apart, split), false);
    noteStatus(apart, 500, split);
    assert.equal(noteFailure(apart, split), false);
    assert.equal(noteFailure(apart, split), true);
    assert.equal(apart.serverErrors, 1);
  });

  test('is taken out longer each time, up to five minutes, and forgiven while all is well', () => {
    const state = createOutlierState();
    const times = Array.from({ length: 12 }, () => {
      eject(state, config, 1000);
      const forMs = state.ejectedUntilMs - 1000;
      restore(state);
      return forMs;
    });
    assert.deepEqual(times.slice(0, 3), [30_000, 60_000, 90_000]);
    assert.equal(times.at(-1), 300_000);
    for (let i = 0; i < 11; i++) forgive(state);
    eject(state, config, 0);
    assert.equal(state.ejectedUntilMs, 60_000);
    forgive(state);
    assert.equal(state.multiplier, 2);
    assert.equal(state.ejections, 13);
  });

  test('leaves enough hosts, but one may always go where another is left', () => {
    assert.equal(mayEject(config, 1, 0), false);
    assert.equal(mayEject({ ...config, maxEjectionPercent: 10 }, 3, 0), true);
    assert.equal(mayEject({ ...config, maxEjectionPercent: 10 }, 3, 1), false);
    assert.equal(mayEject({ ...config, maxEjectionPercent: 0 }, 3, 0), false);
    assert.equal(mayEject(config, 4, 1), true);
    assert.equal(mayEject(config, 4, 2), false);
    assert.equal(mayEject({ ...config, maxEjectionPercent: 100 }, 4, 3), true);
  });
});

describe('what a request is hashed by', () => {
  const head = {
    method: 'GET',
    scheme: 'http' as const,
    authority: 'web.shop',
    path: '/a?user=ann%20b&x=1',
    headers: new HeaderList(['x-user', 'ann', 'cookie', 'a=1; session="abc"', 'cookie', 'b=2']),
    version: 'http/1.1' as const,
  };

  test('is a header, a query parameter, a cookie or the address of the client', () => {
    const hash = (source: Parameters<typeof requestHash>[0]): number | undefined =>
      requestHash(source, head, '10.0.0.7');
    assert.equal(hash({ kind: 'header', name: 'X-User' }), hashText('ann'));
    assert.equal(hash({ kind: 'header', name: ':authority' }), hashText('web.shop'));
    assert.equal(hash({ kind: 'query', name: 'user' }), hashText('ann b'));
    assert.equal(hash({ kind: 'cookie', name: 'session' }), hashText('abc'));
    assert.equal(hash({ kind: 'source-ip' }), hashText('10.0.0.7'));
    assert.equal(hash({ kind: 'header', name: 'x-none' }), undefined);
    assert.equal(hash({ kind: 'query', name: 'none' }), undefined);
  });

  test('is a cookie by its exact name, in any of the fields', () => {
    assert.equal(cookieValue(head, 'b'), '2');
    assert.equal(cookieValue(head, 'sess'), undefined);
    assert.equal(cookieValue({ ...head, headers: new HeaderList() }, 'b'), undefined);
  });
});

test('the hash spreads texts that differ little', () => {
  const buckets = Array.from({ length: 16 }, () => 0);
  for (let i = 0; i < 16_000; i++) {
    const bucket = hashText(`10.0.${i >> 8}.${i & 255}`) % 16;
    buckets[bucket] = (buckets[bucket] ?? 0) + 1;
  }
  for (const count of buckets) assert.ok(count > 850 && count < 1150, String(buckets));
});
