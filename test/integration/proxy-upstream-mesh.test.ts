/** What a DestinationRule says of backends, through ztunnel, waypoint and ztunnel: limits, endpoints that fail, cookies. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openL7Mesh, type HttpAnswer, type HttpRequest, type L7Mesh } from '../support/l7-mesh.ts';
import { eventually } from '../support/run.ts';

const url = 'http://app.shop';
const versionsOf = (answers: readonly HttpAnswer[]): string[] =>
  [...new Set(answers.map(({ headers }) => headers['x-app'] ?? ''))].toSorted();

describe('backends behind a waypoint', () => {
  let l7: L7Mesh;
  before(async () => {
    l7 = await openL7Mesh();
  });
  after(() => l7?.[Symbol.asyncDispose]());

  const send = (...requests: readonly HttpRequest[]): Promise<HttpAnswer[]> => l7.send('front/client', ...requests);

  async function withPolicy(trafficPolicy: object, work: () => Promise<void>): Promise<void> {
    const rule = {
      apiVersion: 'networking.istio.io/v1',
      kind: 'DestinationRule',
      metadata: { name: 'under-test', namespace: 'shop' },
      spec: { host: 'app', trafficPolicy },
    };
    await l7.apply(rule);
    try {
      await work();
    } finally {
      await l7.remove(rule);
    }
  }

  it('refuse what is over the limits of their circuit breaker, and say so', () =>
    withPolicy({ connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } } }, async () => {
      const answers = await eventually(
        async () => {
          const found = await send({ url: `${url}/delay/2000`, times: 10, atOnce: true });
          return found.some(({ status }) => status === 503) ? found : undefined;
        },
        'one of ten requests at once is refused',
        60_000,
      );
      const refused = answers.find(({ status }) => status === 503);
      assert.equal(refused?.headers['x-envoy-overloaded'], 'true');
      assert.match(refused?.headers['x-ambit-reason'] ?? '', /too many pending requests/);
      assert.ok(answers.some(({ status }) => status === 200));
    }));

  it('go without an endpoint that fails, and take it back', () =>
    withPolicy(
      {
        // Both count, wherever they are.
        loadBalancer: { simple: 'ROUND_ROBIN', localityLbSetting: { enabled: false } },
        outlierDetection: { consecutive5xxErrors: 2, interval: '1s', baseEjectionTime: '4s', maxEjectionPercent: 10 },
      },
      async () => {
        await eventually(
          async () => {
            // Both fail, and one of them may be taken out.
            const answers = await send({ url: `${url}/status/500`, times: 12 }, { url: `${url}/`, times: 10 });
            return versionsOf(answers.slice(12)).length === 1 || undefined;
          },
          'one of two endpoints is out',
          60_000,
        );
        await eventually(
          async () => versionsOf(await send({ url: `${url}/`, times: 12 })).length === 2 || undefined,
          'it is back',
          60_000,
        );
      },
    ));

  it('know a client again by a cookie that the waypoint made', () =>
    withPolicy(
      { loadBalancer: { consistentHash: { httpCookie: { name: 'where', path: '/', ttl: '60s' } } } },
      async () => {
        const first = await l7.until(
          'front/client',
          { url: `${url}/` },
          ({ headers }) => String(headers['set-cookie']).startsWith('where='),
          'a cookie is made',
        );
        const cookie = String(first.headers['set-cookie']).split(';')[0] ?? '';
        assert.match(String(first.headers['set-cookie']), /^where="[0-9a-f]{16}"; Max-Age=60; Path=\/; HttpOnly$/);
        const again = await send({ url: `${url}/`, headers: { cookie }, times: 10 });
        assert.deepEqual(versionsOf(again), [first.headers['x-app']]);
        assert.ok(again.every(({ headers }) => headers['set-cookie'] === undefined));
        const strangers = await send({ url: `${url}/`, times: 24 });
        assert.deepEqual(versionsOf(strangers), ['v1', 'v2']);
      },
    ));
});
