import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askEach } from './ask-each.ts';
import type { Ztunnel } from './select.ts';

const ztunnels: readonly Ztunnel[] = ['node-1', 'node-2', 'node-3'].map((node) => ({
  node,
  pod: `ztunnel-${node}`,
  namespace: 'istio-system',
}));

test('who is silent is told of once the others have answered', async () => {
  const { answers, missing } = await askEach(ztunnels, async ({ node }) => {
    if (node === 'node-1') return 'one';
    throw new Error(`no answer from ${node}`);
  });
  assert.deepEqual(
    answers.map(({ ztunnel, answer }) => [ztunnel.node, answer]),
    [['node-1', 'one']],
  );
  assert.equal(missing?.message, 'no answer from node-2; no answer from node-3');
  assert.equal((await askEach(ztunnels, () => Promise.resolve('all'))).missing, undefined);
});

test('when nobody answers, the first failure says why', async () => {
  const none = askEach(ztunnels, ({ node }) => Promise.reject(new Error(`no answer from ${node}`)));
  await assert.rejects(none, { message: 'no answer from node-1' });
});
