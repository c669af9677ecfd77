import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Condition } from '../api/meta.ts';
import { policyConditions, type JudgedPolicy } from './status-writer.ts';

const accepted: JudgedPolicy = { verdict: { status: 'True', reason: 'Accepted', message: 'ok' }, generation: 1 };
const foreign: Condition = { type: 'Other', status: 'True', reason: 'R', message: '', lastTransitionTime: 't' };

describe('the status of a policy', () => {
  it('gains one condition beside those of others, and only once', () => {
    const conditions = policyConditions([foreign], accepted, 0);
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
    assert.equal(policyConditions(conditions ?? [], accepted, 5000), undefined);
  });

  it('keeps the time of the last transition while only the generation moves', () => {
    const first = policyConditions([], accepted, 0) ?? [];
    const second = policyConditions(first, { ...accepted, generation: 2 }, 5000) ?? [];
    assert.deepEqual([second[0]?.lastTransitionTime, second[0]?.observedGeneration], ['1970-01-01T00:00:00Z', 2]);
    const refused: JudgedPolicy = {
      verdict: { status: 'False', reason: 'UnsupportedValue', message: 'no' },
      generation: 2,
    };
    assert.equal(policyConditions(second, refused, 5000)?.[0]?.lastTransitionTime, '1970-01-01T00:00:05Z');
  });

  it('loses the condition when there is nothing to say any more', () => {
    const before = policyConditions([foreign], accepted, 0) ?? [];
    assert.deepEqual(policyConditions(before, undefined, 0), [foreign]);
    assert.equal(policyConditions([foreign], undefined, 0), undefined);
  });
});
