import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec, MetricSpec, Pod } from '../../api/index.ts';
import { limitScale, proposeReplicas, type MetricResult } from './autoscale-plan.ts';

const nowMs = Date.parse('2026-01-01T00:10:00Z');

function pod(name: string, request: string | undefined = '100m', ready = true): Pod {
  const resources = request === undefined ? {} : { requests: { cpu: request } };
  const conditions = [{ type: 'Ready' as const, status: ready ? ('True' as const) : ('False' as const) }];
  return {
    metadata: { name },
    spec: { containers: [{ name: 'c', resources }] },
    status: { phase: 'Running', conditions },
  };
}

const utilization: MetricSpec = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } },
};
const value: MetricSpec = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'AverageValue', averageValue: '20m' } },
};

function propose(metric: MetricSpec, pods: Pod[], cores: Record<string, number>): MetricResult {
  const usage = ({ metadata }: Pod): number | undefined => cores[metadata.name ?? ''];
  return proposeReplicas(metric, { current: pods.length, pods, usage });
}

const replicasOf = (result: MetricResult): number | string => (result.kind === 'ok' ? result.replicas : result.message);

describe('a metric', () => {
  const two = [pod('a'), pod('b')];

  it('asks for as many pods as bring the use back to its target', () => {
    assert.equal(replicasOf(propose(utilization, two, { a: 0.1, b: 0.1 })), 4);
    assert.equal(replicasOf(propose(utilization, two, { a: 0.02, b: 0.02 })), 1);
    assert.equal(replicasOf(propose(value, two, { a: 0.06, b: 0.02 })), 4);
  });

  it('leaves what is near enough', () => {
    assert.equal(replicasOf(propose(utilization, two, { a: 0.054, b: 0.054 })), 2);
  });

  it('takes pods that nobody knows of as idle when it would grow, and as busy when it would shrink', () => {
    const three = [...two, pod('c')];
    assert.equal(replicasOf(propose(utilization, three, { a: 0.1, b: 0.1 })), 4);
    assert.equal(replicasOf(propose(utilization, three, { a: 0.01, b: 0.01 })), 2);
  });

  it('fails when nothing is measured, and when a container requests nothing', () => {
    assert.match(String(replicasOf(propose(utilization, two, {}))), /no metrics returned/);
    const none = { ...pod('a'), spec: { containers: [{ name: 'c' }] } };
    assert.match(
      String(replicasOf(propose(utilization, [none], { a: 1 }))),
      /missing request for cpu in container c of Pod a/,
    );
  });
});

describe('a change of size', () => {
  function limit(
    spec: Partial<HorizontalPodAutoscalerSpec>,
    current: number,
    proposed: number,
    earlier: number[] = [],
  ): [number, string | undefined] {
    const autoscaler: HorizontalPodAutoscaler = {
      metadata: { name: 'h' },
      spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, minReplicas: 1, maxReplicas: 10, ...spec },
    };
    const proposals = [...earlier, proposed].map((replicas) => ({ atMs: nowMs - 1000, replicas }));
    const { replicas, limited } = limitScale(autoscaler, {
      current,
      proposed,
      memory: { proposals, changes: [] },
      nowMs,
    });
    return [replicas, limited?.reason];
  }

  it('stays within its bounds', () => {
    assert.deepEqual(limit({}, 8, 20), [10, 'TooManyReplicas']);
    assert.deepEqual(limit({ minReplicas: 2 }, 3, 1), [2, 'TooFewReplicas']);
    assert.deepEqual(limit({}, 3, 5), [5, undefined]);
  });

  it('goes up by four or doubles at a time, and down when nothing wanted more for five minutes', () => {
    assert.deepEqual(limit({}, 1, 9), [5, 'ScaleUpLimit']);
    assert.deepEqual(limit({}, 5, 1, [4]), [4, undefined]);
    assert.deepEqual(limit({}, 5, 1), [1, undefined]);
  });

  it('follows the policies of the user', () => {
    const slow = { policies: [{ type: 'Pods' as const, value: 1, periodSeconds: 60 }] };
    assert.deepEqual(limit({ behavior: { scaleDown: { stabilizationWindowSeconds: 0, ...slow } } }, 5, 1), [
      4,
      'ScaleDownLimit',
    ]);
    assert.deepEqual(limit({ behavior: { scaleUp: { selectPolicy: 'Disabled' } } }, 2, 5)[0], 2);
  });
});
