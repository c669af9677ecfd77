/** Services that a waypoint asks about requests: external authorizers and rate limits, over tunnels of its own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, systemNamespace } from '../../src/api/index.ts';
import { httpService, openL7Mesh, type HttpAnswer, type HttpRequest, type L7Mesh } from '../support/l7-mesh.ts';
import { documents, namespace, programPod, programs, serviceAccount } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

interface TestObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: object;
}

const service = 'guard.guards.svc.cluster.local';
const common = { service, timeout: '5s' };
const extensionProviders = [
  {
    name: 'by-http',
    envoyExtAuthzHttp: {
      ...common,
      port: 8000,
      pathPrefix: '/check',
      includeRequestHeadersInCheck: ['x-ext-authz'],
      headersToUpstreamOnAllow: ['x-user', 'x-asked'],
      headersToDownstreamOnDeny: ['x-hint'],
    },
  },
  {
    name: 'by-grpc',
    envoyExtAuthzGrpc: {
      ...common,
      port: 9000,
      includeRequestBodyInCheck: { maxRequestBytes: 4, allowPartialMessage: true },
    },
  },
  { name: 'gone', envoyExtAuthzGrpc: { service: 'nobody.guards.svc.cluster.local', port: 9000 } },
  { name: 'limits', envoyRateLimitGrpc: { service, port: 9000 } },
];

const app = [{ group: '', kind: 'Service', name: 'app' }];

const custom = (provider: string): TestObject => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'ask', namespace: 'shop' },
  spec: {
    targetRefs: app,
    action: 'CUSTOM',
    provider: { name: provider },
    rules: [{ to: [{ operation: { paths: ['/asked*'] } }] }],
  },
});

/** About every connection to the echo server. */
const customOfBytes = (provider: string): TestObject => ({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: 'ask-of-bytes', namespace: 'shop' },
  spec: {
    targetRefs: [{ group: '', kind: 'Service', name: 'echo' }],
    action: 'CUSTOM',
    provider: { name: provider },
    rules: [{}],
  },
});

const told = ({ body }: HttpAnswer): Record<string, string> =>
  (JSON.parse(body) as { headers: Record<string, string> }).headers;

describe('services that a waypoint asks', () => {
  let l7: L7Mesh;

  before(async () => {
    l7 = await openL7Mesh({
      manifests: documents(
        programPod({
          name: 'echo',
          namespace: 'shop',
          node: 'node-2',
          program: 'echo-server.ts',
          args: ['7000'],
          port: 7000,
        }),
        serviceAccount('echo', 'shop'),
        httpService('echo', { app: 'echo' }, { name: 'tcp', port: 7000, targetPort: 7000 }),
        namespace('guards'),
        serviceAccount('guard', 'guards'),
        programPod({
          name: 'guard',
          namespace: 'guards',
          node: 'node-2',
          program: 'policy-services.ts',
          args: ['8000', '9000'],
          port: 9000,
        }),
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'guard', namespace: 'guards' },
          spec: {
            selector: { app: 'guard' },
            ports: [
              { name: 'http', port: 8000 },
              { name: 'grpc', port: 9000 },
            ],
          },
        }),
        // Nobody but the waypoint may ask.
        JSON.stringify({
          apiVersion: 'security.istio.io/v1',
          kind: 'AuthorizationPolicy',
          metadata: { name: 'waypoint-only', namespace: 'guards' },
          spec: { rules: [{ from: [{ source: { principals: ['cluster.local/ns/shop/sa/waypoint'] } }] }] },
        }),
      ),
    });
    await l7.mesh.enrol('guards');
    await l7.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'istio', namespace: systemNamespace },
      data: { mesh: JSON.stringify({ extensionProviders }) },
    });
  });
  after(() => l7?.[Symbol.asyncDispose]());

  const ask = async (path: string, more: Partial<HttpRequest> = {}): Promise<HttpAnswer> => {
    const [answer] = await l7.send('front/client', { url: `http://app.shop${path}`, ...more });
    assert.ok(answer);
    return answer;
  };
  const until = (
    path: string,
    more: Partial<HttpRequest>,
    when: (answer: HttpAnswer) => boolean,
  ): Promise<HttpAnswer> =>
    l7.until('front/client', { url: `http://app.shop${path}`, ...more }, when, `${path} is answered so`);
  /** What the echo server answers; "" when the connection was refused. */
  const echoed = async (pod: 'client' | 'stranger'): Promise<string> => {
    const command = [process.execPath, join(programs, 'request.ts'), 'echo.shop', '7000', 'x', '10000'];
    return (JSON.parse(await l7.mesh.exec(`front/${pod}`, command)) as { reply: string }).reply;
  };
  const untilEchoed = (pod: 'client' | 'stranger', wanted: string): Promise<true> =>
    eventually(
      async () => ((await echoed(pod)) === wanted ? (true as const) : undefined),
      `${pod} is echoed ${JSON.stringify(wanted)}`,
    );
  const allow = { headers: { 'x-ext-authz': 'allow' } };

  async function withObject(object: TestObject, work: () => Promise<void>): Promise<void> {
    await l7.apply(object);
    try {
      await work();
    } finally {
      await l7.remove(object);
      await until('/asked', {}, ({ status }) => status === 200);
    }
  }

  it('an authorizer by HTTP decides about what the rules match, and tells the application more', () =>
    withObject(custom('by-http'), async () => {
      const denied = await until('/asked', {}, ({ body }) => body === 'denied by the authorizer');
      assert.deepEqual(
        [denied.status, denied.headers['x-hint'], denied.headers['x-asked']],
        [403, 'set x-ext-authz', undefined],
      );
      assert.match(denied.headers['x-ambit-reason'] ?? '', /authorizer "by-http" denied it/);
      const passed = await ask('/asked/a?b=c', {
        headers: { ...allow.headers, authorization: 'ann', 'x-user': 'root' },
      });
      assert.equal(passed.status, 200);
      assert.deepEqual([told(passed)['x-user'], told(passed)['x-asked']], ['ann', 'GET /check/asked/a?b=c']);
      assert.equal((await ask('/other')).status, 200);
    }));

  it('an authorizer by gRPC knows the client, and sees as much of the body as it may', () =>
    withObject(custom('by-grpc'), async () => {
      const denied = await until('/asked', {}, ({ status }) => status === 403);
      assert.match(denied.headers['x-ambit-reason'] ?? '', /authorizer "by-grpc" denied it: no x-ext-authz/);
      const passed = await ask('/asked', { method: 'POST', body: 'hello', ...allow });
      assert.equal(passed.status, 200);
      assert.equal(passed.headers['x-checked'], 'yes');
      assert.deepEqual(
        [told(passed)['x-user'], told(passed)['x-body']],
        ['spiffe://cluster.local/ns/front/sa/client', 'hell'],
      );
    }));

  it('an authorizer by gRPC is asked about bytes as well, and one by HTTP lets none pass', async () => {
    await untilEchoed('stranger', 'x');
    await withObject(customOfBytes('by-grpc'), async () => {
      await untilEchoed('stranger', '');
      assert.equal(await echoed('client'), 'x');
    });
    await untilEchoed('stranger', 'x');
    await withObject(customOfBytes('by-http'), async () => {
      await untilEchoed('client', '');
      const told = await eventually(async () => {
        const { status } = await l7.mesh.client.get(kinds.AuthorizationPolicy, 'ask-of-bytes', 'shop');
        return status?.conditions?.find(({ type }) => type === 'WaypointAccepted');
      }, 'the status of the policy');
      assert.equal(told.status, 'False');
      assert.match(
        told.message ?? '',
        /provider "by-http" is asked by HTTP, and port 7000 of echo\.shop\.svc\.cluster\.local speaks none/,
      );
    });
    await untilEchoed('client', 'x');
  });

  it('an authorizer that is not there denies what it would be asked about', () =>
    withObject(custom('gone'), async () => {
      const denied = await until('/asked', allow, ({ status }) => status === 403);
      assert.equal(denied.body, 'RBAC: access denied');
      assert.equal((await ask('/other')).status, 200);
    }));

  it('a rate limit service counts for all proxies', () =>
    withObject(
      {
        apiVersion: 'policy.ambit.dev/v1alpha1',
        kind: 'RateLimit',
        metadata: { name: 'per-user', namespace: 'shop' },
        spec: {
          targetRefs: app,
          limits: [
            {
              name: 'per-user',
              matches: [{ path: { type: 'PathPrefix', value: '/limited' } }],
              by: [{ type: 'Header', name: 'x-user' }],
              global: { provider: 'limits', domain: 'shop', timeout: '5s', failureMode: 'FailClosed' },
            },
          ],
        },
      },
      async () => {
        const as = (user: string): Partial<HttpRequest> => ({ headers: { 'x-user': user } });
        await until('/limited', as('marker'), ({ status }) => status === 429);
        const answers = [];
        for (const user of ['a', 'a', 'a', 'a', 'b']) answers.push(await ask('/limited', as(user)));
        assert.deepEqual(
          answers.map(({ status, headers }) => [status, headers['x-ratelimit-remaining']]),
          [
            [200, '2'],
            [200, '1'],
            [200, '0'],
            [429, '0'],
            [200, '2'],
          ],
        );
        assert.equal(answers[0]?.headers['x-ratelimit-limit'], '3, 3;w=3600');
      },
    ));

  it('without an answer, what the provider says happens', () =>
    withObject(custom('by-grpc'), async () => {
      await until('/asked', allow, ({ status, headers }) => status === 200 && headers['x-checked'] === 'yes');
      await l7.mesh.client.delete(kinds.Pod, 'guard', 'guards');
      const denied = await until('/asked', allow, ({ status }) => status === 403);
      assert.match(denied.headers['x-ambit-reason'] ?? '', /authorizer "by-grpc" could not be asked/);
    }));

  it('without an answer, no bytes pass either', async () => {
    await untilEchoed('client', 'x');
    await withObject(customOfBytes('by-grpc'), () => untilEchoed('client', '').then(() => {}));
  });
});
