/** Fifty pods on one node, and two hundred connections at once through one pair of ztunnels, every byte checked. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds } from '../../src/api/index.ts';
import { clientAndEchoServer, documents, namespace, openTestMesh, programs, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

const podCount = 50;
const connectionCount = 200;
const bytesEach = 300_000;

const crowd = JSON.stringify({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'crowd', namespace: 'crowd' },
  spec: {
    replicas: podCount,
    selector: { matchLabels: { app: 'crowd' } },
    template: {
      metadata: { labels: { app: 'crowd' } },
      spec: {
        nodeName: 'node-2',
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'main', image: 'none', command: ['sleep', 'infinity'] }],
      },
    },
  },
});

describe('a busy node', () => {
  let mesh: TestMesh;

  before(async () => {
    mesh = await openTestMesh({
      manifests: documents(clientAndEchoServer(), namespace('crowd'), crowd),
    });
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  it(`enrols ${podCount} pods`, async () => {
    await mesh.enrol('crowd');
    const pods = (await mesh.client.list(kinds.Pod, { namespace: 'crowd' })).items;
    assert.equal(pods.length, podCount);
    assert.ok(pods.every((pod) => pod.spec?.nodeName === 'node-2'));
    assert.equal(new Set(pods.map((pod) => pod.status?.podIP)).size, podCount, 'every pod has an address of its own');
    await eventually(async () => {
      const { stdout } = await mesh.ambit(['ztunnel-config', 'workloads', '--node', 'node-2', '-o', 'json']);
      const rows = JSON.parse(stdout) as { namespace: string; protocol: string }[];
      return rows.filter((row) => row.namespace === 'crowd' && row.protocol === 'HBONE').length === podCount;
    }, 'ztunnel knows all of them');
  });

  it(`carries ${connectionCount} connections at once, every byte checked`, async () => {
    await mesh.enrol('default');
    const output = await mesh.exec('client', [
      process.execPath,
      join(programs, 'streamer.ts'),
      'server.default',
      '7000',
      String(connectionCount),
      String(bytesEach),
    ]);
    const lines = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { done: boolean; echoed: number; errors: string[] });
    assert.deepEqual(lines.at(-1)?.errors, []);
    assert.equal(lines.at(-1)?.echoed, connectionCount * bytesEach);
  });
});
