/** Workloads and ztunnels that are replaced or die in a running mesh, under load: clients do not notice. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds } from '../../src/api/index.ts';
import {
  documents,
  openTestMesh,
  programPod,
  programs,
  service,
  serviceAccount,
  type TestMesh,
} from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

interface Result {
  readonly answered: number;
  readonly failures: Readonly<Record<string, number>>;
}

/** Two replicas that stay a second for those who have not heard yet that they end. */
const server = JSON.stringify({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'server', namespace: 'default' },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: 'server' } },
    strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    template: {
      metadata: { labels: { app: 'server' } },
      spec: {
        serviceAccountName: 'server',
        terminationGracePeriodSeconds: 10,
        containers: [
          {
            name: 'main',
            image: 'none',
            command: [process.execPath, join(programs, 'echo-server.ts'), '7000'],
            ports: [{ containerPort: 7000 }],
            readinessProbe: { tcpSocket: { port: 7000 }, periodSeconds: 1 },
            lifecycle: { preStop: { exec: { command: ['sleep', '2'] } } },
          },
        ],
      },
    },
  },
});

describe('a mesh whose parts are replaced', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({
      manifests: documents(
        serviceAccount('client'),
        serviceAccount('server'),
        programPod({ name: 'client', node: 'node-1', program: 'idle.ts' }),
        server,
        service('server', 7000),
      ),
    });
    await mesh.enrol('default');
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  async function knock(): Promise<{ stop(): Promise<Result> }> {
    const command = [process.execPath, join(programs, 'knock.ts'), 'server.default', '7000', '25'];
    const child: ChildProcess = await mesh.startInPod('client', command);
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    return {
      async stop() {
        const closed = new Promise((resolve) => child.on('close', resolve));
        child.stdin?.end();
        await closed;
        return JSON.parse(said) as Result;
      },
    };
  }

  const names = async (): Promise<string[]> =>
    (await mesh.client.list(kinds.Pod, { namespace: 'default', labelSelector: 'app=server' })).items
      .map(({ metadata }) => metadata.name ?? '')
      .toSorted();

  it('rolls a Deployment without losing a request', async () => {
    const before = await names();
    assert.equal(before.length, 2);
    const knocking = await knock();
    const template = { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } } };
    await mesh.client.patch(kinds.Deployment, 'server', 'default', { spec: { template } }, { type: 'merge' });
    await eventually(
      async () => {
        const now = await names();
        return now.length === 2 && !now.some((name) => before.includes(name)) ? true : undefined;
      },
      'both pods are replaced',
      60_000,
    );
    const { answered, failures } = await knocking.stop();
    assert.deepEqual(failures, {});
    assert.ok(answered > 50, `${answered} answered`);
  });

  it('keeps new connections waiting while a ztunnel that was killed is started again', async () => {
    const { stdout } = await mesh.ambit(['status', '-o', 'json']);
    const processes = JSON.parse(stdout) as { component: string; node: string; pid: number }[];
    const ztunnels = processes.filter(({ component }) => component === 'ztunnel');
    assert.equal(ztunnels.length, 2);
    for (const { pid, node } of ztunnels) {
      const knocking = await knock();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      process.kill(pid, 'SIGKILL');
      await eventually(
        async () => {
          const again = JSON.parse(
            (await mesh.ambit(['status', '-o', 'json'])).stdout,
          ) as ((typeof ztunnels)[number] & {
            ready: boolean;
          })[];
          return again.some(
            (each) => each.component === 'ztunnel' && each.node === node && each.pid !== pid && each.ready,
          )
            ? true
            : undefined;
        },
        'the ztunnel is back',
        60_000,
      );
      const { answered, failures } = await knocking.stop();
      // Those that the killed one had accepted end with it: by a reset, or orderly where it had read all that came.
      const { ECONNRESET: reset = 0, closed = 0, ...others } = failures;
      const cut = reset + closed;
      assert.deepEqual(others, {}, node);
      // One every 25 ms: a quarter of a second's worth, where the ztunnel is away for longer.
      assert.ok(cut <= 10, `${cut} were cut`);
      assert.ok(answered > 20, `${answered} answered`);
    }
  });
});
