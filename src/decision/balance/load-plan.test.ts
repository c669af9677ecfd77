import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seededRandom, tally, testHost, type TestHost } from './fixtures.ts';
import { planLoad, type LoadPlan } from './load-plan.ts';
import { roundRobin } from './round-robin.ts';

function plan(
  hosts: readonly TestHost[],
  more: { panicPercent?: number; localityWeights?: ReadonlyMap<string, number> } = {},
): LoadPlan<TestHost> {
  const random = seededRandom();
  return planLoad({ hosts, panicPercent: 0, makePicker: (used) => roundRobin(used, () => 0), random, ...more });
}

/** In percent of 1000 draws. */
function shares(of: LoadPlan<TestHost>): Record<string, number> {
  const counts = tally(1000, () => of.pick(undefined));
  return Object.fromEntries(Object.entries(counts).map(([key, count]) => [key, Math.round(count / 10)]));
}

function group(priority: number, healthy: number, total: number): TestHost[] {
  return Array.from({ length: total }, (_, i) => testHost(`p${priority}-${i}`, { priority, healthy: i < healthy }));
}

function byPriority(of: LoadPlan<TestHost>): Record<string, number> {
  const counts = tally(10_000, () => {
    const host = of.pick(undefined);
    return host && { key: `p${host.priority}` };
  });
  return Object.fromEntries(Object.entries(counts).map(([key, count]) => [key, Math.round(count / 100)]));
}

describe('priorities', () => {
  test('without hosts there is nobody to draw', () => {
    assert.equal(plan([]).pick(undefined), undefined);
    assert.equal(plan([testHost('a', { healthy: false })]).pick(undefined), undefined);
  });

  test('the first priority takes everything while it can, with some hosts to spare', () => {
    assert.deepEqual(byPriority(plan([...group(0, 3, 4), ...group(1, 4, 4)])), { p0: 100 });
  });

  test('what it cannot take goes to the next, and so on', () => {
    // Half of the hosts, with room for 1.4 times their share, take 70 %.
    assert.deepEqual(byPriority(plan([...group(0, 2, 4), ...group(1, 4, 4)])), { p0: 70, p1: 30 });
    assert.deepEqual(byPriority(plan([...group(0, 0, 4), ...group(1, 2, 4), ...group(5, 4, 4)])), { p1: 70, p5: 30 });
  });

  test('where all together are too weak, they share by what they can take', () => {
    assert.deepEqual(byPriority(plan([...group(0, 1, 4), ...group(1, 1, 4)])), { p0: 50, p1: 50 });
  });

  test('the gaps between their numbers mean nothing', () => {
    assert.deepEqual(byPriority(plan([...group(3, 4, 4), ...group(9, 4, 4)])), { p3: 100 });
  });

  test('hosts that are skipped are looked for in the other priorities', () => {
    const both = plan([...group(0, 2, 2), ...group(1, 1, 1)]);
    assert.equal(both.pick(undefined, (host) => host.priority === 0)?.key, 'p1-0');
    assert.equal(
      both.pick(undefined, () => true),
      undefined,
    );
  });
});

describe('panic', () => {
  test('uses all hosts, whatever their health, below the threshold', () => {
    const panics = plan(group(0, 1, 4), { panicPercent: 50 });
    assert.equal(panics.panics, true);
    assert.deepEqual(shares(panics), { 'p0-0': 25, 'p0-1': 25, 'p0-2': 25, 'p0-3': 25 });
  });

  test('is off at 0, at the threshold, and while another priority takes everything', () => {
    assert.deepEqual(shares(plan(group(0, 1, 4))), { 'p0-0': 100 });
    assert.equal(plan(group(0, 2, 4), { panicPercent: 50 }).panics, false);
    assert.equal(plan([...group(0, 1, 4), ...group(1, 4, 4)], { panicPercent: 50 }).panics, false);
  });

  test('of all priorities shares by their hosts', () => {
    const all = plan([...group(0, 0, 1), ...group(1, 0, 3)], { panicPercent: 10 });
    assert.deepEqual(byPriority(all), { p0: 25, p1: 75 });
  });
});

describe('weights of localities', () => {
  const hosts = [
    testHost('a', { at: 'r/z1' }),
    testHost('b', { at: 'r/z2' }),
    testHost('c', { at: 'r/z2' }),
    testHost('d', { at: 's' }),
  ];
  const localityWeights = new Map([
    ['r/z1', 80],
    ['r/z2', 20],
  ]);

  test('share requests by locality, then among its hosts, and leave out all others', () => {
    const found = shares(plan(hosts, { localityWeights }));
    assert.ok(Math.abs((found['a'] ?? 0) - 80) <= 3, JSON.stringify(found));
    assert.ok(Math.abs((found['b'] ?? 0) - 10) <= 3 && Math.abs((found['c'] ?? 0) - 10) <= 3);
    assert.equal(found['d'], undefined);
  });

  test('shrink with the health of the locality, and a locality without healthy hosts gets nothing', () => {
    const down = hosts.map((host) => (host.key === 'a' ? { ...host, healthy: false } : host));
    assert.deepEqual(shares(plan(down, { localityWeights })), { b: 50, c: 50 });
    const half = hosts.map((host) => (host.key === 'b' ? { ...host, healthy: false } : host));
    const found = shares(
      plan(half, {
        localityWeights: new Map([
          ['r/z1', 50],
          ['r/z2', 50],
        ]),
      }),
    );
    // 50 to 50 x 0.7
    assert.ok(Math.abs((found['c'] ?? 0) - 41) <= 3, JSON.stringify(found));
  });

  test('lead elsewhere where a locality is skipped as a whole', () => {
    const found = plan(hosts, { localityWeights }).pick(undefined, ({ key }) => key === 'a');
    assert.ok(found && found.key !== 'a');
  });
});

test('a hash decides among priorities and localities, too', () => {
  const of = plan([...group(0, 2, 4), ...group(1, 4, 4)]);
  for (let hash = 0; hash < 50; hash++) {
    const first = of.pick(hash * 0x1234_567);
    assert.equal(of.pick(hash * 0x1234_567)?.priority, first?.priority);
  }
});
