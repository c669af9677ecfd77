/** Workloads with real pods: what their controllers promise holds for processes that run. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { kinds, type Job, type KindRef, type KubeObject, type Pod } from '../../src/api/index.ts';
import { isKubeError } from '../../src/kube/index.ts';
import { openTestMesh, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

const namespace = 'default';

function template(app: string, command: readonly string[], rest: object = {}): object {
  return {
    metadata: { labels: { app } },
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image: 'none', command }], ...rest },
  };
}

describe('workloads', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({ bare: true });
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  function create<T extends KubeObject>(kind: KindRef<T>, name: string, spec: object): Promise<T> {
    return mesh.client.create(kind, { metadata: { name, namespace }, spec } as unknown as T);
  }

  async function pods(labelSelector: string): Promise<Pod[]> {
    const { items } = await mesh.client.list(kinds.Pod, { namespace, labelSelector });
    return items.toSorted((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1));
  }

  async function log(pod: string): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/pods/${pod}/log`;
    const response = await mesh.client.raw({ method: 'GET', path });
    return response.body.text();
  }

  async function jobEnd(name: string): Promise<Job> {
    return eventually(async () => {
      const job = await mesh.client.get(kinds.Job, name, namespace);
      const isOver = job.status?.conditions?.some(({ type }) => type === 'Complete' || type === 'Failed');
      return isOver ? job : undefined;
    }, `job ${name} is over`);
  }

  it('a StatefulSet gives its pods names that they know, and rolls from the last to the first', async () => {
    const command = ['sh', '-c', 'echo "I am $(hostname)"; exec sleep 1000'];
    const selector = { matchLabels: { app: 'db' } };
    await create(kinds.Service, 'db', { clusterIP: 'None', selector: { app: 'db' }, ports: [{ port: 80 }] });
    await create(kinds.StatefulSet, 'db', {
      serviceName: 'db',
      replicas: 2,
      selector,
      template: template('db', command),
    });
    const settled = (): Promise<true> =>
      eventually(async () => {
        const { metadata, status } = await mesh.client.get(kinds.StatefulSet, 'db', namespace);
        const isSeen = status?.observedGeneration === metadata.generation;
        return isSeen && status?.readyReplicas === 2 && status.updatedReplicas === 2 ? true : undefined;
      }, 'both pods are ready and new');
    await settled();
    const first = await pods('app=db');
    assert.deepEqual(
      first.map(({ metadata }) => metadata.name),
      ['db-0', 'db-1'],
    );
    for (const { metadata } of first) {
      // A container that runs says it a moment later.
      const said = async (): Promise<boolean> => (await log(metadata.name ?? '')).includes(`I am ${metadata.name}\n`);
      await eventually(said, `${metadata.name} says its name`);
    }

    const patch = { spec: { template: { metadata: { annotations: { rolled: 'yes' } } } } };
    await mesh.client.patch(kinds.StatefulSet, 'db', namespace, patch, { type: 'merge' });
    await settled();
    const second = await pods('app=db');
    assert.deepEqual(
      second.map(({ metadata }) => metadata.annotations?.['rolled']),
      ['yes', 'yes'],
    );
    const started = second.map(({ status }) => Date.parse(status?.startTime ?? ''));
    assert.ok((started[0] ?? 0) >= (started[1] ?? 0), 'db-1 was replaced before db-0');
  });

  it('a DaemonSet runs on every node, cordoned ones too, and follows the labels of nodes', async () => {
    const cordon = (unschedulable: boolean | null): Promise<unknown> =>
      mesh.client.patch(kinds.Node, 'node-2', undefined, { spec: { unschedulable } }, { type: 'merge' });
    await cordon(true);
    const selector = { matchLabels: { app: 'agent' } };
    await create(kinds.DaemonSet, 'agent', { selector, template: template('agent', ['sleep', '1000']) });
    const available = (count: number): Promise<true> =>
      eventually(async () => {
        const { status } = await mesh.client.get(kinds.DaemonSet, 'agent', namespace);
        const isCovered = status?.numberAvailable === count && status.desiredNumberScheduled === count;
        return isCovered ? true : undefined;
      }, `${count} nodes are covered`);
    await available(2);
    const nodes = (await pods('app=agent')).map(({ spec }) => spec.nodeName);
    assert.deepEqual(new Set(nodes), new Set(['node-1', 'node-2']));
    await cordon(null);

    const narrow = { spec: { template: { spec: { nodeSelector: { special: 'yes' } } } } };
    await mesh.client.patch(kinds.DaemonSet, 'agent', namespace, narrow, { type: 'merge' });
    await eventually(async () => ((await pods('app=agent')).length === 0 ? true : undefined), 'no node fits');
    await mesh.client.patch(
      kinds.Node,
      'node-1',
      undefined,
      { metadata: { labels: { special: 'yes' } } },
      { type: 'merge' },
    );
    await available(1);
  });

  it('a Job runs each index to its end, and counts it once', async () => {
    const command = ['sh', '-c', 'echo "index $JOB_COMPLETION_INDEX"'];
    const spec = { completions: 3, parallelism: 3, completionMode: 'Indexed' };
    await create(kinds.Job, 'sum', { ...spec, template: template('sum', command, { restartPolicy: 'Never' }) });
    const { status } = await jobEnd('sum');
    assert.deepEqual([status?.succeeded, status?.completedIndexes, status?.failed], [3, '0-2', undefined]);
    const said = await Promise.all((await pods('app=sum')).map(({ metadata }) => log(metadata.name ?? '')));
    assert.deepEqual(new Set(said), new Set(['index 0\n', 'index 1\n', 'index 2\n']));
  });

  it('a Job that fails says why, by the exit code that its policy names', async () => {
    const rules = [{ action: 'FailJob', onExitCodes: { operator: 'In', values: [42] } }];
    const pod = template('broken', ['sh', '-c', 'exit 42'], { restartPolicy: 'Never' });
    await create(kinds.Job, 'broken', { podFailurePolicy: { rules }, template: pod });
    const failed = (await jobEnd('broken')).status?.conditions?.find(({ type }) => type === 'Failed');
    assert.equal(failed?.reason, 'PodFailurePolicy');
    assert.match(failed?.message ?? '', /failed with exit code 42 matching FailJob rule at index 0/);
  });

  it('an eviction waits for the budget', async () => {
    const selector = { matchLabels: { app: 'web' } };
    await create(kinds.PodDisruptionBudget, 'web', { minAvailable: 1, selector });
    await create(kinds.Deployment, 'web', { replicas: 1, selector, template: template('web', ['sleep', '1000']) });
    const budgetIs = (allowed: number, healthy: number): Promise<true> =>
      eventually(async () => {
        const { status } = await mesh.client.get(kinds.PodDisruptionBudget, 'web', namespace);
        return status?.disruptionsAllowed === allowed && status.currentHealthy === healthy ? true : undefined;
      }, `the budget allows ${allowed} of ${healthy}`);
    await budgetIs(0, 1);
    const [pod] = await pods('app=web');
    const evict = async (): Promise<void> => {
      const name = pod?.metadata.name ?? '';
      const body = { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace } };
      const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
      const response = await mesh.client.raw({ method: 'POST', path, body });
      response.body.destroy();
    };
    await assert.rejects(evict, (error) => isKubeError(error, 'kube.too-many-requests'));
    await mesh.client.patch(kinds.Deployment, 'web', namespace, { spec: { replicas: 2 } }, { type: 'merge' });
    await budgetIs(1, 2);
    await evict();
    await eventually(async () => {
      const left = await pods('app=web');
      return left.some(({ metadata }) => metadata.uid === pod?.metadata.uid) ? undefined : true;
    }, 'the pod is gone');
  });
});
