import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod, PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus } from '../../api/index.ts';
import { budgetStatus } from './budget-plan.ts';

const nowMs = Date.parse('2026-01-01T00:10:00Z');

function pod(name: string, ready = true): Pod {
  const conditions = [{ type: 'Ready' as const, status: ready ? ('True' as const) : ('False' as const) }];
  return {
    metadata: { name, labels: { app: 'web' } },
    spec: { containers: [] },
    status: { phase: 'Running', conditions },
  };
}

function numbers(
  spec: PodDisruptionBudgetSpec,
  pods: Pod[],
  wanted?: number,
  disruptedPods?: Record<string, string>,
): number[] {
  const status = disruptedPods && ({ disruptedPods } as unknown as PodDisruptionBudgetStatus);
  const budget: PodDisruptionBudget = {
    metadata: { name: 'b' },
    spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
    ...(status && { status }),
  };
  const result = budgetStatus({ budget, pods, expected: () => wanted, nowMs });
  return [result.expectedPods, result.currentHealthy, result.desiredHealthy, result.disruptionsAllowed];
}

const three = [pod('a'), pod('b'), pod('c')];

describe('a disruption budget', () => {
  it('allows what is beyond the minimum', () => {
    assert.deepEqual(numbers({ minAvailable: 2 }, three), [3, 3, 2, 1]);
    assert.deepEqual(numbers({ minAvailable: 2 }, [pod('a'), pod('b'), pod('c', false)]), [3, 2, 2, 0]);
    assert.deepEqual(numbers({ minAvailable: '50%' }, three, 3), [3, 3, 2, 1]);
  });

  it('allows what may be away, of the pods that there should be', () => {
    assert.deepEqual(numbers({ maxUnavailable: 1 }, three, 4), [4, 3, 3, 0]);
    assert.deepEqual(numbers({ maxUnavailable: 1 }, three, 3), [3, 3, 2, 1]);
    assert.deepEqual(numbers({ maxUnavailable: 1 }, three), [0, 3, 0, 0]);
  });

  it('counts an allowed eviction until its pod goes, or its time is over', () => {
    assert.deepEqual(numbers({ minAvailable: 1 }, three, 3, { a: '2026-01-01T00:09:30Z' }), [3, 2, 1, 1]);
    assert.deepEqual(numbers({ minAvailable: 1 }, three, 3, { a: '2026-01-01T00:07:00Z' }), [3, 3, 1, 2]);
  });

  it('without a selector speaks of no pod', () => {
    const budget: PodDisruptionBudget = { metadata: { name: 'b' }, spec: { minAvailable: 1 } };
    assert.equal(budgetStatus({ budget, pods: three, expected: () => 3, nowMs }).disruptionsAllowed, 0);
  });
});
