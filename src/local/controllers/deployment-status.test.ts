import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Deployment, DeploymentStatus, ReplicaSet } from '../../api/index.ts';
import { deploymentStatus, untilStuckMs } from './deployment-status.ts';

const startMs = Date.parse('2026-01-01T00:00:00Z');

function deployment(status?: DeploymentStatus): Deployment {
  return {
    metadata: { name: 'web', generation: 2 },
    spec: { replicas: 2, progressDeadlineSeconds: 60, selector: {}, template: { spec: { containers: [] } } },
    ...(status && { status }),
  };
}

function set(name: string, replicas: number, available: number): ReplicaSet {
  return {
    metadata: { name },
    spec: { replicas, selector: {} },
    status: { replicas, readyReplicas: available, availableReplicas: available },
  };
}

const reasonOf = (status: DeploymentStatus, wanted: string): string | undefined =>
  status.conditions?.find(({ type }) => type === wanted)?.reason;

describe('the status of a deployment', () => {
  it('counts over all ReplicaSets', () => {
    const input = {
      deployment: deployment(),
      current: set('new', 1, 0),
      old: [set('old', 2, 2)],
      terminating: 1,
      nowMs: startMs,
    };
    const { conditions, ...counts } = deploymentStatus(input);
    assert.deepEqual(counts, {
      replicas: 3,
      updatedReplicas: 1,
      readyReplicas: 2,
      availableReplicas: 2,
      unavailableReplicas: 1,
      terminatingReplicas: 1,
      observedGeneration: 2,
    });
    assert.deepEqual(
      conditions?.map(({ type, status }) => [type, status]),
      [
        ['Available', 'True'],
        ['Progressing', 'True'],
      ],
    );
  });

  it('calls a rollout stuck after its deadline without progress, and no more once it moves', () => {
    const at = (nowMs: number, available: number, before?: DeploymentStatus): DeploymentStatus =>
      deploymentStatus({
        deployment: deployment(before),
        current: set('new', 2, available),
        old: [],
        terminating: 0,
        nowMs,
      });
    const first = at(startMs, 0);
    assert.equal(reasonOf(first, 'Progressing'), 'ReplicaSetUpdated');
    assert.equal(reasonOf(first, 'Available'), 'MinimumReplicasUnavailable');
    assert.equal(untilStuckMs(deployment(first), first, startMs), 61_000);
    const later = at(startMs + 59_000, 0, first);
    assert.deepEqual(later, first, 'nothing moved, nothing changed');
    const stuck = at(startMs + 61_000, 0, later);
    assert.equal(reasonOf(stuck, 'Progressing'), 'ProgressDeadlineExceeded');
    assert.equal(
      at(startMs + 62_000, 0, stuck).conditions?.find(({ type }) => type === 'Progressing')?.status,
      'False',
    );
    assert.equal(reasonOf(at(startMs + 63_000, 1, stuck), 'Progressing'), 'ReplicaSetUpdated');
    const done = at(startMs + 64_000, 2, stuck);
    assert.equal(reasonOf(done, 'Progressing'), 'NewReplicaSetAvailable');
    assert.equal(untilStuckMs(deployment(done), done, startMs), undefined);
    const wobble = at(startMs + 600_000, 1, done);
    assert.equal(reasonOf(wobble, 'Progressing'), 'NewReplicaSetAvailable', 'a pod that goes later is no rollout');
    assert.equal(reasonOf(wobble, 'Available'), 'MinimumReplicasUnavailable');
  });
});
