import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { descriptorLimit } from '../../net/index.ts';
import { parseDataLimits } from '../data-limits-config.ts';
import { connectionLimits, overLimit } from './connection-limits.ts';
import { dataDefaults, type PodContext } from './data-context.ts';

test('connections have three quarters of the descriptors, two each, shared by the workers', () => {
  const alone = { maxConnections: 6000, maxPodConnections: 3000, maxIdleTunnels: 1600 };
  assert.deepEqual(connectionLimits(16_000, 1), alone);
  const shared = { maxConnections: 1500, maxPodConnections: 750, maxIdleTunnels: 400 };
  assert.deepEqual(connectionLimits(16_000, 4), shared);
  assert.equal(connectionLimits(1_000_000, 2).maxIdleTunnels, 2048);
  assert.equal(connectionLimits(10, 4).maxConnections, 64);
});

test('the limit of descriptors is read from the kernel, and a soft one is raised when the process starts', () => {
  assert.ok(descriptorLimit() >= 1024);
  const file = new URL('../../net/descriptor-limit.ts', import.meta.url).href;
  const program = `import { descriptorLimit } from ${JSON.stringify(file)}; process.stdout.write(String(descriptorLimit()))`;
  const limits = 'ulimit -Sn 300 && ulimit -Hn 3000 && exec "$@"';
  const command = ['-c', limits, 'sh', process.execPath, '--input-type=module', '-e', program];
  const raised = execFileSync('bash', command, { encoding: 'utf8' });
  assert.equal(raised, '3000');
});

test('limits come from the environment, and nonsense is told', () => {
  const problems: string[] = [];
  const read = (env: Record<string, string>, workers = 2): ReturnType<typeof parseDataLimits> =>
    parseDataLimits({ env, problems, duration: (_, fallbackMs) => fallbackMs }, workers);
  const limits = read({ MAX_CONNECTIONS: '1001', MAX_CONNECTIONS_PER_POD: '10', LOCALHOST_APP_TUNNEL: 'false' });
  assert.deepEqual([limits.maxConnections, limits.maxPodConnections, limits.localhostAppTunnel], [501, 5, false]);
  assert.equal(read({ MAX_IDLE_TUNNELS: '100' }).maxIdleTunnels, 50);
  read({ MAX_CONNECTIONS: 'many' });
  assert.deepEqual(problems, ['MAX_CONNECTIONS is "many", not a number of connections']);
});

test('a connection over the limit of the pod, or of the whole ztunnel, is refused, and the reason says which', () => {
  const refusal = (size: number, ofPod: number): string | undefined =>
    overLimit({
      connections: { size, countOfPod: () => ofPod },
      target: { pod: { uid: 'uid', name: 'web', namespace: 'shop', serviceAccount: 'web' } },
      limits: { ...dataDefaults, maxConnections: 10, maxPodConnections: 5 },
    } as unknown as PodContext)?.message;
  assert.equal(refusal(10, 5), undefined);
  assert.equal(refusal(11, 5), 'Cannot take connection: this ztunnel has 10 connections, which is its limit');
  assert.equal(refusal(10, 6), 'Cannot take connection: pod shop/web has 5 connections, which is its limit');
});
