import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  kinds,
  type Deployment,
  type Endpoint,
  type KubeObject,
  type Node,
  type OwnerReference,
  type Pod,
} from '../../api/index.ts';
import { isKubeError, objectKey, type Informer } from '../../kube/index.ts';
import { namespace, node, openTestCluster, type TestCluster } from './test-cluster.ts';

function deployment(name: string, replicas: number, image = 'app:1', rest: object = {}): Deployment {
  return {
    metadata: { name, namespace },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'c', image, ports: [{ name: 'http', containerPort: 8080 }] }] },
      },
      ...rest,
    },
  };
}

const named = ({ store }: Informer<Pod>, app: string): Pod[] =>
  [...store.values()].filter(({ metadata }) => metadata.labels?.['app'] === app && !metadata.deletionTimestamp);
const image = (pod: Pod): string | undefined => pod.spec.containers[0]?.image;

function complete(cluster: TestCluster, name: string, updated: number): Deployment | undefined {
  const found = cluster.deployments.store.get(`${namespace}/${name}`);
  const { status } = found ?? {};
  const settled =
    status?.observedGeneration === found?.metadata.generation &&
    (status?.updatedReplicas ?? 0) === updated &&
    (status?.replicas ?? 0) === updated &&
    (status?.availableReplicas ?? 0) === updated;
  return settled ? found : undefined;
}

async function setImage({ client }: TestCluster, name: string, value: string): Promise<void> {
  const template = { spec: { containers: [{ name: 'c', image: value }] } };
  await client.patch(kinds.Deployment, name, namespace, { spec: { template } }, { type: 'strategic' });
}

describe('deployments', () => {
  it('make pods on all nodes, heal, scale up and down', async (t) => {
    const cluster = await openTestCluster(t);
    await cluster.client.create(kinds.Deployment, deployment('web', 4));
    const done = await cluster.until('4 pods', () => complete(cluster, 'web', 4));
    assert.deepEqual(
      named(cluster.pods, 'web')
        .map(({ spec }) => spec.nodeName ?? '')
        .toSorted(),
      ['node-1', 'node-1', 'node-2', 'node-2'],
    );
    assert.deepEqual(done.status?.conditions?.map(({ type, status, reason }) => [type, status, reason]).toSorted(), [
      ['Available', 'True', 'MinimumReplicasAvailable'],
      ['Progressing', 'True', 'NewReplicaSetAvailable'],
    ]);
    assert.equal(done.metadata.annotations?.['deployment.kubernetes.io/revision'], '1');

    const [victim] = named(cluster.pods, 'web');
    await cluster.client.delete(kinds.Pod, victim?.metadata.name ?? '', namespace);
    await cluster.until(
      'healed',
      () => !cluster.pods.store.has(objectKey(victim as KubeObject)) && complete(cluster, 'web', 4),
    );

    await cluster.client.patch(kinds.Deployment, 'web', namespace, { spec: { replicas: 1 } }, { type: 'merge' });
    await cluster.until('1 pod', () => cluster.pods.store.size === 1 && complete(cluster, 'web', 1));
    await cluster.client.patch(kinds.Deployment, 'web', namespace, { spec: { replicas: 0 } }, { type: 'merge' });
    await cluster.until('no pod', () => cluster.pods.store.size === 0 && complete(cluster, 'web', 0));
  });

  it('roll to a new template within their limits, and back by revision', async (t) => {
    const cluster = await openTestCluster(t);
    const strategy = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } };
    await cluster.client.create(kinds.Deployment, deployment('web', 4, 'app:1', { strategy }));
    await cluster.until('version 1', () => complete(cluster, 'web', 4));
    let most = 0;
    let fewestReady = 4;
    const watch = setInterval(() => {
      const pods = named(cluster.pods, 'web');
      most = Math.max(most, pods.length);
      fewestReady = Math.min(
        fewestReady,
        pods.filter(({ status }) =>
          status?.conditions?.some(({ type, status: ready }) => type === 'Ready' && ready === 'True'),
        ).length,
      );
    }, 1);
    await setImage(cluster, 'web', 'app:2');
    await cluster.until(
      'version 2',
      () => complete(cluster, 'web', 4) && named(cluster.pods, 'web').every((pod) => image(pod) === 'app:2'),
    );
    clearInterval(watch);
    assert.ok(most <= 5, `${most} pods`);
    assert.ok(fewestReady >= 3, `${fewestReady} ready`);

    await setImage(cluster, 'web', 'app:1');
    const back = await cluster.until(
      'version 1 again',
      () => named(cluster.pods, 'web').every((pod) => image(pod) === 'app:1') && complete(cluster, 'web', 4),
    );
    assert.equal(back.metadata.annotations?.['deployment.kubernetes.io/revision'], '3');
    assert.equal(cluster.replicaSets.store.size, 2, 'the old ReplicaSet serves again');
  });

  it('keep serving when the new version never becomes ready', async (t) => {
    const cluster = await openTestCluster(t);
    await cluster.client.create(kinds.Deployment, deployment('web', 3));
    await cluster.until('version 1', () => complete(cluster, 'web', 3));
    const healthy = [...cluster.replicaSets.store.values()][0]?.metadata.name ?? '';
    cluster.sick = new RegExp(`^(?!${healthy}-)`);
    await setImage(cluster, 'web', 'app:2');
    await cluster.until('a new pod that is not ready', () =>
      named(cluster.pods, 'web').some((pod) => image(pod) === 'app:2' && pod.status?.phase === 'Running'),
    );
    const stuck = await cluster.until('its status', () => {
      const found = cluster.deployments.store.get(`${namespace}/web`);
      return (
        found?.status?.updatedReplicas === 1 && found.status.observedGeneration === found.metadata.generation && found
      );
    });
    assert.equal(named(cluster.pods, 'web').filter((pod) => image(pod) === 'app:1').length, 3);
    assert.equal(stuck.status?.availableReplicas, 3);
    assert.equal(stuck.status?.conditions?.find(({ type }) => type === 'Progressing')?.reason, 'ReplicaSetUpdated');
  });

  it('recreate: no old pod is left when the first new one starts', async (t) => {
    const cluster = await openTestCluster(t);
    await cluster.client.create(kinds.Deployment, deployment('web', 2, 'app:1', { strategy: { type: 'Recreate' } }));
    await cluster.until('version 1', () => complete(cluster, 'web', 2));
    let mixed = false;
    const watch = setInterval(() => {
      mixed ||= new Set([...cluster.pods.store.values()].map(image)).size > 1;
    }, 1);
    await setImage(cluster, 'web', 'app:2');
    await cluster.until(
      'version 2',
      () => named(cluster.pods, 'web').every((pod) => image(pod) === 'app:2') && complete(cluster, 'web', 2),
    );
    clearInterval(watch);
    assert.equal(mixed, false);
  });

  it('take their ReplicaSets and pods with them', async (t) => {
    const cluster = await openTestCluster(t);
    await cluster.client.create(kinds.Deployment, deployment('web', 2));
    await cluster.until('2 pods', () => complete(cluster, 'web', 2));
    await cluster.client.delete(kinds.Deployment, 'web', namespace);
    await cluster.until('nothing left', () => cluster.pods.store.size === 0 && cluster.replicaSets.store.size === 0);
  });
});

describe('the scheduler', () => {
  const pod = (name: string, spec: object = {}): Pod => ({
    metadata: { name, namespace },
    spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
  });

  it('honours nodeName, nodeSelector and readiness, and says why it cannot', async (t) => {
    const tainted: Node = {
      ...node('node-3', { disk: 'slow' }),
      spec: { taints: [{ key: 'only', value: 'us', effect: 'NoSchedule' }] },
    };
    const cluster = await openTestCluster(t, [
      node('node-1', { disk: 'slow' }),
      node('node-2', { disk: 'fast' }),
      tainted,
    ]);
    await cluster.client.create(kinds.Pod, pod('selected', { nodeSelector: { disk: 'fast' } }));
    await cluster.client.create(kinds.Pod, pod('named', { nodeName: 'node-1' }));
    await cluster.client.create(kinds.Pod, pod('lost', { nodeSelector: { disk: 'tape' } }));
    const at = (name: string): Pod | undefined => cluster.pods.store.get(`${namespace}/${name}`);
    await cluster.until('selected on node-2', () => at('selected')?.spec.nodeName === 'node-2');
    assert.equal(at('named')?.spec.nodeName, 'node-1');
    const condition = await cluster.until('a reason', () =>
      at('lost')?.status?.conditions?.find(({ type }) => type === 'PodScheduled'),
    );
    assert.equal(condition.reason, 'Unschedulable');
    assert.equal(condition.message, "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.");
    await cluster.until('an event', async () =>
      (await cluster.client.list(kinds.Event, { namespace })).items.some(({ reason }) => reason === 'FailedScheduling'),
    );
    await cluster.client.create(kinds.Node, node('node-4', { disk: 'tape' }));
    await cluster.until('lost found a node', () => at('lost')?.spec.nodeName === 'node-4');
  });
});

describe('endpoint slices', () => {
  it('follow pods, their readiness and the names of their ports', async (t) => {
    const cluster = await openTestCluster(t);
    cluster.sick = /^web-.*sick/;
    const service = {
      metadata: { name: 'web', namespace },
      spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
    };
    await cluster.client.create(kinds.Service, service);
    const slicesNow = async (): Promise<{ endpoints: Endpoint[]; ports: unknown }[]> =>
      (
        await cluster.client.list(kinds.EndpointSlice, { namespace, labelSelector: 'kubernetes.io/service-name=web' })
      ).items.map(({ endpoints, ports }) => ({ endpoints, ports }));
    await cluster.until('an empty slice', async () => (await slicesNow()).length === 1);
    await cluster.client.create(kinds.Deployment, deployment('web', 2));
    const [slice] = await cluster.until('two endpoints', async () => {
      const slices = await slicesNow();
      return (
        slices.length === 1 && slices[0]?.endpoints.filter(({ conditions }) => conditions?.ready).length === 2 && slices
      );
    });
    assert.deepEqual(slice?.ports, [{ name: 'http', protocol: 'TCP', port: 8080 }]);
    assert.deepEqual(
      slice.endpoints.map(({ conditions }) => conditions),
      [
        { ready: true, serving: true, terminating: false },
        { ready: true, serving: true, terminating: false },
      ],
    );
    assert.deepEqual(slice.endpoints.map(({ nodeName = '' }) => nodeName).toSorted(), ['node-1', 'node-2']);
    const sick: Pod = {
      metadata: { name: 'web-sick', namespace, labels: { app: 'web' } },
      spec: { containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort: 9090 }] }] },
    };
    await cluster.client.create(kinds.Pod, sick);
    const both = await cluster.until('another slice for another port', async () => {
      const slices = await slicesNow();
      return slices.length === 2 && slices;
    });
    const other = both.flatMap(({ endpoints }) => endpoints).find(({ targetRef }) => targetRef?.name === 'web-sick');
    assert.deepEqual(other?.conditions, { ready: false, serving: false, terminating: false });
    await cluster.client.delete(kinds.Service, 'web', namespace);
    await cluster.until('no slices', async () => (await slicesNow()).length === 0);
  });

  it('are left alone when the Service has no selector', async (t) => {
    const cluster = await openTestCluster(t);
    await cluster.client.create(kinds.Service, {
      metadata: { name: 'outside', namespace },
      spec: { ports: [{ port: 80 }] },
    });
    const mine = {
      metadata: { name: 'outside-1', namespace, labels: { 'kubernetes.io/service-name': 'outside' } },
      addressType: 'IPv4' as const,
      endpoints: [{ addresses: ['10.0.0.1'] }],
    };
    await cluster.client.create(kinds.EndpointSlice, mine);
    await cluster.client.create(kinds.Service, {
      metadata: { name: 'marker', namespace },
      spec: { selector: { app: 'x' }, ports: [{ port: 80 }] },
    });
    const slices = await cluster.until('the marker slice', async () => {
      const { items } = await cluster.client.list(kinds.EndpointSlice, { namespace });
      return items.some(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === 'marker') && items;
    });
    assert.deepEqual(
      slices.filter(({ metadata }) => metadata.name?.startsWith('outside')).map(({ metadata }) => metadata.name),
      ['outside-1'],
    );
  });
});

describe('namespaces', () => {
  it('have a default ServiceAccount, again after it was deleted', async (t) => {
    const cluster = await openTestCluster(t);
    const uid = (): Promise<string | undefined> =>
      cluster.client.get(kinds.ServiceAccount, 'default', namespace).then(
        ({ metadata }) => metadata.uid,
        () => undefined,
      );
    const first = await cluster.until('it is there', uid);
    await cluster.client.delete(kinds.ServiceAccount, 'default', namespace);
    await cluster.until('it is there again', async () => (await uid()) !== undefined && (await uid()) !== first);
  });

  it('go with all that is in them', async (t) => {
    const cluster = await openTestCluster(t);
    await cluster.client.create(kinds.Deployment, deployment('web', 3));
    await cluster.client.create(kinds.Service, {
      metadata: { name: 'web', namespace },
      spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
    });
    await cluster.client.create(kinds.AuthorizationPolicy, { metadata: { name: 'p', namespace }, spec: {} });
    await cluster.until('3 pods', () => complete(cluster, 'web', 3));
    await cluster.client.delete(kinds.Namespace, namespace);
    await cluster.until('the namespace is gone', () =>
      cluster.client.get(kinds.Namespace, namespace).then(
        () => false,
        (error: unknown) => isKubeError(error, 'kube.not-found'),
      ),
    );
    assert.equal(cluster.pods.store.size, 0);
    await cluster.client.create(kinds.Namespace, { metadata: { name: namespace } });
    const kindsLeft = [
      kinds.Deployment,
      kinds.ReplicaSet,
      kinds.Service,
      kinds.EndpointSlice,
      kinds.AuthorizationPolicy,
    ];
    for (const kind of kindsLeft)
      assert.deepEqual((await cluster.client.list(kind as typeof kinds.Service, { namespace })).items, []);
  });
});

describe('garbage collection', () => {
  it('deletes what has lost all its owners, and nothing else', async (t) => {
    const cluster = await openTestCluster(t);
    const { client } = cluster;
    const make = async (name: string, ownerReferences: OwnerReference[] = []): Promise<OwnerReference> => {
      const { metadata } = await client.create(kinds.ConfigMap, { metadata: { name, namespace, ownerReferences } });
      return { apiVersion: 'v1', kind: 'ConfigMap', name, uid: metadata.uid ?? '' };
    };
    const first = await make('first');
    const second = await make('second');
    const child = await make('child', [first]);
    await make('grandchild', [child]);
    await make('shared', [first, second]);
    await make('orphan', [{ ...second, uid: 'of-an-earlier-second' }]);
    await make('foreign', [{ apiVersion: 'example.com/v1', kind: 'Unknown', name: 'x', uid: 'y' }]);
    const names = async (): Promise<string[]> =>
      (await client.list(kinds.ConfigMap, { namespace })).items
        .map(({ metadata }) => metadata.name ?? '')
        .filter((name) => name !== 'kube-root-ca.crt')
        .toSorted((a, b) => (a < b ? -1 : 1));
    const are =
      (...wanted: string[]) =>
      async (): Promise<boolean> =>
        JSON.stringify(await names()) === JSON.stringify(wanted);
    await cluster.until('the orphan is gone', are('child', 'first', 'foreign', 'grandchild', 'second', 'shared'));
    await client.delete(kinds.ConfigMap, 'first', namespace);
    await cluster.until('the children are gone', are('foreign', 'second', 'shared'));
    await client.delete(kinds.ConfigMap, 'second', namespace);
    await cluster.until('the shared one is gone', are('foreign'));
  });
});
