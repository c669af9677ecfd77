import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { ServerResponse } from 'node:http';
import { describe, test } from 'node:test';
import type { RateLimit } from '../../src/api/l7/index.ts';
import { backendOf } from '../../src/proxy/upstream/upstream-fixtures.ts';
import { eventually } from '../support/run.ts';
import { forwardRule, openScene, resourcesOf, routesOf, toldAs, until, type Scene } from './proxy-workers-scene.ts';

const fiveAnHour: RateLimit = {
  kind: 'rate-limit',
  name: 'shop/five',
  origin: { kind: 'RateLimit', namespace: 'shop', name: 'five', generation: 1 },
  limits: [
    {
      name: 'all',
      matches: [],
      by: [],
      enforcement: { kind: 'local', burst: 5, tokens: 5, intervalMs: 3_600_000 },
      dryRun: false,
      status: 429,
    },
  ],
};

const respond = (status: number): ReturnType<typeof routesOf> =>
  routesOf(forwardRule({ action: { kind: 'respond', status } }));

const threeRequests = { connectTimeoutMs: 10_000, idleTimeoutMs: 3_600_000, maxRequests: 3 };

/** A worker that does not answer in time counts as it last said: a busy one may not. */
const metricIs = (scene: Scene, name: string, value: number): Promise<true> =>
  eventually(async () => (await scene.metric(name)) === value || undefined, `${name} is ${value}`);

/** Of requests from all workers the backend gets three, and another once one of them has ended. */
async function holdsToThree(scene: Scene, held: ServerResponse[]): Promise<void> {
  const clients = [];
  for (const worker of [0, 1, 0, 1, 0, 1]) clients.push(await scene.connect(worker));
  const answers = [];
  for (const [i, client] of clients.entries()) {
    answers.push(client.ask().then(({ status }) => status));
    if (i < 3) await until(() => held.length === i + 1);
    else assert.equal(await answers[i], 503);
  }
  await metricIs(scene, 'envoy_cluster_upstream_rq_active', 3);
  for (const response of held) response.end('done');
  assert.deepEqual(await Promise.all(answers), [200, 200, 200, 503, 503, 503]);
  const again = clients[5]?.ask();
  await until(() => held.length === 4);
  held[3]?.end('done');
  assert.equal((await again)?.status, 200);
}

describe('several workers of a proxy', () => {
  test('accept from one socket; what they count is one', async (t) => {
    const scene = await openScene(t, { accessLog: true });
    const clients = [await scene.connect(0), await scene.connect(1)];
    for (let i = 0; i < 10; i++) {
      const answers = await Promise.all(clients.map((client) => client.ask(`/${i}`)));
      assert.deepEqual(answers, [
        { status: 200, body: '127.0.0.1' },
        { status: 200, body: '127.0.0.1' },
      ]);
    }
    await metricIs(scene, 'istio_requests_total', 20);
    await metricIs(scene, 'ambit_proxy_connections', 2);
    await metricIs(scene, 'ambit_proxy_connections_limit', 1000);
    await metricIs(scene, 'ambit_proxy_workers', 2);
    assert.equal(scene.workers.connections, 2);
    await eventually(async () => {
      const [backend] = await scene.workers.endpoints();
      return backend?.connections === 2 && backend.hosts[0]?.connections === 2;
    }, 'a connection of each to the backend');
    await until(() => scene.lines.join('').split('\n').length === 21);
    const lines = scene.lines.join('').trimEnd().split('\n');
    assert.deepEqual(
      lines.toSorted(),
      Array.from({ length: 20 }, (_, i) => `/${i >> 1} 200`),
    );
  });

  test('take no more connections of clients together than the proxy may have', async (t) => {
    const scene = await openScene(t, { maxConnections: 5 });
    const clients = [await scene.connect(0), await scene.connect(1)];
    while (clients.length < 5) clients.push(await scene.connectAny());
    for (let i = 0; i < 10; i++) {
      const late = connect({ host: '127.0.0.1', port: scene.port });
      await new Promise<void>((resolve) => void late.on('error', () => {}).once('close', () => resolve()));
    }
    assert.equal(scene.connectionsOf(0) + scene.connectionsOf(1), 5);
    await metricIs(scene, 'ambit_proxy_connections_refused_total', 10);
    for (const client of clients) assert.equal((await client.ask()).status, 200);
    clients[0]?.socket.destroy();
    await until(() => scene.workers.connections === 4);
    assert.equal((await (await scene.connectAny()).ask()).status, 200);
  });

  test('take from the same buckets of a rate limit', async (t) => {
    const scene = await openScene(t, { limits: [fiveAnHour] });
    const clients = [await scene.connect(0), await scene.connect(1)];
    const statuses: number[] = [];
    for (let i = 0; i < 10; i++) {
      for (const client of clients) statuses.push((await client.ask()).status);
    }
    assert.equal(statuses.filter((status) => status === 200).length, 5);
    assert.equal(statuses.filter((status) => status === 429).length, 15);
    assert.deepEqual(statuses.slice(0, 6), [200, 200, 200, 200, 200, 429]);
    // Those of another rule, or of another shape, are others.
    await scene.apply({ ...fiveAnHour, limits: fiveAnHour.limits.map((limit) => ({ ...limit, name: 'other' })) });
    for (const client of clients) assert.equal((await client.ask()).status, 200);
  });

  test('send no more requests to a backend together than it may have', async (t) => {
    const held: ServerResponse[] = [];
    const scene = await openScene(t, {
      backend: { connectionPool: threeRequests },
      answer: (_, response) => void held.push(response),
    });
    // Its going is refused, as a route leads to it: whoever starts meanwhile counts with the others.
    const gone = await scene.tell('config', { added: [], removed: ['backend/web'] });
    assert.match(gone.refusal ?? '', /web/);
    await scene.break(1, 'test-throw');
    await holdsToThree(scene, held);
  });

  test('do so with a backend that was refused with what came along', async (t) => {
    const held: ServerResponse[] = [];
    const scene = await openScene(t, { answer: (_, response) => void held.push(response) });
    const to = forwardRule({
      action: { kind: 'forward', destinations: [{ weight: 1, target: { kind: 'backend', backend: 'other' } }] },
    });
    const unmade = { ...to, matches: [{ path: { kind: 'regex', value: '(' } as const }] };
    const other = backendOf({ name: 'other', protocol: 'http1', connectionPool: threeRequests });
    assert.notEqual((await scene.apply(other, routesOf(unmade))).refusal, undefined);
    assert.equal((await scene.apply(routesOf(to))).refusal, undefined);
    await holdsToThree(scene, held);
  });

  test('count the failures of a host together, and take it out together', async (t) => {
    const failed: number[] = [0, 0];
    const scene = await openScene(t, {
      hosts: ['127.0.0.1', '127.0.0.2'],
      backend: {
        loadBalancer: { kind: 'round-robin' },
        outlierDetection: {
          consecutive5xx: 4,
          consecutiveGatewayErrors: 0,
          consecutiveLocalOriginFailures: 0,
          splitsLocalOrigin: false,
          intervalMs: 3_600_000,
          baseEjectionMs: 3_600_000,
          maxEjectionPercent: 50,
          minHealthPercent: 0,
        },
      },
      answer(host, response) {
        response.statusCode = host === '127.0.0.2' ? 500 : 200;
        response.end(host);
      },
    });
    const clients = [await scene.connect(0), await scene.connect(1)];
    for (const [worker, client] of clients.entries()) {
      while ((failed[worker] ?? 0) < 2)
        if ((await client.ask()).status === 500) failed[worker] = (failed[worker] ?? 0) + 1;
    }
    const isOut = async (): Promise<boolean> => {
      const [backend] = await scene.workers.endpoints();
      return backend?.hosts.some(({ health }) => health === 'ejected') === true;
    };
    await until(isOut);
    for (const client of clients) {
      // What comes by message may come after the next request.
      let inARow = 0;
      while (inARow < 10) inARow = (await client.ask()).status === 200 ? inARow + 1 : 0;
    }
    await metricIs(scene, 'envoy_cluster_outlier_detection_ejections_enforced_total', 1);
    await metricIs(scene, 'envoy_cluster_outlier_detection_ejections_active', 1);
    // Whoever comes later knows it, too.
    await scene.break(1, 'test-throw');
    const late = await scene.connect(1);
    for (let i = 0; i < 10; i++) assert.deepEqual(await late.ask(), { status: 200, body: '127.0.0.1' });
  });

  test('an answer that one of them gets forgives the failures that others saw', async (t) => {
    let status = 500;
    const scene = await openScene(t, {
      hosts: ['127.0.0.1', '127.0.0.2'],
      backend: {
        outlierDetection: {
          consecutive5xx: 3,
          consecutiveGatewayErrors: 0,
          consecutiveLocalOriginFailures: 0,
          splitsLocalOrigin: false,
          intervalMs: 3_600_000,
          baseEjectionMs: 3_600_000,
          maxEjectionPercent: 100,
          minHealthPercent: 0,
        },
      },
      answer(host, response) {
        response.statusCode = status;
        response.end(host);
      },
    });
    const clients = [await scene.connect(0), await scene.connect(1)];
    const askUntilBoth = async (worker: number, times: number): Promise<void> => {
      const seen = new Map<string, number>();
      while ([...seen.values()].filter((count) => count >= times).length < 2) {
        const { body } = (await clients[worker]?.ask()) ?? { body: '' };
        seen.set(body, (seen.get(body) ?? 0) + 1);
      }
    };
    for (let round = 0; round < 3; round++) {
      status = 500;
      await askUntilBoth(0, 1);
      // The main thread has heard of them once shared memory says so.
      await until(async () => (await scene.workers.endpoints()).length > 0);
      status = 200;
      await askUntilBoth(1, 1);
      await until(async () => (await scene.workers.endpoints()).length > 0);
    }
    assert.equal(await scene.metric('envoy_cluster_outlier_detection_ejections_enforced_total'), 0);
  });

  test('have a configuration all at once, and all refuse what one of them refuses', async (t) => {
    const scene = await openScene(t);
    const clients = [await scene.connect(0), await scene.connect(1)];
    for (const status of [204, 403, 418]) {
      assert.deepEqual(await scene.apply(respond(status)), { rejected: [] });
      for (const client of clients) assert.equal((await client.ask()).status, status);
    }
    const bad = await scene.apply(
      routesOf(
        forwardRule({
          action: { kind: 'forward', destinations: [{ weight: 1, target: { kind: 'backend', backend: 'none' } }] },
        }),
      ),
    );
    assert.match(bad.refusal ?? '', /none/);
    assert.match(scene.workers.status().refusal ?? '', /none/);
    for (const client of clients) assert.equal((await client.ask()).status, 418);
    // What the main thread would take, as it makes nothing of it.
    const regex = { kind: 'regex', value: '(' } as const;
    const unmade = await scene.apply(
      routesOf(forwardRule({ matches: [{ path: regex }], action: { kind: 'respond', status: 200 } })),
    );
    assert.match(unmade.refusal ?? '', /\(/);
    for (const client of clients) assert.equal((await client.ask()).status, 418);
    // One that starts meanwhile has the last good one.
    await scene.break(0, 'test-throw');
    assert.equal((await (await scene.connect(0)).ask()).status, 418);
    assert.deepEqual(await scene.apply(respond(410)), { rejected: [] });
    for (const worker of [0, 1]) assert.equal((await (await scene.connect(worker)).ask()).status, 410);
  });

  test('say that they have a configuration once the slowest has it', async (t) => {
    const scene = await openScene(t);
    const [quick, slow] = [await scene.connect(0), await scene.connect(1)];
    const { goOn } = scene.stall(1);
    let isSaid = false;
    const verdict = scene.apply(respond(204)).finally(() => (isSaid = true));
    await until(async () => (await quick.ask()).status === 204);
    assert.equal(isSaid, false);
    assert.notEqual(scene.workers.snapshot?.routes.get('gateway')?.hosts[0]?.rules[0]?.action.kind, 'respond');
    goOn();
    assert.deepEqual(await verdict, { rejected: [] });
    assert.equal((await slow.ask()).status, 204);
  });

  test('live on where they cannot apply what they are told', async (t) => {
    const scene = await openScene(t);
    const client = await scene.connect(0);
    scene.post(0, { kind: 'apply', requestId: 0, feed: 'neither', update: { added: [], removed: [] }, counts: [] });
    assert.deepEqual(await scene.apply(respond(204)), { rejected: [] });
    assert.equal((await client.ask()).status, 204);
    assert.equal(await scene.metric('ambit_proxy_worker_deaths_total'), 0);
    assert.deepEqual(
      scene.said.map(({ message }) => message),
      ['discovery response not applied'],
    );
  });

  for (const how of ['test-throw', 'test-fill-memory'] as const) {
    test(`do not end with one that dies (${how}); another takes its place`, async (t) => {
      const held: ServerResponse[] = [];
      let holds = true;
      const scene = await openScene(t, {
        maxConnections: 4,
        limits: [fiveAnHour],
        answer: (_, response) => void (holds ? held.push(response) : response.end('now')),
      });
      const lost = [await scene.connect(0), await scene.connect(0)];
      const kept = await scene.connect(1);
      const answers = lost.map((client) =>
        client.ask().then(
          () => 'answered',
          () => 'ended',
        ),
      );
      const answer = kept.ask();
      await until(() => held.length === 3);
      await scene.break(0, how);
      assert.deepEqual(await Promise.all(answers), ['ended', 'ended']);
      for (const response of held) response.end('late');
      assert.deepEqual(await answer, { status: 200, body: 'late' });
      holds = false;
      assert.equal(scene.isReady(), true);
      assert.equal(scene.workers.connections, 1);
      // It is told everything, and what others had used up stays so.
      const again = await scene.connect(0);
      assert.deepEqual(await again.ask(), { status: 200, body: 'now' });
      assert.equal((await kept.ask()).status, 200);
      assert.equal((await again.ask()).status, 429);
      assert.equal((await kept.ask()).status, 429);
      const deaths = scene.said.filter(({ message }) => message === 'a worker died: its connections ended with it');
      assert.equal(await scene.metric('ambit_proxy_worker_deaths_total'), 1, JSON.stringify(deaths));
      await metricIs(scene, 'envoy_cluster_upstream_rq_active', 0);
      assert.match(String(deaths[0]?.['error']), how === 'test-throw' ? /broken by a test/ : /memory/);
    });
  }

  test('end when all requests have, and accept nobody then', async (t) => {
    const held: ServerResponse[] = [];
    const scene = await openScene(t, { answer: (_, response) => void held.push(response) });
    const clients = [await scene.connect(0), await scene.connect(1)];
    const answers = clients.map((client) => client.ask());
    await until(() => held.length === 2);
    const ended = scene.workers.drain({ lingerMs: 0, deadlineMs: 600_000 });
    assert.equal(scene.isReady(), false);
    for (const response of held) response.end('last');
    for (const answer of answers) assert.deepEqual(await answer, { status: 200, body: 'last' });
    await ended;
    const late = connect({ host: '127.0.0.1', port: scene.port });
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => void late.once('error', resolve));
    assert.equal(error.code, 'ECONNREFUSED');
  });

  test('let go of a port that the configuration has no more', async (t) => {
    const scene = await openScene(t);
    const [, listener] = resourcesOf(scene.port);
    if (listener?.kind !== 'listener') throw new Error('no listener');
    await scene.tell('config', { added: [], removed: toldAs([listener]).added.map(({ name }) => name) });
    await until(async () => {
      const late = connect({ host: '127.0.0.1', port: scene.port });
      const code = await new Promise((resolve) => {
        late.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
        late.once('close', () => resolve('closed'));
        late.once('connect', () => late.destroy());
      });
      return code === 'ECONNREFUSED';
    });
    assert.deepEqual(scene.workers.addresses(), []);
  });
});
