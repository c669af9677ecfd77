import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Pod, PodStatus } from '../core.ts';
import { kinds } from '../kinds.ts';
import type { KubeObject } from '../meta.ts';
import { kindInfo } from '../registry.ts';
import { humanDuration } from './age.ts';
import { tableOf } from './columns.ts';

const nowMs = Date.parse('2026-01-01T01:00:00Z');

/** The cells that kubectl shows, by column name; `wide` for all. */
function row(kind: { group: string; kind: string }, object: KubeObject, isWide = false): Record<string, unknown> {
  const info = kindInfo(kind);
  assert.ok(info);
  const { columnDefinitions, rows } = tableOf(info, [object], nowMs);
  const entries = columnDefinitions.map(({ name, priority }, i) => ({ name, priority, value: rows[0]?.cells[i] }));
  return Object.fromEntries(
    entries.filter(({ priority }) => isWide || priority === 0).map(({ name, value }) => [name, value]),
  );
}

function pod(status: PodStatus, metadata: object = {}): Pod {
  return {
    metadata: { name: 'p', creationTimestamp: '2026-01-01T00:00:00Z', ...metadata },
    spec: { containers: [{ name: 'a' }, { name: 'b' }], nodeName: 'node-1' },
    status,
  };
}

const container = (name: string, rest: object): NonNullable<PodStatus['containerStatuses']>[number] => ({
  name,
  ready: false,
  restartCount: 0,
  image: '',
  imageID: '',
  ...rest,
});

describe('tables', () => {
  it('show pods as kubectl does', () => {
    const status: PodStatus = {
      phase: 'Running',
      podIP: '10.244.1.2',
      conditions: [{ type: 'Initialized', status: 'True' }],
      containerStatuses: [
        container('a', { ready: true, state: { running: {} } }),
        container('b', {
          restartCount: 3,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:55:00Z' } },
        }),
      ],
    };
    assert.deepEqual(row(kinds.Pod, pod(status)), {
      Name: 'p',
      Ready: '1/2',
      Status: 'CrashLoopBackOff',
      Restarts: '3 (5m ago)',
      Age: '60m',
    });
    const all = row(kinds.Pod, pod(status), true);
    assert.equal(all['IP'], '10.244.1.2');
    assert.equal(all['Node'], 'node-1');
    assert.equal(all['Readiness Gates'], '<none>');
  });

  it('show what a pod is doing', () => {
    const text = (status: PodStatus, metadata?: object): unknown => row(kinds.Pod, pod(status, metadata))['Status'];
    assert.equal(text({ phase: 'Pending' }), 'Pending');
    assert.equal(text({ phase: 'Running' }, { deletionTimestamp: '2026-01-01T00:00:00Z' }), 'Terminating');
    assert.equal(
      text({ phase: 'Pending', initContainerStatuses: [container('i', { state: { running: {} } })] }),
      'Init:0/0',
    );
    const done = container('a', { state: { terminated: { exitCode: 0, reason: 'Completed' } } });
    assert.equal(text({ phase: 'Succeeded', containerStatuses: [done] }), 'Completed');
    assert.equal(
      text({ phase: 'Running', containerStatuses: [done, container('b', { ready: true, state: { running: {} } })] }),
      'NotReady',
    );
    assert.equal(
      text({
        phase: 'Failed',
        containerStatuses: [container('a', { state: { terminated: { exitCode: 137, signal: 9 } } })],
      }),
      'Signal:9',
    );
  });

  it('show services, deployments and nodes', () => {
    const metadata = { name: 'x', creationTimestamp: '2026-01-01T00:59:50Z' };
    const service = {
      metadata,
      spec: { clusterIP: '10.96.0.7', ports: [{ port: 80 }, { port: 53, protocol: 'UDP' }] },
    };
    assert.deepEqual(row(kinds.Service, service), {
      Name: 'x',
      Type: 'ClusterIP',
      'Cluster-IP': '10.96.0.7',
      'External-IP': '<none>',
      'Port(s)': '80/TCP,53/UDP',
      Age: '10s',
    });
    const deployment = {
      metadata,
      spec: { replicas: 3 },
      status: { readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1 },
    };
    assert.deepEqual(row(kinds.Deployment, deployment), {
      Name: 'x',
      Ready: '1/3',
      'Up-to-date': 2,
      Available: 1,
      Age: '10s',
    });
    const node = {
      metadata,
      status: { conditions: [{ type: 'Ready', status: 'True' }], nodeInfo: { kubeletVersion: 'v1' } },
    };
    assert.deepEqual(row(kinds.Node, node), { Name: 'x', Status: 'Ready', Roles: '<none>', Age: '10s', Version: 'v1' });
  });

  it('leave the cell of a malformed object empty', () => {
    assert.equal(row(kinds.Pod, { metadata: { name: 'x' } })['Ready'], null);
  });
});

describe('ages', () => {
  it('read as in kubectl', () => {
    const second = 1000;
    const [minute, hour, day] = [60 * second, 3600 * second, 86_400 * second];
    const cases: [number, string][] = [
      [-5 * second, '<invalid>'],
      [-second, '0s'],
      [119 * second, '119s'],
      [2 * minute, '2m'],
      [5 * minute + 30 * second, '5m30s'],
      [47 * minute, '47m'],
      [3 * hour + 5 * minute, '3h5m'],
      [8 * hour, '8h'],
      [47 * hour, '47h'],
      [50 * hour, '2d2h'],
      [9 * day, '9d'],
      [800 * day, '2y70d'],
      [3000 * day, '8y'],
    ];
    for (const [ms, text] of cases) assert.equal(humanDuration(ms), text);
  });
});
