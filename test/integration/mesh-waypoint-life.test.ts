/** A waypoint from its making to its end, in a mesh: who it stands for, what goes around it, and that its changes lose nothing. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, type Gateway, type Pod } from '../../src/api/index.ts';
import { documents, openTestMesh, programPod, programs, serviceAccount, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly error?: string;
}

interface Result {
  readonly answered: number;
  readonly failures: Readonly<Record<string, number>>;
}

const port = 8080;
const url = `http://server.default:${port}/`;
const service = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'server', namespace: 'default' },
  spec: { selector: { app: 'server' }, ports: [{ name: 'http', port }] },
});

describe('a waypoint in a mesh', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({
      manifests: documents(
        serviceAccount('client'),
        serviceAccount('server'),
        programPod({ name: 'client', node: 'node-1', program: 'idle.ts' }),
        programPod({ name: 'server', node: 'node-2', program: 'http-app.ts', args: [String(port)], port }),
        service,
      ),
    });
    await mesh.enrol('default');
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  const waypoint = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await mesh.ambit(['waypoint', ...args]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const label = (kind: typeof kinds.Service | typeof kinds.Pod, labels: Record<string, string | null>) =>
    mesh.client.patch(kind as typeof kinds.Service, 'server', 'default', { metadata: { labels } }, { type: 'merge' });
  const ask = async (target: string): Promise<Answer> => {
    const said = await mesh.exec('client', [
      process.execPath,
      join(programs, 'http-client.ts'),
      JSON.stringify([{ url: target }]),
    ]);
    const [answer] = JSON.parse(said) as Answer[];
    assert.ok(answer);
    return answer;
  };
  /** Whose connection the server sees: the waypoint's, or the client's own. */
  const seenClient = async (target: string): Promise<string> => {
    const { body } = await ask(target);
    return body === '' ? '' : String((JSON.parse(body) as { client?: string }).client).replace('::ffff:', '');
  };
  const proxies = async (): Promise<Pod[]> => {
    const labelSelector = 'gateway.networking.k8s.io/gateway-name';
    const { items } = await mesh.client.list(kinds.Pod, { namespace: 'default', labelSelector });
    return items;
  };
  const isProxy = async (ip: string): Promise<boolean> => (await proxies()).some(({ status }) => status?.podIP === ip);
  const becomes = (what: string, expected: boolean, target = url): Promise<true> =>
    eventually(async () => {
      const client = await seenClient(target);
      return client !== '' && (await isProxy(client)) === expected ? true : undefined;
    }, what);
  const serverIp = async (): Promise<string> => (await mesh.pod('default', 'server')).status?.podIP ?? '';

  it('is made by one command, deployed, and told where it is once it serves', async () => {
    const said = await waypoint('apply', '--for', 'all', '--wait');
    assert.match(said, /waypoint default\/waypoint applied\nwaypoint default\/waypoint is ready\n/);
    assert.match(await waypoint('list', '-A'), /default +waypoint +default +all +True/);
    const { status }: Gateway = await mesh.client.get(kinds.Gateway, 'waypoint', 'default');
    assert.ok(status?.addresses?.some(({ value }) => value === 'waypoint.default.svc.cluster.local'));
    assert.equal((await proxies()).length, 1);
  });

  it('stands for a Service that asks for it, and no longer when it does not', async () => {
    assert.equal(await isProxy(await seenClient(url)), false);
    await label(kinds.Service, { 'istio.io/use-waypoint': 'waypoint' });
    await becomes('requests go through the waypoint', true);
    await eventually(async () => {
      const { status } = await mesh.client.get(kinds.Service, 'server', 'default');
      return status?.conditions?.some(({ type, status: is }) => type === 'istio.io/WaypointBound' && is === 'True');
    }, 'the Service is bound');
    await label(kinds.Service, { 'istio.io/use-waypoint': null });
    await becomes('requests go straight again', false);
  });

  it('stands for a whole namespace, and for a pod', async () => {
    await waypoint('apply', '--for', 'service', '--enroll-namespace');
    await becomes('requests to its Services go through it', true);
    const direct = `http://${await serverIp()}:${port}/`;
    // Discovery may hear of the namespace before it hears of what the waypoint is for now.
    await becomes('its pods are addressed straight', false, direct);
    await waypoint('apply', '--for', 'all');
    await becomes('requests to its pods go through it', true, direct);
    await waypoint('apply', '--for', 'service');
    await becomes('requests to its pods go straight again', false, direct);
  });

  it('that is required is the only way in', async () => {
    const direct = `http://${await serverIp()}:${port}/`;
    assert.equal((await ask(direct)).status, 200);
    await label(kinds.Service, { 'ambit.io/require-waypoint': 'true' });
    await eventually(async () => ((await ask(direct)).status === 200 ? undefined : true), 'the way around is closed');
    const { status } = await ask(url);
    assert.equal(status, 200, 'the way through is open');
    await label(kinds.Service, { 'ambit.io/require-waypoint': null });
    await eventually(async () => ((await ask(direct)).status === 200 ? true : undefined), 'the way around is open');
  });

  async function load(): Promise<{ stop(): Promise<Result> }> {
    const command = [process.execPath, join(programs, 'http-load.ts'), url, '6', '5'];
    const child: ChildProcess = await mesh.startInPod('client', command);
    let said = '';
    let complaints = '';
    child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
    return {
      async stop() {
        const closed = new Promise((resolve) => child.on('close', resolve));
        child.stdin?.end();
        await closed;
        assert.notEqual(said, '', complaints);
        return JSON.parse(said) as Result;
      },
    };
  }
  const settled = (count: number, without: readonly Pod[] = []): Promise<true> =>
    eventually(
      async () => {
        const now = await proxies();
        const isNew = now.every(({ metadata }) => !without.some((old) => old.metadata.uid === metadata.uid));
        const areReady = now.every(({ metadata, status }) => {
          const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
          return ready === 'True' && metadata.deletionTimestamp === undefined;
        });
        return now.length === count && isNew && areReady ? true : undefined;
      },
      `${count} proxies`,
      60_000,
    );
  const scale = (replicas: number): Promise<unknown> =>
    mesh.client.patch(kinds.Deployment, 'waypoint', 'default', { spec: { replicas } }, { type: 'merge' });

  it('grows from one proxy to three and back without losing a request', async () => {
    const running = await load();
    await scale(3);
    await settled(3);
    await scale(1);
    await settled(1);
    const { answered, failures } = await running.stop();
    assert.deepEqual(failures, {});
    assert.ok(answered > 200, `${answered} answered`);
  });

  it('is rolled without losing a request', async () => {
    const before = await proxies();
    const running = await load();
    const template = { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } } };
    await mesh.client.patch(kinds.Deployment, 'waypoint', 'default', { spec: { template } }, { type: 'merge' });
    await settled(1, before);
    const { answered, failures } = await running.stop();
    assert.deepEqual(failures, {});
    assert.ok(answered > 200, `${answered} answered`);
  });

  it('grows by itself with what it uses, where its parameters say so', async (t) => {
    if (process.env['AMBIT_TEST_KUBERNETES']) return t.skip('nobody measures what pods use there');
    const metric = {
      type: 'Resource',
      resource: { name: 'cpu', target: { type: 'AverageValue', averageValue: '20m' } },
    };
    const scaler = { spec: { minReplicas: 1, maxReplicas: 2, metrics: [metric] } };
    const budget = { spec: { minAvailable: 1 } };
    await mesh.client.create(kinds.ConfigMap, {
      metadata: { name: 'waypoint-options', namespace: 'default' },
      data: { horizontalPodAutoscaler: JSON.stringify(scaler), podDisruptionBudget: JSON.stringify(budget) },
    });
    const running = await load();
    const infrastructure = { parametersRef: { group: '', kind: 'ConfigMap', name: 'waypoint-options' } };
    await mesh.client.patch(kinds.Gateway, 'waypoint', 'default', { spec: { infrastructure } }, { type: 'merge' });
    const scaled = await eventually(
      async () => {
        const { items } = await mesh.client.list(kinds.HorizontalPodAutoscaler, { namespace: 'default' });
        const [found] = items;
        return found?.status?.desiredReplicas === 2 ? found : undefined;
      },
      'the autoscaler wants two',
      60_000,
    );
    assert.equal(scaled.status?.currentMetrics?.[0]?.resource?.name, 'cpu');
    await settled(2);
    const { failures } = await running.stop();
    assert.deepEqual(failures, {});
    await eventually(async () => {
      const { items } = await mesh.client.list(kinds.PodDisruptionBudget, { namespace: 'default' });
      return items.length === 1 && items[0]?.metadata.name === 'waypoint' && items[0].status?.expectedPods === 2;
    }, 'the budget counts both');
  });

  it('takes what was deployed with it; who still asks for it is refused, and told so', async () => {
    const { code, stdout, stderr } = await mesh.ambit(['waypoint', 'delete', 'waypoint']);
    assert.equal(code, 0);
    assert.match(stdout, /waypoint default\/waypoint deleted/);
    assert.match(stderr, /namespace default still asks for waypoint waypoint: connections .* are refused/);
    await eventually(async () => ((await proxies()).length === 0 ? true : undefined), 'its pods are gone', 90_000);
    for (const kind of [kinds.Deployment, kinds.Service, kinds.ServiceAccount]) {
      await eventually(async () => {
        const { items } = await mesh.client.list(kind as typeof kinds.Service, { namespace: 'default' });
        return !items.some(({ metadata }) => metadata.name === 'waypoint');
      }, `the ${kind.kind} is gone`);
    }
    await eventually(async () => (await ask(url)).status !== 200, 'who still asks for it is refused');
    const labels = { 'istio.io/use-waypoint': null };
    await mesh.client.patch(kinds.Namespace, 'default', undefined, { metadata: { labels } }, { type: 'merge' });
    await eventually(async () => ((await ask(url)).status === 200 ? true : undefined), 'requests go straight');
  });
});
