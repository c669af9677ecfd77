import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseWorkerThreads } from './worker-threads.ts';

function threads(env: Record<string, string>, cores = 8): number | string[] {
  const problems: string[] = [];
  const count = parseWorkerThreads(env, cores, problems);
  return problems.length > 0 ? problems : count;
}

test('the number of data parts is what was asked for, by number or by share of the cores', () => {
  assert.equal(threads({ ZTUNNEL_WORKER_THREADS: '3' }), 3);
  assert.equal(threads({ ZTUNNEL_WORKER_THREADS: '0' }), 8);
  assert.equal(threads({ ZTUNNEL_WORKER_THREADS: '50%' }), 4);
  assert.equal(threads({ ZTUNNEL_WORKER_THREADS: '1%' }), 1);
  assert.equal(threads({ ZTUNNEL_WORKER_THREADS: '1', ZTUNNEL_RESOURCE_CPU_LIMIT: '4' }), 1);
});

test('without a number the CPU limit decides, else a quarter of the cores', () => {
  assert.equal(threads({ ZTUNNEL_RESOURCE_CPU_LIMIT: '2500m' }), 3);
  assert.equal(threads({ ZTUNNEL_RESOURCE_CPU_LIMIT: '500m', ZTUNNEL_RESOURCE_CPU_REQUEST: '1.5' }), 2);
  assert.equal(threads({}), 2);
  assert.equal(threads({}, 2), 1);
  assert.equal(threads({}, 64), 16);
  assert.equal(threads({ ZTUNNEL_RESOURCE_CPU_REQUEST: '200m' }, 4), 1);
});

test('what cannot be read is said by its name', () => {
  for (const text of ['-1', 'all', '0%', '1.5']) {
    assert.match(String(threads({ ZTUNNEL_WORKER_THREADS: text })), /ZTUNNEL_WORKER_THREADS is "/);
  }
  assert.match(String(threads({ ZTUNNEL_RESOURCE_CPU_LIMIT: 'much' })), /ZTUNNEL_RESOURCE_CPU_LIMIT is "much"/);
});
