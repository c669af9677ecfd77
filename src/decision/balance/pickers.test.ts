import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { seededRandom, tally, testHost, type TestHost } from './fixtures.ts';
import type { Picker } from './host.ts';
import { maglev } from './maglev.ts';
import { leastRequest, randomDraw } from './random-draw.ts';
import { ringHash } from './ring-hash.ts';
import { roundRobin } from './round-robin.ts';

const makers: Record<string, (hosts: readonly TestHost[], random: () => number) => Picker<TestHost>> = {
  'round robin': roundRobin,
  random: randomDraw,
  'least request': leastRequest,
  'ring hash': (hosts, random) => ringHash(hosts, 64, random),
  maglev: (hosts, random) => maglev(hosts, 251, random),
};

for (const [name, make] of Object.entries(makers)) {
  describe(name, () => {
    test('has nobody of nobody', () => {
      assert.equal(make([], seededRandom()).pick(undefined), undefined);
    });

    test('never draws a host that is skipped, as long as there is another, and then nobody', () => {
      const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });
      fc.assert(
        fc.property(weights, fc.integer({ min: 0, max: 255 }), fc.nat(), (all, mask, seed) => {
          const hosts = all.map((weight, i) => testHost(`h${i}`, { weight }));
          const skipped = new Set(hosts.filter((_, i) => (mask >> i) & 1));
          const picker = make(hosts, seededRandom(seed));
          for (let i = 0; i < 20; i++) {
            const found = picker.pick((i * 0x9e37_79b1) >>> 0, (host) => skipped.has(host));
            if (skipped.size === hosts.length) assert.equal(found, undefined);
            else assert.ok(found && !skipped.has(found));
          }
        }),
        { seed: 7, numRuns: 200 },
      );
    });

    test('shares by weight', () => {
      const hosts = [testHost('a', { weight: 1 }), testHost('b', { weight: 2 }), testHost('c', { weight: 5 })];
      const random = seededRandom(3);
      const picker = make(hosts, random);
      const counts = tally(8000, () => picker.pick(Math.floor(random() * 2 ** 32)));
      // Points on a small ring lie as they fall, and least request looks at two.
      const slack = name === 'ring hash' ? 700 : name === 'least request' ? 2600 : 250;
      for (const [key, share] of [
        ['a', 1000],
        ['b', 2000],
        ['c', 5000],
      ] as const)
        assert.ok(Math.abs((counts[key] ?? 0) - share) <= slack, `${key}: ${counts[key]} of ${share}`);
    });
  });
}

test('round robin takes each host in its turn, from a random one on', () => {
  const hosts = ['a', 'b', 'c'].map((key) => testHost(key));
  const picker = roundRobin(hosts, () => 0.4);
  assert.deepEqual(
    Array.from({ length: 5 }, () => picker.pick(undefined)?.key),
    ['b', 'c', 'a', 'b', 'c'],
  );
});

test('weighted round robin gives each host its exact share in every turn, never in a row where it can be helped', () => {
  const hosts = [testHost('a', { weight: 1 }), testHost('b', { weight: 3 })];
  const picker = roundRobin(hosts, () => 0.25);
  for (let turn = 0; turn < 50; turn++) {
    const counts = tally(4, () => picker.pick(undefined));
    assert.deepEqual(counts, { a: 1, b: 3 });
  }
});

test('least request takes the one with less to do, of two', () => {
  const hosts = [testHost('busy', { activeRequests: 5 }), testHost('free')];
  const picker = leastRequest(hosts, seededRandom());
  assert.deepEqual(
    tally(100, () => picker.pick(undefined)),
    { free: 100 },
  );
});

test('least request counts requests by weight', () => {
  const hosts = [testHost('large', { weight: 10, activeRequests: 5 }), testHost('small', { activeRequests: 1 })];
  const picker = leastRequest(hosts, seededRandom());
  assert.deepEqual(
    tally(100, () => picker.pick(undefined)),
    { large: 100 },
  );
});

for (const name of ['ring hash', 'maglev'] as const) {
  const make = makers[name] as (typeof makers)[string];
  const keys = Array.from({ length: 2000 }, (_, i) => Math.imul(i + 1, 0x9e37_79b1) >>> 0);
  const map = (hosts: readonly TestHost[]): (string | undefined)[] => {
    const picker = make(hosts, seededRandom());
    return keys.map((key) => picker.pick(key)?.key);
  };

  test(`${name} gives one hash to one host, in whatever order hosts became known`, () => {
    const hosts = Array.from({ length: 10 }, (_, i) => testHost(`10.0.0.${i}:80`));
    assert.deepEqual(map(hosts), map(hosts.toReversed()));
  });

  test(`${name} moves few hashes when a host goes, and those of that host above all`, () => {
    const hosts = Array.from({ length: 10 }, (_, i) => testHost(`10.0.0.${i}:80`));
    const before = map(hosts);
    const after = map(hosts.slice(1));
    const moved = before.filter((host, i) => host !== after[i] && host !== '10.0.0.0:80').length;
    assert.ok(moved < keys.length * 0.1, `${moved} moved for nothing`);
  });
}
