/** A Service comes to its waypoint and leaves it, under load. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { kinds } from '../../src/api/index.ts';
import { sleep } from '../../src/lib/clock.ts';
import { openL7Mesh, type HttpAnswer, type L7Mesh } from '../support/l7-mesh.ts';

describe('a Service under load', () => {
  let l7: L7Mesh;
  before(async () => {
    l7 = await openL7Mesh();
  });
  after(() => l7?.[Symbol.asyncDispose]());

  it('comes to its waypoint and leaves it without losing a request', async () => {
    const use = (waypoint: string): Promise<unknown> =>
      l7.mesh.client.patch(
        kinds.Service,
        'app',
        'shop',
        { metadata: { labels: { 'istio.io/use-waypoint': waypoint } } },
        { type: 'merge' },
      );
    const load = Promise.all(
      Array.from({ length: 2 }, () => l7.send('front/client', { url: 'http://app.shop/load', times: 800 })),
    );
    let ended = false;
    const answers: HttpAnswer[] = [];
    const running = load.then((all) => {
      answers.push(...all.flat());
      ended = true;
    });
    for (let i = 0; !ended; i++) {
      await use(i % 2 === 0 ? 'none' : 'waypoint');
      await sleep(400);
    }
    await running;
    const lost = answers.filter(({ status }) => status !== 200);
    const reasons = lost.map(({ status, error, headers }) => `${status} ${error ?? headers['x-ambit-reason']}`);
    const through = answers.filter(({ headers }) => headers['server'] === 'istio-envoy').length;
    assert.ok(through > 0 && through < answers.length, `${through} of ${answers.length} through the waypoint`);
    assert.deepEqual(reasons, []);
  });
});
