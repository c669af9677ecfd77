import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Deployment, ReplicaSet } from '../../api/index.ts';
import { planRecreate, planRollingUpdate, rolloutLimits, sizeOf, templateHash } from './rollout.ts';

function set(name: string, replicas: number, available = replicas): ReplicaSet {
  return {
    metadata: { name },
    spec: { replicas, selector: {} },
    status: { replicas, availableReplicas: available },
  };
}

function deployment(replicas: number, maxSurge: number | string, maxUnavailable: number | string): Deployment {
  const strategy = { type: 'RollingUpdate' as const, rollingUpdate: { maxSurge, maxUnavailable } };
  return { metadata: {}, spec: { replicas, selector: {}, template: { spec: { containers: [] } }, strategy } };
}

describe('rollout limits', () => {
  it('round surge up and unavailable down, and always leave a way to move', () => {
    assert.deepEqual(rolloutLimits(deployment(10, '25%', '25%')), { replicas: 10, surge: 3, unavailable: 2 });
    assert.deepEqual(rolloutLimits(deployment(1, '25%', '25%')), { replicas: 1, surge: 1, unavailable: 0 });
    assert.deepEqual(rolloutLimits(deployment(2, 0, '25%')), { replicas: 2, surge: 0, unavailable: 1 });
    assert.deepEqual(rolloutLimits(deployment(2, 0, 9)), { replicas: 2, surge: 0, unavailable: 2 });
  });
});

describe('a rolling update', () => {
  const limits = { replicas: 4, surge: 1, unavailable: 1 };

  it('grows the new one into the surge, then takes from the old', () => {
    assert.deepEqual([...planRollingUpdate(limits, set('new', 0), [set('old', 4)])], [['new', 1]]);
    assert.deepEqual([...planRollingUpdate(limits, set('new', 1, 0), [set('old', 4)])], [['old', 3]]);
    assert.deepEqual([...planRollingUpdate(limits, set('new', 1, 1), [set('old', 4)])], [['old', 2]]);
  });

  it('removes old pods that do not serve first', () => {
    const plan = planRollingUpdate(limits, set('new', 1, 1), [set('sick', 2, 0), set('well', 2, 2)]);
    assert.deepEqual([...plan], [['sick', 0]]);
  });

  it('shrinks the new one when there is too much of it', () => {
    assert.deepEqual([...planRollingUpdate(limits, set('new', 7), [])], [['new', 4]]);
  });

  it('ends with all new pods, whatever the limits, and never leaves them on the way', () => {
    const count = fc.integer({ min: 0, max: 8 });
    const sizes = fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 3 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        count,
        count,
        sizes,
        fc.infiniteStream(fc.boolean()),
        (replicas, surge, unavailable, olds, coin) => {
          const limit = rolloutLimits(deployment(replicas, surge, unavailable));
          const current = set('new', 0);
          const old = olds.map((size, i) => set(`old-${i}`, size));
          const all = [current, ...old];
          const total = (): number => all.reduce((sum, each) => sum + sizeOf(each), 0);
          const available = (): number => all.reduce((sum, each) => sum + (each.status?.availableReplicas ?? 0), 0);
          const startTotal = total();
          let floor = Math.min(available(), replicas - limit.unavailable);
          for (let step = 0; step < 300; step++) {
            const plan = planRollingUpdate(limit, current, old);
            for (const each of all) {
              const size = plan.get(each.metadata.name ?? '');
              if (size === undefined) continue;
              each.spec.replicas = size;
              if (each.status) each.status.availableReplicas = Math.min(each.status.availableReplicas ?? 0, size);
            }
            assert.ok(total() <= Math.max(startTotal, replicas + limit.surge), 'too many pods');
            assert.ok(available() >= floor, 'too few pods');
            // Some of the pods that were asked for become ready.
            for (const each of all)
              if (each.status && (step > 200 || coin.next().value)) each.status.availableReplicas = sizeOf(each);
            floor = Math.max(floor, Math.min(available(), replicas - limit.unavailable));
          }
          assert.equal(sizeOf(current), replicas);
          assert.deepEqual(
            old.map(sizeOf),
            old.map(() => 0),
          );
        },
      ),
    );
  });
});

describe('a recreation', () => {
  it('empties the old, waits for their pods, then fills the new', () => {
    const limits = { replicas: 2, surge: 0, unavailable: 0 };
    assert.deepEqual([...planRecreate(limits, set('new', 0), [set('old', 2)], 2)], [['old', 0]]);
    assert.deepEqual([...planRecreate(limits, set('new', 0), [set('old', 0)], 1)], []);
    assert.deepEqual([...planRecreate(limits, set('new', 0), [set('old', 0)], 0)], [['new', 2]]);
  });
});

describe('the template hash', () => {
  it('follows the content, not the order of keys', () => {
    const a = templateHash({
      metadata: { labels: { x: '1', y: '2' } },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    });
    const b = templateHash({
      spec: { containers: [{ image: 'i', name: 'c' }] },
      metadata: { labels: { y: '2', x: '1' } },
    });
    assert.equal(a, b);
    assert.match(a, /^[bcdfghjklmnpqrstvwxz2456789]{10}$/);
    assert.notEqual(a, templateHash({ spec: { containers: [] } }));
    assert.notEqual(templateHash({ spec: { containers: [] } }, 1), templateHash({ spec: { containers: [] } }));
  });
});
