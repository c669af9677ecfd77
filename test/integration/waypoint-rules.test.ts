/** VirtualService and DestinationRule through ztunnel, waypoint and ztunnel: what a client sees, and what their statuses say. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { kinds, type Condition, type KubeObject } from '../../src/api/index.ts';
import { openL7Mesh, type HttpAnswer, type HttpRequest, type L7Mesh } from '../support/l7-mesh.ts';
import { eventually } from '../support/run.ts';

const told = ({ body }: HttpAnswer): { version: string; url: string; headers: Record<string, string> } =>
  JSON.parse(body) as { version: string; url: string; headers: Record<string, string> };
const versions = (answers: readonly HttpAnswer[]): string[] => [...new Set(answers.map((one) => told(one).version))];

interface RuleObject {
  readonly apiVersion: string;
  readonly kind: 'VirtualService' | 'DestinationRule';
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: object;
}
const object = (kind: RuleObject['kind'], name: string, spec: object): RuleObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace: 'shop' },
  spec,
});

interface WithConditions extends KubeObject {
  readonly status?: { readonly conditions?: Condition[] };
}

/** Answers 299 at `/ready/<mark>` once it acts. */
const virtualService = (mark: string, http: readonly object[]): RuleObject =>
  object('VirtualService', 'under-test', {
    hosts: ['app'],
    http: [{ match: [{ uri: { exact: `/ready/${mark}` } }], directResponse: { status: 299 } }, ...http],
  });
const toApp = { route: [{ destination: { host: 'app' } }] };

describe('at a waypoint', () => {
  let l7: L7Mesh;
  before(async () => {
    l7 = await openL7Mesh();
  });
  after(() => l7?.[Symbol.asyncDispose]());

  const ask = async (path: string, more: Partial<HttpRequest> = {}): Promise<HttpAnswer> => {
    const [answer] = await l7.send('front/client', { url: `http://app.shop${path}`, ...more });
    assert.ok(answer);
    return answer;
  };
  async function withRules(mark: string, rules: readonly RuleObject[], work: () => Promise<void>): Promise<void> {
    await l7.apply(...rules);
    try {
      const url = `http://app.shop/ready/${mark}`;
      await l7.until('front/client', { url }, ({ status }) => status === 299, 'the rules act');
      await work();
    } finally {
      await l7.remove(...rules);
    }
  }
  const condition = (kind: RuleObject['kind'], name: string, wanted: (text: string) => boolean): Promise<string> =>
    eventually(async () => {
      const found = await l7.mesh.client.get<WithConditions>(kinds[kind], name, 'shop');
      const status = found.status?.conditions?.find(({ type }) => type === 'WaypointAccepted');
      const text = `${status?.status} ${status?.reason} ${status?.message}`;
      return wanted(text) ? text : undefined;
    }, `the status of ${kind} ${name}`);

  it('a VirtualService rewrites, fills in headers, delegates and mirrors', () =>
    withRules(
      'changes',
      [
        // The watch tells of them in this order: who acts last tells of both.
        object('VirtualService', 'team', {
          http: [
            {
              match: [{ uri: { prefix: '/team/blue' } }],
              rewrite: { uri: '/blue' },
              route: [{ destination: { host: 'app-v2' } }],
            },
          ],
        }),
        virtualService('changes', [
          {
            match: [{ uri: { prefix: '/old/' } }],
            rewrite: {
              uriRegexRewrite: { match: '^/old/([^/]+)/(.*)$', rewrite: '/new/\\2/\\1' },
              authority: 'renamed',
            },
            headers: {
              request: { set: { 'x-from': '%REQ(x-in)%', 'x-share': '100%%' }, remove: ['x-gone'] },
              response: { add: { 'x-done': 'yes' } },
            },
            ...toApp,
          },
          { match: [{ uri: { prefix: '/team' } }], delegate: { name: 'team' } },
          {
            match: [{ uri: { prefix: '/flaky' } }],
            mirror: { host: 'app-v2' },
            route: [{ destination: { host: 'app-v1' } }],
          },
          toApp,
        ]),
      ],
      async () => {
        const changed = await ask('/old/a/b?q=1', { headers: { 'x-in': 'me', 'x-gone': '1' } });
        const seen = told(changed);
        assert.equal(seen.url, '/new/b/a?q=1');
        assert.deepEqual(
          [seen.headers['host'], seen.headers['x-from'], seen.headers['x-share'], seen.headers['x-gone']],
          ['renamed', 'me', '100%', undefined],
        );
        assert.equal(changed.headers['x-done'], 'yes');
        const blue = told(await ask('/team/blue/x'));
        assert.deepEqual([blue.version, blue.url], ['v2', '/blue/x']);
        assert.equal(told(await ask('/flaky/0/mirrored')).version, 'v1');
        const url = 'http://app-v2.shop/seen/mirrored';
        await l7.until('front/client', { url }, ({ headers }) => headers['x-seen'] === '1', 'the copy arrives');
        await condition('VirtualService', 'under-test', (text) => text === 'True Accepted bound to shop/waypoint');
      },
    ));

  it('a DestinationRule keeps a client at one endpoint by a header', () =>
    withRules(
      'hash',
      [
        virtualService('hash', [toApp]),
        object('DestinationRule', 'under-test', {
          host: 'app',
          trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } },
        }),
      ],
      async () => {
        const as = (user: string, times: number) => ({ url: 'http://app.shop/', headers: { 'x-user': user }, times });
        // The rule may come a moment after the route that tells of itself.
        await eventually(
          async () => versions(await l7.send('front/client', as('jason', 8))).length === 1 || undefined,
          'one endpoint for one user',
        );
        const many = await l7.send('front/client', ...Array.from({ length: 24 }, (_, i) => as(`user-${i}`, 1)));
        assert.deepEqual(
          versions(many).toSorted((a, b) => (a < b ? -1 : 1)),
          ['v1', 'v2'],
        );
        await condition('DestinationRule', 'under-test', (text) => text === 'True Accepted in force at shop/waypoint');
      },
    ));

  it('a DestinationRule limits requests, and leaves out an endpoint that fails', () =>
    withRules(
      'limits',
      [
        virtualService('limits', [
          {
            match: [{ uri: { prefix: '/delay' } }],
            retries: { attempts: 0 },
            route: [{ destination: { host: 'app-v1' } }],
          },
          { retries: { attempts: 0 }, ...toApp },
        ]),
        object('DestinationRule', 'v1', {
          host: 'app-v1',
          trafficPolicy: { connectionPool: { http: { http2MaxRequests: 1 } } },
        }),
        object('DestinationRule', 'under-test', {
          host: 'app',
          trafficPolicy: {
            outlierDetection: { consecutive5xxErrors: 1, baseEjectionTime: '60s', maxEjectionPercent: 100 },
          },
        }),
      ],
      async () => {
        await eventually(async () => {
          const url = 'http://app.shop/delay/1500';
          const answers = await l7.send('front/client', { url, times: 3, atOnce: true });
          const statuses = answers.map(({ status }) => status);
          return (statuses.includes(200) && statuses.includes(503)) || undefined;
        }, 'one request at a time');
        await eventually(async () => {
          const failed = await ask('/status/500');
          const rest = await l7.send('front/client', { url: 'http://app.shop/', times: 10 });
          const seen = versions(rest.filter(({ status }) => status === 200));
          return (seen.length === 1 && seen[0] !== told(failed).version) || undefined;
        }, 'the other endpoint takes everything');
      },
    ));

  it('what is wrong is said with its field, and the rest goes on serving', () =>
    withRules(
      'wrong',
      [
        virtualService('wrong', [
          { match: [{ uri: { prefix: '/lost' } }], route: [{ destination: { host: 'no-such-host' } }] },
          { match: [{ uri: { prefix: '/subset' } }], route: [{ destination: { host: 'app', subset: 'v9' } }] },
          { match: [{ sourceLabels: { app: 'x' } }], directResponse: { status: 418 } },
          toApp,
        ]),
        object('DestinationRule', 'under-test', {
          host: 'nobody',
          trafficPolicy: { loadBalancer: { simple: 'RANDOM' } },
        }),
      ],
      async () => {
        assert.deepEqual(
          [(await ask('/lost')).status, (await ask('/subset')).status, (await ask('/fine')).status],
          [503, 503, 200],
        );
        const text = await condition('VirtualService', 'under-test', (one) => one.startsWith('False HostNotFound'));
        for (const path of [
          'spec.http[1].route[0].destination.host',
          'spec.http[2].route[0].destination.subset',
          'spec.http[3].match[0].sourceLabels',
        ]) {
          assert.ok(text.includes(path), `${path} in ${text}`);
        }
        await condition('DestinationRule', 'under-test', (one) => one.startsWith('False HostNotFound spec.host: '));
      },
    ));
});
