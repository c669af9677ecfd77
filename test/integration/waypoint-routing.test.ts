/** Requests through ztunnel, waypoint and ztunnel: routes of the Gateway API and of Istio, as a client sees them. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { openL7Mesh, type HttpAnswer, type L7Mesh } from '../support/l7-mesh.ts';

interface Told {
  readonly version: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly size: number;
}

const told = ({ body }: HttpAnswer): Told => JSON.parse(body) as Told;

const httpRoute = (rules: readonly object[], service = 'app'): RouteObject => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: { name: 'under-test', namespace: 'shop' },
  spec: { parentRefs: [{ group: '', kind: 'Service', name: service, port: 80 }], rules },
});

const virtualService = (http: readonly object[]): RouteObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'under-test', namespace: 'shop' },
  spec: { hosts: ['app.shop.svc.cluster.local'], http },
});

interface RouteObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: object;
}

describe('a waypoint', () => {
  let l7: L7Mesh;

  before(async () => {
    l7 = await openL7Mesh();
  });
  after(() => l7?.[Symbol.asyncDispose]());

  const ask = async (path: string, more: object = {}): Promise<HttpAnswer> => {
    const [answer] = await l7.send('front/client', { url: `http://app.shop${path}`, ...more });
    assert.ok(answer);
    return answer;
  };

  /** With the objects in force, which `shows` tells. */
  async function withObjects(
    objects: readonly RouteObject[],
    shows: { readonly path: string; readonly when: (answer: HttpAnswer) => boolean },
    work: () => Promise<void>,
  ): Promise<void> {
    await l7.apply(...objects);
    try {
      await l7.until('front/client', { url: `http://app.shop${shows.path}` }, shows.when, 'the configuration acts');
      await work();
    } finally {
      await l7.remove(...objects);
      await l7.until(
        'front/client',
        { url: `http://app.shop${shows.path}` },
        (answer) => answer.status === 200 && !shows.when(answer) && told(answer).url === shows.path,
        'the configuration is gone',
      );
    }
  }

  it('carries requests with their bodies, streams, and websockets', async () => {
    const [posted, events, socket, bytes] = await l7.send(
      'front/client',
      { url: 'http://app.shop/post?q=1', method: 'POST', bodyBytes: 3_000_000, headers: { a: 'b' } },
      { url: 'http://app.shop/events' },
      { url: 'http://app.shop/chat', upgrade: 'hello' },
      { url: 'http://app.shop/bytes/2000000' },
    );
    assert.ok(posted && events && socket && bytes);
    const seen = told(posted);
    assert.deepEqual([seen.method, seen.url, seen.size, seen.headers['a']], ['POST', '/post?q=1', 3_000_000, 'b']);
    assert.match(seen.headers['x-request-id'] ?? '', /^[0-9a-f-]{36}$/);
    assert.equal(events.body, 'data: 0\n\ndata: 1\n\ndata: 2\n\n');
    assert.deepEqual([socket.status, socket.body.slice(2)], [101, ':hello']);
    assert.equal(bytes.body.length, 2_000_000);
  });

  it('follows an HTTPRoute: matches, rewrites, headers, redirects, weights', () =>
    withObjects(
      [
        httpRoute([
          {
            matches: [{ path: { type: 'PathPrefix', value: '/v2' } }],
            filters: [
              { type: 'URLRewrite', urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/two' } } },
              {
                type: 'RequestHeaderModifier',
                requestHeaderModifier: { set: [{ name: 'x-set', value: 'yes' }], remove: ['x-gone'] },
              },
              { type: 'ResponseHeaderModifier', responseHeaderModifier: { add: [{ name: 'x-back', value: 'too' }] } },
            ],
            backendRefs: [{ name: 'app-v2', port: 80 }],
          },
          {
            matches: [{ path: { type: 'Exact', value: '/moved' } }],
            filters: [
              {
                type: 'RequestRedirect',
                requestRedirect: { statusCode: 302, path: { type: 'ReplaceFullPath', replaceFullPath: '/here' } },
              },
            ],
          },
          {
            matches: [{ headers: [{ name: 'x-user', value: 'tester' }], method: 'PUT' }],
            backendRefs: [{ name: 'app-v1', port: 80 }],
          },
          {
            matches: [{ path: { type: 'Exact', value: '/broken' } }],
            backendRefs: [{ name: 'no-such-service', port: 80 }],
          },
          {
            backendRefs: [
              { name: 'app-v1', port: 80, weight: 0 },
              { name: 'app-v2', port: 80, weight: 1 },
            ],
          },
        ]),
      ],
      { path: '/moved', when: ({ status }) => status === 302 },
      async () => {
        const two = await ask('/v2/items?q=1', { headers: { 'x-gone': '1' } });
        assert.deepEqual([told(two).version, told(two).url], ['v2', '/two/items?q=1']);
        assert.deepEqual([told(two).headers['x-set'], told(two).headers['x-gone']], ['yes', undefined]);
        assert.equal(two.headers['x-back'], 'too');
        assert.equal((await ask('/moved')).headers['location'], 'http://app.shop/here');
        assert.equal(told(await ask('/x', { method: 'PUT', headers: { 'x-user': 'tester' } })).version, 'v1');
        assert.equal((await ask('/broken')).status, 500);
        const rest = await l7.send('front/client', { url: 'http://app.shop/', times: 10 });
        assert.deepEqual(new Set(rest.map((answer) => told(answer).version)), new Set(['v2']));
      },
    ));

  it('follows a VirtualService: retries, faults, timeouts, direct responses', () =>
    withObjects(
      [
        virtualService([
          {
            match: [{ uri: { exact: '/teapot' } }],
            directResponse: { status: 418, body: { string: 'short and stout' } },
          },
          {
            match: [{ uri: { exact: '/abort' } }],
            fault: { abort: { httpStatus: 555, percentage: { value: 100 } } },
            route: [{ destination: { host: 'app' } }],
          },
          {
            match: [{ uri: { prefix: '/delay' } }],
            timeout: '0.2s',
            retries: { attempts: 0 },
            route: [{ destination: { host: 'app-v1' } }],
          },
          {
            match: [{ uri: { prefix: '/flaky' } }],
            retries: { attempts: 3, retryOn: '5xx', backoff: '10ms' },
            route: [{ destination: { host: 'app-v1' } }],
          },
          { route: [{ destination: { host: 'app' } }] },
        ]),
      ],
      { path: '/teapot', when: ({ status }) => status === 418 },
      async () => {
        assert.equal((await ask('/teapot')).body, 'short and stout');
        const aborted = await ask('/abort');
        assert.deepEqual([aborted.status, aborted.body], [555, 'fault filter abort']);
        const late = await ask('/delay/2000');
        assert.deepEqual([late.status, late.body], [504, 'upstream request timeout']);
        assert.match(late.headers['x-ambit-reason'] ?? '', /timeout of 200 ms/);
        assert.equal((await ask('/flaky/3/one')).status, 200);
        assert.equal((await ask('/flaky/9/two')).status, 503);
      },
    ));

  it('sends subsets of a DestinationRule to their pods alone', () =>
    withObjects(
      [
        {
          apiVersion: 'networking.istio.io/v1',
          kind: 'DestinationRule',
          metadata: { name: 'under-test', namespace: 'shop' },
          spec: {
            host: 'app.shop.svc.cluster.local',
            subsets: [
              { name: 'one', labels: { version: 'v1' } },
              { name: 'two', labels: { version: 'v2' } },
            ],
          },
        },
        virtualService([
          {
            match: [{ headers: { cookie: { regex: '^(.*; ?)?user=beta(;.*)?$' } } }],
            route: [{ destination: { host: 'app', subset: 'two' } }],
          },
          { match: [{ uri: { exact: '/ready' } }], directResponse: { status: 299 } },
          { route: [{ destination: { host: 'app', subset: 'one' } }] },
        ]),
      ],
      { path: '/ready', when: ({ status }) => status === 299 },
      async () => {
        // The rule may come a moment after the route that tells of itself: nobody is in a subset until then.
        await l7.until(
          'front/client',
          { url: 'http://app.shop/' },
          ({ status }) => status === 200,
          'subsets are known',
        );
        const plain = await l7.send('front/client', { url: 'http://app.shop/', times: 8 });
        assert.deepEqual(new Set(plain.map((answer) => told(answer).version)), new Set(['v1']));
        const beta = await l7.send('front/client', {
          url: 'http://app.shop/',
          headers: { cookie: 'a=b; user=beta' },
          times: 8,
        });
        assert.deepEqual(new Set(beta.map((answer) => told(answer).version)), new Set(['v2']));
      },
    ));

  it('has requests pass a filter of the user', () =>
    withObjects(
      [
        {
          apiVersion: 'policy.ambit.dev/v1alpha1',
          kind: 'ProxyExtension',
          metadata: { name: 'under-test', namespace: 'shop' },
          spec: {
            targetRefs: [{ group: '', kind: 'Service', name: 'app' }],
            config: { greeting: 'hello' },
            timeout: '10s',
            source: {
              inline: `export default (config: { greeting: string }) => ({
                onRequest: ({ path, source }: { path: string; source: { principal?: string } }) =>
                  path === '/stop'
                    ? { respond: { status: 418, body: 'stopped' } }
                    : { headers: { 'x-greeting': config.greeting + ' ' + source.principal } },
              });`,
            },
          },
        },
      ],
      { path: '/stop', when: ({ status }) => status === 418 },
      async () => {
        const greeting = told(await ask('/go')).headers['x-greeting'];
        assert.equal(greeting, 'hello spiffe://cluster.local/ns/front/sa/client');
      },
    ));

  it('is explained step by step, as it acts', async () => {
    const explain = async (...args: string[]): Promise<{ code: number | null; text: string }> => {
      const { code, stdout, stderr } = await l7.mesh.ambit([
        'explain',
        '--from',
        'client.front',
        '--to',
        'app.shop',
        ...args,
      ]);
      return { code, text: stdout + stderr };
    };
    const open = await explain();
    assert.equal(open.code, 0, open.text);
    assert.match(open.text, /capture: pod front\/client is in the mesh/);
    assert.match(open.text, /waypoint shop\/waypoint takes it for app\.shop\.svc\.cluster\.local port 80/);
    assert.match(open.text, /2 of 2 endpoints are healthy/);
    assert.match(open.text, /The request gets there/);
    await withObjects(
      [
        {
          apiVersion: 'security.istio.io/v1',
          kind: 'AuthorizationPolicy',
          metadata: { name: 'under-test', namespace: 'shop' },
          spec: {
            targetRefs: [{ group: '', kind: 'Service', name: 'app' }],
            action: 'DENY',
            rules: [{ to: [{ operation: { paths: ['/secret*'], notMethods: ['OPTIONS'] } }] }],
          },
        } as RouteObject,
      ],
      { path: '/secret', when: ({ status }) => status === 403 },
      async () => {
        const denied = await ask('/secret/x');
        assert.equal(denied.body, 'RBAC: access denied');
        const told = await explain('--path', '/secret/x');
        assert.equal(told.code, 1);
        assert.match(told.text, /DENY shop\/under-test matches/);
        assert.match(told.text, /does not get there: HTTP 403/);
        const near = await explain('--path', '/public');
        assert.equal(near.code, 0, near.text);
        assert.match(near.text, /DENY shop\/under-test nearly matches: path is \/public, wanted \/secret\*/);
      },
    );
  });
});
