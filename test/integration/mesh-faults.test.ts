/** What dies is started again; meanwhile nothing gets past the mesh, and `down` leaves nothing behind. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { captureLink } from '../support/capture.ts';
import { clientAndEchoServer, openTestMesh, programs, type TestMesh } from '../support/mesh.ts';
import { processesOf } from '../support/processes.ts';
import { eventually } from '../support/run.ts';

interface Process {
  readonly component: string;
  readonly node: string;
  readonly pid: number;
  readonly ready: boolean;
}

describe('faults', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({ manifests: clientAndEchoServer() });
    await mesh.enrol('default');
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  async function processes(): Promise<Process[]> {
    const { stdout } = await mesh.ambit(['status', '-o', 'json']);
    return JSON.parse(stdout) as Process[];
  }

  async function find(component: string, node = ''): Promise<Process> {
    const found = (await processes()).find((process) => process.component === component && process.node === node);
    assert.ok(found && found.pid > 0, `${component} ${node} runs`);
    return found;
  }

  async function request(): Promise<{ reply?: string; error?: string }> {
    const output = await mesh.exec('client', [
      process.execPath,
      join(programs, 'request.ts'),
      'server.default',
      '7000',
      'hello',
      '3000',
    ]);
    return JSON.parse(output) as { reply?: string; error?: string };
  }

  const works = (): Promise<true> =>
    eventually(async () => ((await request()).reply === 'hello' ? true : undefined), 'requests are answered', 60_000);

  it('lists every process with a pid of the caller and a state', async () => {
    // One that has no time to answer within a second is not ready, for that time.
    const all = await eventually(async () => {
      const found = await processes();
      return found.every(({ ready }) => ready) && found;
    }, 'every process is ready');
    for (const component of ['supervisor', 'apiserver', 'control', 'node-runtime', 'node-agent', 'ztunnel']) {
      assert.ok(
        all.some((process) => process.component === component),
        `${component} is listed`,
      );
    }
    for (const { component, pid } of all) {
      assert.match(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /node|kube-|etcd/, `${component} has pid ${pid}`);
    }
  });

  for (const node of ['node-1', 'node-2']) {
    it(`fails closed when the ztunnel of ${node} is killed, and works again by itself`, async () => {
      await works();
      const ztunnel = await find('ztunnel', node);
      // Stopped first, so that there is a moment in which it is certainly away and not yet replaced.
      process.kill(ztunnel.pid, 'SIGSTOP');
      const stopped = await request();
      assert.equal(stopped.reply ?? '', '', 'nothing goes around a stopped ztunnel');
      const segments = await captureLink(mesh, 'node-1', async () => {
        const churn = await mesh.startInPod('client', [
          process.execPath,
          join(programs, 'churn.ts'),
          'server.default',
          '7000',
        ]);
        const ended = new Promise<void>((resolve) => churn.on('close', () => resolve()));
        try {
          process.kill(ztunnel.pid, 'SIGKILL');
          await works();
        } finally {
          churn.stdin?.end();
          await ended;
        }
      });
      assert.ok(segments.length > 0, 'the capture saw traffic');
      const direct = segments.filter((segment) => segment.destinationPort === 7000 || segment.sourcePort === 7000);
      assert.deepEqual(direct, [], 'nothing went to the application outside a tunnel');
      assert.notEqual((await find('ztunnel', node)).pid, ztunnel.pid);
    });
  }

  for (const [component, node] of [
    ['control', ''],
    ['apiserver', ''],
    ['node-agent', 'node-2'],
  ] as const) {
    it(`serves on while ${component} is killed and comes back`, async () => {
      const victim = await find(component, node);
      // Inside the pod already, since `ambit exec` itself asks the API server.
      const churn = await mesh.startInPod('client', [
        process.execPath,
        join(programs, 'churn.ts'),
        'server.default',
        '7000',
      ]);
      const reports: { served: number; errors: string[] }[] = [];
      if (churn.stdout) createInterface({ input: churn.stdout }).on('line', (line) => reports.push(JSON.parse(line)));
      const ended = new Promise<void>((resolve) => churn.on('close', () => resolve()));
      const serves = async (): Promise<unknown> => {
        const before = reports.at(-1)?.served ?? 0;
        return eventually(
          async () => ((reports.at(-1)?.served ?? 0) > before ? true : undefined),
          'new connections are served',
        );
      };
      try {
        await serves();
        process.kill(victim.pid, 'SIGKILL');
        await serves();
        await serves();
      } finally {
        churn.stdin?.end();
        await ended;
      }
      assert.deepEqual(reports.at(-1)?.errors, [], 'the data plane does not need it');
      await eventually(
        async () => {
          const now = (await processes()).find(
            (candidate) => candidate.component === component && candidate.node === node,
          );
          return now && now.pid > 0 && now.pid !== victim.pid && now.ready ? true : undefined;
        },
        `${component} is back`,
        60_000,
      );
      await works();
    });
  }

  it('leaves no process, namespace or mount behind, also after a kill of the supervisor', async () => {
    const supervisor = await find('supervisor');
    process.kill(supervisor.pid, 'SIGKILL');
    const down = await mesh.ambit(['down']);
    assert.equal(down.code, 0, down.stderr);
    assert.deepEqual(processesOf(mesh.state), []);
    assert.ok(!readFileSync('/proc/self/mountinfo', 'utf8').includes(mesh.state));
    const again = await mesh.ambit(['down']);
    assert.equal(again.code, 0, again.stderr);
    const status = await mesh.ambit(['status', '-o', 'json']);
    assert.deepEqual(JSON.parse(status.stdout), []);
  });
});
