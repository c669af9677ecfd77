import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ServiceEntry } from '../api/istio.ts';
import { keyOfObject } from './object-key.ts';
import { defaultClusterId } from '../api/names.ts';
import { openWorld, serviceEntry, type World } from './fixtures.ts';

const resolved = { resolution: 'DNS' } as const;

/** What the leading replica does: writes what is wanted, one entry after the other, until nothing differs. */
function settle(world: World): void {
  for (let round = 0; round < 20; round++) {
    const differing = [...world.serviceEntries.entries()].filter(([key, entry]) => {
      const wanted = world.statuses.allocations.get(key)?.wanted;
      return wanted && JSON.stringify(wanted) !== JSON.stringify(addressesOf(entry));
    });
    if (differing.length === 0) return;
    const next = differing.map(([key, entry]) => {
      const wanted = world.statuses.allocations.get(key)?.wanted ?? [];
      return { ...entry, status: { ...entry.status, addresses: wanted } } as ServiceEntry;
    });
    world.put(world.sources.serviceEntries, ...next);
  }
  assert.fail('allocation does not come to rest');
}

function addressesOf(entry: ServiceEntry): { value: string; host?: string }[] {
  return ((entry.status ?? {}) as { addresses?: { value: string; host?: string }[] }).addresses ?? [];
}

function vips(world: World, key: string): string[] {
  return (world.service(key)?.addresses ?? []).map(({ ip }) => ip);
}

describe('addresses for hosts without', () => {
  it('are in force once they are written, one of each family a host', () => {
    const world = openWorld();
    const hosts = ['a.example.com', 'b.example.com', '*.c.example.com'];
    world.put(world.sources.serviceEntries, serviceEntry('ext', { ...resolved, hosts }));
    assert.deepEqual(vips(world, 'shop/a.example.com'), []);
    settle(world);
    for (const host of ['a', 'b']) {
      const [v4 = '', v6 = ''] = vips(world, `shop/${host}.example.com`);
      assert.match(v4, /^240\.240\.\d+\.\d+$/);
      assert.match(v6, /^2001:2::[0-9a-f]+$/);
    }
    assert.notDeepEqual(vips(world, 'shop/a.example.com'), vips(world, 'shop/b.example.com'));
    assert.deepEqual(vips(world, 'shop/*.c.example.com'), []);
  });

  it('follow from names alone: every replica, and one that starts over, comes to the same', () => {
    const [one, other] = [openWorld(), openWorld()];
    const entries = ['a', 'b', 'c'].map((name) => serviceEntry(name, { ...resolved, hosts: [`${name}.example.com`] }));
    one.put(one.sources.serviceEntries, ...entries);
    other.put(other.sources.serviceEntries, ...entries.toReversed());
    for (const world of [one, other]) settle(world);
    for (const name of ['a', 'b', 'c']) {
      assert.deepEqual(vips(one, `shop/${name}.example.com`), vips(other, `shop/${name}.example.com`));
    }
  });

  it('are kept as they were written, by whomever', () => {
    const world = openWorld();
    const entry = serviceEntry('ext', resolved);
    const written = [{ value: '240.240.0.1' }, { value: '2001:2::1' }];
    world.put(world.sources.serviceEntries, { ...entry, status: { addresses: written } } as ServiceEntry);
    settle(world);
    assert.deepEqual(vips(world, 'shop/api.example.com'), ['240.240.0.1', '2001:2::1']);
  });

  it('are given to nobody who has some, goes to its own, or is labelled so; what was given is taken back', () => {
    const world = openWorld();
    const optOut = { labels: { 'networking.istio.io/enable-autoallocate-ip': 'false' } };
    for (const without of [
      serviceEntry('ext', resolved, optOut),
      serviceEntry('ext', { ...resolved, addresses: ['10.0.0.1'] }),
      serviceEntry('ext', { resolution: 'NONE' }),
    ]) {
      world.put(world.sources.serviceEntries, without);
      assert.equal(world.statuses.allocations.get('Kubernetes/shop/ext')?.wanted, undefined);
      const written = { addresses: [{ value: '240.240.0.1', host: 'api.example.com' }] };
      world.put(world.sources.serviceEntries, { ...without, status: written } as ServiceEntry);
      assert.deepEqual(world.statuses.allocations.get('Kubernetes/shop/ext')?.wanted, []);
      assert.ok(!vips(world, 'shop/api.example.com').includes('240.240.0.1'));
    }
  });

  it('belong to the older of two, and to whoever wrote one down before both', () => {
    const world = openWorld();
    const status = { addresses: [{ value: '240.240.9.9', host: 'api.example.com' }] };
    const [young, old] = ['02', '01'].map(
      (month) =>
        ({
          ...serviceEntry('ext', resolved, {
            creationTimestamp: `2026-${month}-01T00:00:00Z`,
            namespace: `ns-${month}`,
          }),
          status,
        }) as ServiceEntry,
    );
    assert.ok(young && old);
    world.put(world.sources.serviceEntries, young);
    assert.deepEqual(vips(world, 'ns-02/api.example.com'), ['240.240.9.9']);
    world.put(world.sources.serviceEntries, old);
    assert.deepEqual(vips(world, 'ns-01/api.example.com'), ['240.240.9.9']);
    assert.deepEqual(vips(world, 'ns-02/api.example.com'), [], 'never two at once');
    settle(world);
    assert.equal(vips(world, 'ns-02/api.example.com').length, 2);
    world.put(world.sources.serviceEntries, serviceEntry('by-hand', { ...resolved, addresses: ['240.240.9.9/32'] }));
    assert.ok(!vips(world, 'ns-01/api.example.com').includes('240.240.9.9'));
  });

  it('are never shared, whatever comes and goes', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    // A small space, so that they meet.
    const value = fc.constantFrom('240.240.0.1', '240.240.0.2', '2001:2::1', '2001:2::2', '10.0.0.1');
    const step = fc.record({
      name,
      gone: fc.boolean(),
      age: fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
      written: fc.array(value, { maxLength: 3 }),
      hosts: fc.uniqueArray(fc.constantFrom('x', 'y', 'z'), { minLength: 1, maxLength: 2 }),
      settles: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const world = openWorld();
        for (const { name: one, gone, age, written, hosts, settles } of steps) {
          const entry = {
            ...serviceEntry(
              one,
              { ...resolved, hosts: hosts.map((host) => `${host}.${one}`) },
              { creationTimestamp: age },
            ),
            status: { addresses: written.map((ip) => ({ value: ip, host: `${hosts[0]}.${one}` })) },
          } as ServiceEntry;
          if (gone) world.sources.serviceEntries.delete(keyOfObject(defaultClusterId, entry));
          else world.put(world.sources.serviceEntries, entry);
          if (settles) settle(world);
          const all = [...world.addresses.entries()].flatMap(([, address]) =>
            address.kind === 'service' ? address.service.addresses.map(({ ip }) => ip) : [],
          );
          assert.equal(new Set(all).size, all.length, all.join());
        }
      }),
      { seed: 5, numRuns: 100 },
    );
  });
});
