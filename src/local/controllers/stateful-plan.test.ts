import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ControllerRevision, Pod, StatefulSet, StatefulSetSpec } from '../../api/index.ts';
import { planStatefulSet, statefulStatus, type StatefulInput } from './stateful-plan.ts';

const nowMs = Date.parse('2026-01-01T00:10:00Z');
const current: ControllerRevision = { metadata: { name: 'web-1' }, revision: 1 };
const update: ControllerRevision = { metadata: { name: 'web-2' }, revision: 2 };

function set(replicas: number, rest: Partial<StatefulSetSpec> = {}): StatefulSet {
  const template = { spec: { containers: [{ name: 'c' }] } };
  return { metadata: { name: 'web' }, spec: { replicas, selector: {}, template, ...rest } };
}

type State = 'ready' | 'sick' | 'going' | 'failed';

function pod(ordinal: number, revision = 'web-2', state: State = 'ready', readySince = '2026-01-01T00:00:00Z'): Pod {
  const conditions = [{ type: 'Ready', status: state === 'sick' ? 'False' : 'True', lastTransitionTime: readySince }];
  return {
    metadata: {
      name: `web-${ordinal}`,
      labels: { 'controller-revision-hash': revision },
      ...(state === 'going' && { deletionTimestamp: '2026-01-01T00:10:00Z' }),
    },
    spec: { containers: [] },
    status: { phase: state === 'failed' ? 'Failed' : 'Running', conditions },
  } as Pod;
}

function plan(of: StatefulSet, pods: Pod[], revisions: Partial<StatefulInput> = {}): string {
  const { create, remove } = planStatefulSet({ set: of, pods, current, update, nowMs, ...revisions });
  const made = create.map(({ ordinal, revision }) => `+${ordinal}@${revision.revision}`);
  return [...made, ...remove.map(({ metadata }) => `-${metadata.name}`)].join(' ');
}

describe('a stateful set', () => {
  it('makes one pod after the other, each when the ones before are ready', () => {
    assert.equal(plan(set(3), []), '+0@2');
    assert.equal(plan(set(3), [pod(0, 'web-2', 'sick')]), '');
    assert.equal(plan(set(3), [pod(0)]), '+1@2');
    assert.equal(plan(set(3), [pod(0, 'web-2', 'going'), pod(1), pod(2)]), '');
  });

  it('makes all at once when it is parallel, and starts at its first ordinal', () => {
    assert.equal(plan(set(2, { podManagementPolicy: 'Parallel', ordinals: { start: 5 } }), []), '+5@2 +6@2');
  });

  it('waits until a pod was ready for long enough', () => {
    const patient = set(2, { minReadySeconds: 60 });
    assert.equal(plan(patient, [pod(0, 'web-2', 'ready', '2026-01-01T00:09:30Z')]), '');
    assert.equal(plan(patient, [pod(0, 'web-2', 'ready', '2026-01-01T00:08:59Z')]), '+1@2');
  });

  it('deletes from the highest ordinal down, one by one, and not while another is sick', () => {
    assert.equal(plan(set(1), [pod(0), pod(1), pod(2)]), '-web-2');
    assert.equal(plan(set(1), [pod(0), pod(1), pod(2, 'web-2', 'going')]), '');
    assert.equal(plan(set(1), [pod(0), pod(1, 'web-2', 'sick'), pod(2)]), '-web-2');
    assert.equal(plan(set(1, { podManagementPolicy: 'Parallel' }), [pod(0), pod(1), pod(2)]), '-web-2 -web-1');
  });

  it('replaces a pod that failed', () => {
    assert.equal(plan(set(2), [pod(0), pod(1, 'web-2', 'failed')]), '-web-1');
  });

  it('updates from the highest ordinal down to the partition', () => {
    const old = [pod(0, 'web-1'), pod(1, 'web-1'), pod(2, 'web-1')];
    assert.equal(plan(set(3), old), '-web-2');
    assert.equal(plan(set(3), [pod(0, 'web-1'), pod(1, 'web-1'), pod(2)]), '-web-1');
    const partitioned = set(3, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 2 } } });
    assert.equal(plan(partitioned, [pod(0, 'web-1'), pod(1, 'web-1'), pod(2)]), '');
    assert.equal(plan(partitioned, [pod(1, 'web-1'), pod(2)]), '+0@1');
  });

  it('updates as many at a time as may be unavailable', () => {
    const two = set(4, { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '50%' } } });
    const old = [0, 1, 2, 3].map((ordinal) => pod(ordinal, 'web-1'));
    assert.equal(plan(two, old), '-web-3 -web-2');
  });

  it('leaves the update to the user with OnDelete', () => {
    const byHand = set(2, { updateStrategy: { type: 'OnDelete' } });
    assert.equal(plan(byHand, [pod(0, 'web-1'), pod(1, 'web-1')]), '');
    assert.equal(plan(byHand, [pod(0, 'web-1')]), '+1@2');
  });

  it('takes the update as current when all pods have it', () => {
    const rolling = statefulStatus({ set: set(2), pods: [pod(0, 'web-1'), pod(1)], current, update, nowMs });
    assert.equal(rolling.currentRevision, 'web-1');
    assert.deepEqual([rolling.currentReplicas, rolling.updatedReplicas, rolling.readyReplicas], [1, 1, 2]);
    const done = statefulStatus({ set: set(2), pods: [pod(0), pod(1)], current, update, nowMs });
    assert.deepEqual([done.currentRevision, done.currentReplicas], ['web-2', 2]);
  });
});
