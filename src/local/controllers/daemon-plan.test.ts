import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DaemonSet, DaemonSetSpec, Node, Pod, PodSpec, Taint } from '../../api/index.ts';
import { daemonStatus, fitOf, planDaemonSet } from './daemon-plan.ts';

const nowMs = Date.parse('2026-01-01T00:10:00Z');

function set(rest: Partial<DaemonSetSpec> = {}, pod: Partial<PodSpec> = {}): DaemonSet {
  const template = { spec: { containers: [{ name: 'c' }], ...pod } };
  return { metadata: { name: 'agent' }, spec: { selector: {}, template, ...rest } };
}

function node(name: string, taints: Taint[] = [], rest: object = {}): Node {
  return { metadata: { name }, spec: { taints, ...rest }, status: { conditions: [{ type: 'Ready', status: 'True' }] } };
}

function pod(nodeName: string, hash = 'new', ready = true, name = `agent-${nodeName}-${hash}`): Pod {
  const conditions = [{ type: 'Ready' as const, status: ready ? ('True' as const) : ('False' as const) }];
  return {
    metadata: { name, labels: { 'controller-revision-hash': hash }, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { containers: [], nodeName },
    status: { phase: 'Running', conditions },
  };
}

const three = [node('a'), node('b'), node('c')];

function plan(of: DaemonSet, nodes: Node[], pods: Pod[]): string {
  const { create, remove } = planDaemonSet({ set: of, nodes, pods, hash: 'new', nowMs });
  return [...create.map((name) => `+${name}`), ...remove.map(({ metadata }) => `-${metadata.name}`)].join(' ');
}

describe('a daemon set', () => {
  it('makes a pod on every node that fits, and deletes those that are too many', () => {
    assert.equal(plan(set(), three, [pod('a')]), '+b +c');
    assert.equal(plan(set({}, { nodeSelector: { disk: 'ssd' } }), three, [pod('a')]), '-agent-a-new');
    assert.equal(plan(set(), [node('a')], [pod('a'), pod('a', 'new', true, 'agent-second')]), '-agent-second');
    assert.equal(plan(set(), [node('a')], [pod('a'), pod('gone')]), '-agent-gone-new');
  });

  it('waits for a pod that is still going', () => {
    const going = pod('a');
    going.metadata.deletionTimestamp = '2026-01-01T00:10:00Z';
    assert.equal(plan(set(), [node('a')], [going]), '');
  });

  it('runs on cordoned nodes, stays where nothing new may go, and leaves where nothing may stay', () => {
    const taint = (effect: Taint['effect']): Taint => ({ key: 'maintenance', effect });
    assert.deepEqual(fitOf(set(), node('a', [], { unschedulable: true })), { shouldRun: true, mayStay: true });
    assert.deepEqual(fitOf(set(), node('a', [taint('NoSchedule')])), { shouldRun: false, mayStay: true });
    assert.deepEqual(fitOf(set(), node('a', [taint('NoExecute')])), { shouldRun: false, mayStay: false });
    const tolerant = set({}, { tolerations: [{ operator: 'Exists' }] });
    assert.deepEqual(fitOf(tolerant, node('a', [taint('NoExecute')])), { shouldRun: true, mayStay: true });
  });

  it('updates as many at a time as may be unavailable, those that do not serve first', () => {
    const old = [pod('a', 'old'), pod('b', 'old'), pod('c', 'old')];
    assert.equal(plan(set(), three, old), '-agent-a-old');
    assert.equal(plan(set(), three, [pod('a', 'new', false), pod('b', 'old'), pod('c', 'old')]), '');
    assert.equal(plan(set(), three, [pod('a', 'old'), pod('b', 'old', false), pod('c', 'old')]), '-agent-b-old');
    const half = set({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '50%' } } });
    assert.equal(plan(half, three, old), '-agent-a-old -agent-b-old');
  });

  it('with a surge makes the new pod before the old one goes', () => {
    const rollingUpdate = { maxSurge: 1, maxUnavailable: 0 };
    const surging = set({ updateStrategy: { type: 'RollingUpdate', rollingUpdate } });
    const old = [pod('a', 'old'), pod('b', 'old'), pod('c', 'old')];
    assert.equal(plan(surging, three, old), '+a');
    assert.equal(plan(surging, three, [...old, pod('a', 'new', false)]), '');
    assert.equal(plan(surging, three, [...old, pod('a')]), '-agent-a-old +b'.split(' ').toReversed().join(' '));
  });

  it('leaves the update to the user with OnDelete', () => {
    assert.equal(plan(set({ updateStrategy: { type: 'OnDelete' } }), three, [pod('a', 'old'), pod('b'), pod('c')]), '');
  });

  it('counts nodes, not pods', () => {
    const tainted = node('d', [{ key: 'x', effect: 'NoSchedule' }]);
    const pods = [pod('a'), pod('b', 'old'), pod('d')];
    const { observedGeneration: _, ...status } = daemonStatus({
      set: set(),
      nodes: [...three, tainted],
      pods,
      hash: 'new',
      nowMs,
    });
    assert.deepEqual(status, {
      desiredNumberScheduled: 3,
      currentNumberScheduled: 2,
      numberMisscheduled: 1,
      numberReady: 2,
      updatedNumberScheduled: 1,
      numberAvailable: 2,
      numberUnavailable: 1,
    });
  });
});
