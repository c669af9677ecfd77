import assert from 'node:assert/strict';
import { test } from 'node:test';
import { descriptorLimit } from '../../net/index.ts';
import { parseDataLimits } from '../data-limits-config.ts';
import { connectionLimits } from './connection-limits.ts';

test('connections have three quarters of the descriptors, two each, shared by the workers', () => {
  assert.deepEqual(connectionLimits(16_000, 1), { maxConnections: 6000, maxPodConnections: 3000 });
  assert.deepEqual(connectionLimits(16_000, 4), { maxConnections: 1500, maxPodConnections: 750 });
  assert.equal(connectionLimits(10, 4).maxConnections, 64);
});

test('the limit of descriptors is read from the kernel', () => {
  assert.ok(descriptorLimit() >= 1024);
});

test('limits come from the environment, and nonsense is told', () => {
  const problems: string[] = [];
  const read = (env: Record<string, string>, workers = 2): ReturnType<typeof parseDataLimits> =>
    parseDataLimits({ env, problems, duration: (_, fallbackMs) => fallbackMs }, workers);
  const limits = read({ MAX_CONNECTIONS: '1001', MAX_CONNECTIONS_PER_POD: '10', LOCALHOST_APP_TUNNEL: 'false' });
  assert.deepEqual([limits.maxConnections, limits.maxPodConnections, limits.localhostAppTunnel], [501, 5, false]);
  read({ MAX_CONNECTIONS: 'many' });
  assert.deepEqual(problems, ['MAX_CONNECTIONS is "many", not a number of connections']);
});
