import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { service } from '../fixtures.ts';
import { openShop, rulesOf, virtualService, type ProxyWorld } from './fixtures.ts';
import { edgeGateway, httpRoute } from './gateway-api-fixtures.ts';

const parents = [{ group: '', kind: 'Service', name: 'reviews', namespace: 'shop' }];
const backend = [{ name: 'reviews', namespace: 'shop', port: 80 }];
const routed = (name: string, path: string, createdAt: string, namespace = 'shop') =>
  httpRoute(
    name,
    { parents, rules: [{ matches: [{ path: { type: 'PathPrefix', value: path } }], backendRefs: backend }] },
    { creationTimestamp: createdAt, namespace },
  );
const rule = (name: string, path: string, createdAt: string) =>
  virtualService(
    name,
    `{ hosts: [reviews], http: [{ match: [{ uri: { prefix: ${path} } }], route: [{ destination: { host: reviews } }] }] }`,
    { creationTimestamp: createdAt },
  );
const seen = (world: ProxyWorld): string[] =>
  rulesOf(world, 'reviews').map(({ matches, action }) => {
    const [match] = matches;
    const from = match?.sourceNamespace === undefined ? '' : ` from ${match.sourceNamespace}`;
    return `${action.kind === 'respond' ? action.status : (match?.path?.value ?? 'all')}${from}`;
  });

describe('the routes of a Service at its waypoint', () => {
  it('are those of the Gateway API by precedence, in their place by age among VirtualServices', () => {
    const shop = openShop();
    shop.put(shop.sources.httpRoutes, routed('short', '/a', '2025-02-01T00:00:00Z'));
    shop.put(shop.sources.httpRoutes, routed('long', '/a/b', '2025-04-01T00:00:00Z'));
    shop.put(
      shop.sources.virtualServices,
      rule('older', '/older', '2025-01-01T00:00:00Z'),
      rule('newer', '/newer', '2025-03-01T00:00:00Z'),
    );
    assert.deepEqual(seen(shop), ['/older', '/a/b', '/a', '/newer']);
    const [, first] = rulesOf(shop, 'reviews');
    assert.ok(first?.action.kind === 'forward');
    assert.deepEqual(first.action.destinations[0]?.target, {
      kind: 'backend',
      backend: 'inbound-vip|80|http|reviews.shop.svc.cluster.local',
    });
  });

  it("of a consumer replace all others for clients of its namespace, and hold for nobody else's", () => {
    const shop = openShop();
    shop.put(shop.sources.services, service('reviews', {}, { labels: { 'istio.io/use-waypoint': 'wp' } }));
    const own = httpRoute(
      'mine',
      {
        parents,
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/mine' } }],
            filters: [{ type: 'RequestRedirect', requestRedirect: { statusCode: 302 } }],
          },
        ],
      },
      { namespace: 'web' },
    );
    shop.put(shop.sources.httpRoutes, own);
    assert.deepEqual(seen(shop), ['/mine from web', '404 from web', 'all']);
    assert.equal(rulesOf(shop, 'reviews').at(-1)?.name, 'default');
    shop.put(shop.sources.httpRoutes, routed('everybody', '/all', '2025-01-01T00:00:00Z'));
    assert.deepEqual(seen(shop), ['/mine from web', '404 from web', '/all']);
  });
});

describe('the routes of a listener at the edge', () => {
  it('are grouped by hostname, and lead to Services through what else is said of them', () => {
    const shop = openShop();
    const from = { namespaces: { from: 'All' as const } };
    shop.put(
      shop.sources.gateways,
      edgeGateway([
        { name: 'web', port: 80, protocol: 'HTTP', allowedRoutes: from },
        { name: 'other', port: 81, protocol: 'HTTP', hostname: 'other.example.com', allowedRoutes: from },
      ]),
    );
    const to = (name: string, hostnames: string[], path: string, sectionName: string) =>
      httpRoute(name, {
        parents: [{ name: 'edge', sectionName }],
        hostnames,
        rules: [{ matches: [{ path: { type: 'Exact', value: path } }], backendRefs: [{ name: 'reviews', port: 80 }] }],
      });
    shop.put(
      shop.sources.httpRoutes,
      to('a', ['a.example.com', 'b.example.com'], '/1', 'web'),
      to('b', ['b.example.com'], '/2', 'web'),
      httpRoute('broken', {
        parents: [{ name: 'edge', sectionName: 'other' }],
        rules: [{ backendRefs: [{ name: 'nobody', port: 80 }] }],
      }),
    );
    const listener = shop.resource('shop/edge', 'listener', 'edge/80');
    assert.ok(listener.type === 'edge');
    const table = shop.resource('shop/edge', 'routes', listener.servers[0]?.routes ?? '');
    assert.deepEqual(
      table.hosts.map(({ domains, rules }) => [domains, rules.map(({ matches }) => matches[0]?.path?.value)]),
      [
        [['a.example.com'], ['/1']],
        [['b.example.com'], ['/1', '/2']],
      ],
    );
    const name = 'outbound|80||reviews.shop.svc.cluster.local';
    assert.equal(shop.resource('shop/edge', 'backend', name).throughWaypoint, false);
    const labels = { 'istio.io/use-waypoint': 'wp', 'istio.io/ingress-use-waypoint': 'true' };
    shop.put(shop.sources.services, service('reviews', {}, { labels }));
    assert.equal(shop.resource('shop/edge', 'backend', name).throughWaypoint, true);
    const other = shop.resource('shop/edge', 'listener', 'edge/81');
    assert.ok(other.type === 'edge');
    const broken = shop.resource('shop/edge', 'routes', other.servers[0]?.routes ?? '');
    assert.deepEqual(broken.hosts[0]?.domains, ['other.example.com']);
    const action = broken.hosts[0]?.rules[0]?.action;
    assert.ok(action?.kind === 'forward');
    assert.equal(action.destinations[0]?.target.kind === 'invalid' && action.destinations[0].target.status, 500);
    // It goes, with all that was for it alone.
    shop.remove(shop.sources.gateways, edgeGateway([]));
    assert.deepEqual(shop.names('shop/edge'), []);
  });
});
