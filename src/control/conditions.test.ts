import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Condition } from '../api/meta.ts';
import { mergeConditions, type Verdict } from './conditions.ts';

const accepted: Verdict = { status: 'True', reason: 'Accepted', message: 'ok' };
const foreign: Condition = { type: 'Other', status: 'True', reason: 'R', message: '', lastTransitionTime: 't' };

function merge(
  before: readonly Condition[],
  verdict: Verdict | undefined,
  nowMs: number,
  generation = 1,
): Condition[] | undefined {
  return mergeConditions(before, { ZtunnelAccepted: verdict }, { generation, nowMs });
}

describe('merging conditions', () => {
  it('adds ours beside those of others, and only once', () => {
    const conditions = merge([foreign], accepted, 0);
    assert.deepEqual(conditions, [
      foreign,
      {
        type: 'ZtunnelAccepted',
        status: 'True',
        reason: 'Accepted',
        message: 'ok',
        lastTransitionTime: '1970-01-01T00:00:00Z',
        observedGeneration: 1,
      },
    ]);
    assert.equal(merge(conditions ?? [], accepted, 5000), undefined);
  });

  it('keeps the time of the last transition while only the generation moves', () => {
    const first = merge([], accepted, 0) ?? [];
    const second = merge(first, accepted, 5000, 2) ?? [];
    assert.deepEqual([second[0]?.lastTransitionTime, second[0]?.observedGeneration], ['1970-01-01T00:00:00Z', 2]);
    const refused: Verdict = { status: 'False', reason: 'UnsupportedValue', message: 'no' };
    assert.equal(merge(second, refused, 5000, 2)?.[0]?.lastTransitionTime, '1970-01-01T00:00:05Z');
  });

  it('loses the condition when there is nothing to say any more', () => {
    const before = merge([foreign], accepted, 0) ?? [];
    assert.deepEqual(merge(before, undefined, 0), [foreign]);
    assert.equal(merge([foreign], undefined, 0), undefined);
  });
});
