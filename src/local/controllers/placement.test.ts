import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Node, Pod } from '../../api/index.ts';
import { choosePlacement } from './placement.ts';
import { rankForDeletion } from './replica-set.ts';

function node(name: string, spec: Node['spec'] = {}, ready: 'True' | 'False' = 'True'): Node {
  return {
    metadata: { name, labels: { zone: name } },
    spec,
    status: { conditions: [{ type: 'Ready', status: ready }] },
  };
}

function pod(spec: object = {}, owner?: string): Pod {
  const ownerReferences =
    owner === undefined
      ? []
      : [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: owner, uid: owner, controller: true }];
  return { metadata: { name: 'p', ownerReferences }, spec: { containers: [], ...spec } };
}

const nodes = [node('a'), node('b')];

describe('placement', () => {
  it('spreads the pods of a workload, then the load', () => {
    assert.deepEqual(choosePlacement(pod(), nodes, []), { kind: 'node', node: 'a' });
    assert.deepEqual(choosePlacement(pod(), nodes, [pod({ nodeName: 'a' })]), { kind: 'node', node: 'b' });
    const siblings = [pod({ nodeName: 'b' }, 'mine'), pod({ nodeName: 'a' }), pod({ nodeName: 'a' })];
    assert.deepEqual(choosePlacement(pod({}, 'mine'), nodes, siblings), { kind: 'node', node: 'a' });
    const ended: Pod = { ...pod({ nodeName: 'a' }), status: { phase: 'Succeeded' } };
    assert.deepEqual(choosePlacement(pod(), nodes, [ended]), { kind: 'node', node: 'a' });
  });

  it('heeds selectors, affinity and taints', () => {
    assert.deepEqual(choosePlacement(pod({ nodeSelector: { zone: 'b' } }), nodes, []), { kind: 'node', node: 'b' });
    assert.deepEqual(choosePlacement(pod({ nodeSelector: { 'kubernetes.io/hostname': 'b' } }), nodes, []), {
      kind: 'node',
      node: 'b',
    });
    const nodeSelectorTerms = [{ matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['a'] }] }];
    const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } };
    assert.deepEqual(choosePlacement(pod({ affinity }), nodes, []), { kind: 'node', node: 'b' });
    const tainted = [node('a', { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] })];
    assert.equal(choosePlacement(pod(), tainted, []).kind, 'none');
    assert.equal(choosePlacement(pod({ tolerations: [{ key: 'k', operator: 'Exists' }] }), tainted, []).kind, 'node');
    assert.equal(choosePlacement(pod({ tolerations: [{ key: 'k', value: 'other' }] }), tainted, []).kind, 'none');
  });

  it('says how many nodes were refused for what', () => {
    const all = [node('a', {}, 'False'), node('b', { unschedulable: true }), node('c')];
    assert.deepEqual(choosePlacement(pod({ nodeSelector: { zone: 'x' } }), all, []), {
      kind: 'none',
      reason:
        "0/3 nodes are available: 1 node(s) were not ready, 1 node(s) were unschedulable, 1 node(s) didn't match Pod's node affinity/selector.",
    });
    assert.deepEqual(choosePlacement(pod(), [], []), { kind: 'none', reason: 'no nodes available to schedule pods' });
  });
});

describe('the order of deletion', () => {
  it('takes the pod that is missed least', () => {
    const make = (name: string, nodeName: string | undefined, ready: boolean, age = 0, restartCount = 0): Pod => ({
      metadata: { name, creationTimestamp: new Date(Date.UTC(2026, 0, 2) - age * 1000).toISOString() },
      spec: { containers: [], ...(nodeName && { nodeName }) },
      status: {
        phase: nodeName ? 'Running' : 'Pending',
        conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
        containerStatuses: [{ name: 'c', ready, restartCount, image: '', imageID: '' }],
      },
    });
    const pods = [
      make('old', 'a', true, 100),
      make('young', 'a', true, 10),
      make('alone', 'b', true, 1),
      make('not-ready', 'b', false),
      make('nowhere', undefined, false),
    ];
    assert.deepEqual(
      rankForDeletion(pods).map(({ metadata }) => metadata.name),
      ['nowhere', 'not-ready', 'alone', 'young', 'old'],
    );
    assert.deepEqual(
      rankForDeletion([make('x', 'a', true, 5), make('y', 'a', true, 5, 3)]).map(({ metadata }) => metadata.name),
      ['y', 'x'],
    );
  });
});
