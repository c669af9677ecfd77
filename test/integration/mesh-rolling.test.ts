/** Workloads and ztunnels that are replaced or die in a running mesh, under load: clients do not notice. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
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
  /** When each of those began that were not, and why. */
  readonly failures: readonly { readonly atMs: number; readonly reason: string }[];
}

interface Knocking {
  /** Resolves once so many more are answered. */
  answers(more: number): Promise<void>;
  stop(): Promise<Result>;
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

/** Whether a process is there and no zombie. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

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

  async function knock(): Promise<Knocking> {
    const command = [process.execPath, join(programs, 'knock.ts'), 'server.default', '7000', '25'];
    const child: ChildProcess = await mesh.startInPod('client', command);
    const closed = new Promise((resolve) => child.on('close', resolve));
    let last: Partial<Result> = {};
    if (child.stdout) {
      createInterface({ input: child.stdout }).on('line', (line) => (last = JSON.parse(line) as Partial<Result>));
    }
    return {
      async answers(more) {
        const goal = (last.answered ?? 0) + more;
        await eventually(async () => (last.answered ?? 0) >= goal, `${more} more are answered`);
      },
      async stop() {
        child.stdin?.end();
        await closed;
        return last as Result;
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
    await knocking.answers(20);
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
    await knocking.answers(20);
    const { failures } = await knocking.stop();
    assert.deepEqual(failures, []);
  });

  it('keeps new connections waiting while a ztunnel that was killed is started again', async () => {
    const { stdout } = await mesh.ambit(['status', '-o', 'json']);
    const processes = JSON.parse(stdout) as { component: string; node: string; pid: number }[];
    const ztunnels = processes.filter(({ component }) => component === 'ztunnel');
    assert.equal(ztunnels.length, 2);
    for (const { pid, node } of ztunnels) {
      const knocking = await knock();
      await knocking.answers(20);
      process.kill(pid, 'SIGKILL');
      await eventually(async () => !runs(pid), 'it is dead');
      const deadAtMs = Date.now();
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
      await knocking.answers(20);
      const { failures } = await knocking.stop();
      // Those that the killed one had accepted end with it: by a reset, or orderly where it had read all that came.
      const isCut = ({ atMs, reason }: Result['failures'][number]): boolean =>
        atMs <= deadAtMs && (reason === 'ECONNRESET' || reason === 'closed');
      assert.deepEqual(
        failures.filter((failure) => !isCut(failure)),
        [],
        `${node}, dead since ${deadAtMs}`,
      );
    }
  });
});
