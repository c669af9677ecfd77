import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kinds, type DaemonSet, type Job, type Pod, type PodTemplateSpec, type StatefulSet } from '../../api/index.ts';
import { namespace, node, openTestCluster, type TestCluster } from './test-cluster.ts';

function template(app: string, image = 'app:1', rest: object = {}): PodTemplateSpec {
  return { metadata: { labels: { app } }, spec: { containers: [{ name: 'c', image }], ...rest } };
}

function podsOf({ pods }: TestCluster, app: string): Pod[] {
  return [...pods.store.values()]
    .filter(({ metadata }) => metadata.labels?.['app'] === app)
    .toSorted((a, b) => ((a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1));
}

const names = (pods: readonly Pod[]): string[] => pods.map(({ metadata }) => metadata.name ?? '');
const image = (pod: Pod): string | undefined => pod.spec.containers[0]?.image;

describe('stateful sets', () => {
  function statefulSet(name: string, replicas: number, rest: object = {}): StatefulSet {
    const selector = { matchLabels: { app: name } };
    return {
      metadata: { name, namespace },
      spec: { serviceName: name, replicas, selector, template: template(name), ...rest },
    };
  }

  it('make their pods in order, keep their names, and roll from the last to the first', async (t) => {
    const cluster = await openTestCluster(t);
    await cluster.client.create(kinds.StatefulSet, statefulSet('db', 3));
    const get = (): Promise<StatefulSet> => cluster.client.get(kinds.StatefulSet, 'db', namespace);
    await cluster.until('three pods are ready', async () => (await get()).status?.readyReplicas === 3);
    const before = podsOf(cluster, 'db');
    assert.deepEqual(names(before), ['db-0', 'db-1', 'db-2']);
    assert.deepEqual(
      before.map(({ spec }) => [spec.hostname, spec.subdomain]),
      [
        ['db-0', 'db'],
        ['db-1', 'db'],
        ['db-2', 'db'],
      ],
    );

    const patch = { spec: { template: { spec: { containers: [{ name: 'c', image: 'app:2' }] } } } };
    const replaced: string[] = [];
    const seen = new Set(before.map(({ metadata }) => metadata.uid));
    await cluster.client.patch(kinds.StatefulSet, 'db', namespace, patch, { type: 'merge' });
    await cluster.until('all pods are new', async () => {
      for (const pod of podsOf(cluster, 'db')) {
        if (seen.has(pod.metadata.uid)) continue;
        seen.add(pod.metadata.uid);
        replaced.push(pod.metadata.name ?? '');
      }
      const { metadata, status } = await get();
      if (status?.observedGeneration !== metadata.generation) return false;
      return (
        status?.updatedReplicas === 3 && status.readyReplicas === 3 && status.currentRevision === status.updateRevision
      );
    });
    assert.deepEqual(replaced, ['db-2', 'db-1', 'db-0']);
    assert.deepEqual(podsOf(cluster, 'db').map(image), ['app:2', 'app:2', 'app:2']);
    const { items } = await cluster.client.list(kinds.ControllerRevision, { namespace });
    assert.deepEqual(
      items.map(({ revision }) => revision).toSorted((a, b) => a - b),
      [1, 2],
    );

    await cluster.client.patch(kinds.StatefulSet, 'db', namespace, { spec: { replicas: 1 } }, { type: 'merge' });
    await cluster.until('the first pod is left', () => names(podsOf(cluster, 'db')).join() === 'db-0');
  });

  it('make a claim for each pod, and say why the pod waits', async (t) => {
    const cluster = await openTestCluster(t);
    const claim = {
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
    };
    await cluster.client.create(kinds.StatefulSet, statefulSet('disk', 1, { volumeClaimTemplates: [claim] }));
    const pod = await cluster.until('the pod waits', () =>
      podsOf(cluster, 'disk').find(({ status }) =>
        status?.conditions?.some(({ reason }) => reason === 'Unschedulable'),
      ),
    );
    assert.match(pod.status?.conditions?.[0]?.message ?? '', /unbound immediate PersistentVolumeClaims/);
    const { status } = await cluster.client.get(kinds.PersistentVolumeClaim, 'data-disk-0', namespace);
    assert.equal(status?.phase, 'Pending');
  });
});

describe('daemon sets', () => {
  it('cover nodes as they come, cordoned ones too, and roll', async (t) => {
    const cluster = await openTestCluster(t, [node('node-1'), { ...node('node-2'), spec: { unschedulable: true } }]);
    const selector = { matchLabels: { app: 'agent' } };
    const set: DaemonSet = { metadata: { name: 'agent', namespace }, spec: { selector, template: template('agent') } };
    await cluster.client.create(kinds.DaemonSet, set);
    const get = (): Promise<DaemonSet> => cluster.client.get(kinds.DaemonSet, 'agent', namespace);
    await cluster.until('both nodes are covered', async () => (await get()).status?.numberAvailable === 2);
    await cluster.client.create(kinds.Node, node('node-3'));
    await cluster.until('the new node is covered', async () => (await get()).status?.numberAvailable === 3);
    assert.deepEqual(
      new Set(podsOf(cluster, 'agent').map(({ spec }) => spec.nodeName)),
      new Set(['node-1', 'node-2', 'node-3']),
    );
    const patch = { spec: { template: { spec: { containers: [{ name: 'c', image: 'app:2' }] } } } };
    await cluster.client.patch(kinds.DaemonSet, 'agent', namespace, patch, { type: 'merge' });
    await cluster.until('all are new', async () => {
      const { metadata, status } = await get();
      if (status?.observedGeneration !== metadata.generation) return false;
      return status?.updatedNumberScheduled === 3 && status.numberAvailable === 3;
    });
    assert.deepEqual(podsOf(cluster, 'agent').map(image), ['app:2', 'app:2', 'app:2']);
  });
});

describe('jobs', () => {
  function job(name: string, rest: object = {}): Job {
    return {
      metadata: { name, namespace },
      spec: { template: template(name, 'app:1', { restartPolicy: 'Never' }), ...rest },
    };
  }

  it('run their pods to the end, and count each once', async (t) => {
    const cluster = await openTestCluster(t);
    cluster.ends = () => 'Succeeded';
    await cluster.client.create(kinds.Job, job('sum', { completions: 3, parallelism: 2 }));
    const done = await cluster.until('the job is complete', async () => {
      const found = await cluster.client.get(kinds.Job, 'sum', namespace);
      return found.status?.conditions?.some(({ type }) => type === 'Complete') && found;
    });
    assert.equal(done.status?.succeeded, 3);
    assert.deepEqual(
      done.status?.conditions?.map(({ type }) => type),
      ['SuccessCriteriaMet', 'Complete'],
    );
    assert.equal(podsOf(cluster, 'sum').length, 3);
    await cluster.until('nothing holds the pods', () =>
      podsOf(cluster, 'sum').every(({ metadata }) => !metadata.finalizers?.length),
    );
  });

  it('with indexes give each pod its own, and go when their time is over', async (t) => {
    const cluster = await openTestCluster(t);
    const indexed = { completions: 3, parallelism: 3, completionMode: 'Indexed', ttlSecondsAfterFinished: 1 };
    await cluster.client.create(kinds.Job, job('shard', indexed));
    await cluster.until(
      'three pods run',
      () => podsOf(cluster, 'shard').filter(({ status }) => status?.podIP).length === 3,
    );
    const indexes = podsOf(cluster, 'shard').map(
      ({ metadata }) => metadata.annotations?.['batch.kubernetes.io/job-completion-index'],
    );
    assert.deepEqual(new Set(indexes), new Set(['0', '1', '2']));
    cluster.ends = () => 'Succeeded';
    for (const { metadata } of podsOf(cluster, 'shard'))
      await cluster.client.patch(
        kinds.Pod,
        metadata.name ?? '',
        namespace,
        { metadata: { labels: { poke: '1' } } },
        { type: 'merge' },
      );
    await cluster.until('job and pods are gone', async () => {
      const { items } = await cluster.client.list(kinds.Job, { namespace });
      return items.length === 0 && podsOf(cluster, 'shard').length === 0;
    });
  });

  it('fail when a pod fails more often than it may', async (t) => {
    const cluster = await openTestCluster(t);
    cluster.ends = () => 'Failed';
    await cluster.client.create(kinds.Job, job('sick', { backoffLimit: 0 }));
    const failed = await cluster.until('the job has failed', async () => {
      const { status } = await cluster.client.get(kinds.Job, 'sick', namespace);
      return status?.conditions?.find(({ type }) => type === 'Failed');
    });
    assert.equal(failed.reason, 'BackoffLimitExceeded');
  });
});
