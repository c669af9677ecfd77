/** One ztunnel a node after the other, as processes, with listeners side by side: who connects does not notice. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { writePodSettings } from '../../src/cni/pod-settings.ts';
import { openSwapScene, type SwapScene } from './ztunnel-swap-scene.ts';

describe('ztunnels that come and go, side by side', { timeout: 290_000 }, () => {
  let scene: SwapScene;

  before(async () => {
    scene = await openSwapScene();
    for (const { pod } of Object.values(scene.nodes)) assert.deepEqual(writePodSettings(pod.netns, 'proxied'), []);
  });
  after(() => scene?.close());
  afterEach((context) => scene.endTest('passed' in context ? context.passed : undefined));

  test('connections are lost in no swap', () => scene.swapsLoseNothing());

  for (const name of ['near', 'far'] as const) {
    test(`the ${name} ztunnel goes on when its successor dies`, () => scene.dyingSuccessorCostsNothing(name));
  }
});
