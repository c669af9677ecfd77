/** Pods go into the mesh and out of it under running clients: no connection and no byte is lost. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { clientAndEchoServer, openTestMesh, programs, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

interface Report {
  readonly done: boolean;
  readonly open: number;
  readonly echoed: number;
  readonly errors: readonly string[];
}

describe('enrolment', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({ manifests: clientAndEchoServer() });
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  /** Long connections that never stop talking, and new connections all the time, while `work` runs. */
  async function underLoad(work: (progress: () => Promise<void>) => Promise<void>): Promise<void> {
    const stream = await mesh.startInPod('client', [
      process.execPath,
      join(programs, 'streamer.ts'),
      'server.default',
      '7000',
      '8',
      '0',
    ]);
    const churn = await mesh.startInPod('client', [
      process.execPath,
      join(programs, 'churn.ts'),
      'server.default',
      '7000',
    ]);
    const reports: Report[] = [];
    const churned: { done: boolean; served: number; errors: string[] }[] = [];
    if (stream.stdout)
      createInterface({ input: stream.stdout }).on('line', (line) => reports.push(JSON.parse(line) as Report));
    if (churn.stdout)
      createInterface({ input: churn.stdout }).on('line', (line) => churned.push(JSON.parse(line) as never));
    const ended = [stream, churn].map((child) => new Promise<void>((resolve) => child.on('close', () => resolve())));
    const progress = async (): Promise<void> => {
      const before = { stream: reports.at(-1)?.echoed ?? 0, churn: churned.at(-1)?.served ?? 0 };
      await eventually(
        async () =>
          (reports.at(-1)?.echoed ?? 0) > before.stream && (churned.at(-1)?.served ?? 0) > before.churn
            ? true
            : undefined,
        'traffic flows',
      );
    };
    try {
      await eventually(async () => reports.find((report) => report.open === 8), 'eight connections');
      await progress();
      await work(progress);
      await progress();
      const last = reports.at(-1);
      assert.equal(last?.open, 8, 'every long connection lives');
    } finally {
      stream.stdin?.end();
      churn.stdin?.end();
      await Promise.all(ended);
    }
    assert.equal(reports.at(-1)?.done, true);
    assert.deepEqual(reports.at(-1)?.errors, [], 'no long connection lost a byte');
    assert.equal(churned.at(-1)?.done, true);
    assert.deepEqual(churned.at(-1)?.errors, [], 'no new connection failed');
  }

  it('loses nothing when pods enter the mesh', () =>
    underLoad(async (progress) => {
      await mesh.enrol('default');
      await progress();
    }));

  it('loses nothing when pods leave the mesh', () =>
    underLoad(async (progress) => {
      await mesh.unenrol('default');
      await progress();
    }));

  it('loses nothing when pods go in and out again and again', () =>
    underLoad(async () => {
      for (let round = 0; round < 3; round++) {
        await mesh.enrol('default');
        await mesh.unenrol('default');
      }
    }));
});
