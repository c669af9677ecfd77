/** One ztunnel a node after the other, as processes, with the listener holder between: who connects does not notice. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';
import { writePodSettings } from '../../src/cni/pod-settings.ts';
import { connectSeqpacket, dial, listen } from '../../src/net/index.ts';
import { encodeZdsAck, encodeZdsHello } from '../../src/wire/index.ts';
import { hbonePort, proxyMark } from '../../src/ztunnel/ports.ts';
import { openSwapScene, problems, type Attempt, type SwapScene } from './ztunnel-swap-scene.ts';

describe('ztunnels that come and go, with a holder between', { timeout: 290_000 }, () => {
  let scene: SwapScene;

  before(async () => {
    scene = await openSwapScene();
    for (const { pod } of Object.values(scene.nodes)) writePodSettings(pod.netns, 'plain');
    await Promise.all([scene.startHolder('near'), scene.startHolder('far')]);
    // Those who run have it hold theirs; those who come take them.
    await scene.swap('near');
    await scene.swap('far');
  });
  after(() => scene?.close());
  afterEach((context) => scene.endTest('passed' in context ? context.passed : undefined));

  test('connections are lost in no swap', () => scene.swapsLoseNothing());

  for (const name of ['near', 'far'] as const) {
    test(`the ${name} ztunnel goes on when its successor dies`, () => scene.dyingSuccessorCostsNothing(name));
  }

  for (const name of ['near', 'far'] as const) {
    test(`who connects while the ${name} ztunnel is dead waits, and is served by the next`, async () => {
      const under = scene.load();
      await scene.eventually('connections before', () => under.attempts.length > 20);
      scene.running[name].child.kill('SIGKILL');
      await scene.running[name].exited;
      const killedAtMs = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 300));
      scene.running[name] = await scene.startZtunnel(name);
      await scene.eventually('readiness', scene.running[name].ready);
      const later = (): Attempt[] => under.attempts.filter(({ atMs }) => atMs > killedAtMs);
      await scene.eventually('connections afterwards', () => later().length > 20);
      const attempts = await under.stop();
      assert.deepEqual(problems(later()), []);
      assert.ok(
        attempts.some(({ tookMs, problem }) => tookMs > 300 && problem === undefined),
        'nobody had to wait',
      );
    });
  }

  test('a ztunnel takes nothing over before it has certificates', async () => {
    const gate = Promise.withResolvers<void>();
    scene.control.beforeSigning = () => gate.promise;
    const { zds, pod, snapshots } = scene.nodes.far;
    const before = snapshots.count;
    const next = await scene.startZtunnel('far');
    const under = scene.load(2);
    await scene.eventually('it knows its pods', () => snapshots.count > before);
    // By its own word, after it has waited for a while.
    await assert.rejects(zds.add(pod.name), /certificates are awaited/);
    assert.equal(await next.ready(), false);
    assert.ok(!scene.says(next, 'all certificates are here: taking over') && !scene.says(next, 'pod served'));
    gate.resolve();
    await scene.eventually('readiness', next.ready);
    await scene.eventually('it took over', () => scene.says(next, 'all certificates are here: taking over'));
    await scene.eventually('the pod is served', () => scene.says(next, 'pod served'));
    scene.running.far.child.kill('SIGTERM');
    scene.running.far = next;
    assert.deepEqual(problems(await under.stop()), []);
    scene.control.beforeSigning = () => Promise.resolve();
  });

  test('nothing is held beside a ztunnel that knows nothing of it', async () => {
    const foreign = connectSeqpacket({
      path: scene.nodes.far.zdsPath,
      onMessage: () => foreign.send(encodeZdsAck()),
      onClose() {},
    });
    foreign.send(encodeZdsHello());
    await scene.eventually('the holder drops everything', () => scene.isSaid('no listener is held'));
    // It accepts beside ours, which dies: what is still held would take connections away from it, for nobody.
    const { netns, ip4, ip6 } = scene.nodes.far.pod;
    let accepted = 0;
    const listener = await listen({
      netns,
      host: '::',
      port: hbonePort,
      reusePort: true,
      onConnection: ({ socket }) => {
        accepted++;
        socket.destroy();
      },
    });
    scene.running.far.child.kill('SIGKILL');
    await scene.running.far.exited;
    try {
      for (let i = 0; i < 40; i++) {
        const host = i % 2 === 0 ? ip4 : ip6;
        // As a proxy's own, which is not captured.
        const from = { netns: scene.nodes.near.pod.netns, mark: proxyMark };
        const socket = await dial({ ...from, host, port: hbonePort, timeoutMs: 15_000 });
        await once(socket.resume(), 'end', { signal: AbortSignal.timeout(15_000) });
        socket.destroy();
      }
      assert.equal(accepted, 40);
    } finally {
      await listener.close();
    }
    foreign.close();
    scene.running.far = await scene.startZtunnel('far');
    await scene.eventually('readiness', scene.running.far.ready);
    await scene.eventually('listeners are held again', () => scene.isSaid('listeners are held'));
  });
});
