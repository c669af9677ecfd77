import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod, PodStatus } from '../../api/index.ts';
import { withoutReadiness } from './stale-status.ts';
import { gatewayTrouble, isAwaited, podTrouble } from './workloads-ready.ts';

const pod = (status: PodStatus): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'p' },
  spec: { containers: [] },
  status,
});
const container = { name: 'main', ready: false, restartCount: 0, image: '', imageID: '' };

describe('podTrouble', () => {
  it('prefers what a container waits for', () => {
    const waiting = { reason: 'ErrImagePull', message: 'no command is known for the image' };
    assert.equal(
      podTrouble(pod({ phase: 'Pending', containerStatuses: [{ ...container, state: { waiting } }] })),
      'main waits: ErrImagePull, no command is known for the image',
    );
  });

  it('looks at init containers first, and tells exit codes', () => {
    const status: PodStatus = {
      initContainerStatuses: [{ ...container, name: 'init', state: { terminated: { exitCode: 3 } } }],
      containerStatuses: [{ ...container, state: { waiting: { reason: 'PodInitializing' } } }],
    };
    assert.equal(podTrouble(pod(status)), 'init ended with 3');
  });

  it('falls back to a condition, then to the phase', () => {
    const unscheduled = { type: 'PodScheduled', status: 'False', message: 'no node fits' } as const;
    assert.equal(podTrouble(pod({ conditions: [unscheduled] })), 'PodScheduled: no node fits');
    assert.equal(podTrouble(pod({})), 'phase Pending');
  });
});

describe('withoutReadiness', () => {
  const ready = { type: 'Ready', status: 'True', lastTransitionTime: 'then' } as const;
  const other = { type: 'Initialized', status: 'True', lastTransitionTime: 'then' } as const;

  it('takes readiness away and leaves the rest', () => {
    assert.deepEqual(withoutReadiness([other, ready], 'now'), [
      other,
      { type: 'Ready', status: 'False', reason: 'NodeNotReady', lastTransitionTime: 'now' },
    ]);
  });

  it('has nothing to say of what is not ready', () => {
    assert.equal(withoutReadiness([other, { ...ready, status: 'False' }], 'now'), undefined);
    assert.equal(withoutReadiness([], 'now'), undefined);
  });
});

describe('gatewayTrouble', () => {
  it('is none once the newest generation is programmed', () => {
    const trouble = (status: 'True' | 'False', observedGeneration: number): string | undefined => {
      const said = { type: 'Programmed', status, reason: 'x', message: 'no proxy is ready', observedGeneration };
      return gatewayTrouble({
        metadata: { name: 'edge', generation: 2 },
        spec: { gatewayClassName: 'istio', listeners: [] },
        status: { conditions: [{ ...said, lastTransitionTime: '2026-01-01T00:00:00Z' }] },
      });
    };
    assert.equal(trouble('True', 2), undefined);
    assert.equal(trouble('True', 1), 'nobody has looked at it yet');
    assert.equal(trouble('False', 2), 'no proxy is ready');
  });
});

describe('isAwaited', () => {
  const pod = (phase: string, ready: 'True' | 'False', deletionTimestamp?: string): Pod =>
    ({
      metadata: { name: 'a', ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }) },
      status: { phase, conditions: [{ type: 'Ready', status: ready, lastTransitionTime: 'then' }] },
    }) as unknown as Pod;

  it('is so of pods that are to be ready and are not', () => {
    assert.equal(isAwaited(pod('Running', 'False')), true);
    assert.equal(isAwaited(pod('Pending', 'False')), true);
    assert.equal(isAwaited(pod('Running', 'True')), false);
    assert.equal(isAwaited(pod('Succeeded', 'False')), false);
    assert.equal(isAwaited(pod('Failed', 'False')), false);
    assert.equal(isAwaited(pod('Running', 'False', '2026-01-01T00:00:00Z')), false);
  });
});
