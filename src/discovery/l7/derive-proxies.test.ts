import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gatewayClass, namespace, pod, service, serviceEntry, waypoint } from '../fixtures.ts';
import { edgeGateway, httpRoute, toGateway } from './gateway-api-fixtures.ts';
import { destinationRule, openProxyWorld, virtualService } from './fixtures.ts';

const uses = (name: string): { labels: Record<string, string> } => ({ labels: { 'istio.io/use-waypoint': name } });
const web = 'shop/web.shop.svc.cluster.local';

describe('what a waypoint is told', () => {
  it('is its settings, its listener, and of a Service the routes and backends of each port', () => {
    const world = openProxyWorld();
    const { gateways, services } = world.sources;
    world.put(gateways, waypoint('wp', { generation: 3 }));
    world.put(services, service('web', {}, uses('wp')), service('other'));
    assert.deepEqual(world.names('shop/wp'), [
      'backend/inbound-vip|80|http|web.shop.svc.cluster.local',
      'listener/mesh',
      'routes/inbound-vip|80|http|web.shop.svc.cluster.local',
      `service/${web}`,
      'settings/default',
    ]);
    const settings = world.resource('shop/wp', 'settings', 'default');
    assert.equal(settings.role, 'waypoint');
    assert.equal(settings.gateway, 'shop/wp');
    const listener = world.resource('shop/wp', 'listener', 'mesh');
    assert.ok(listener.type === 'waypoint');
    assert.deepEqual([listener.port, listener.trafficType, listener.origin.generation], [15008, 'service', 3]);
    assert.deepEqual(world.resource('shop/wp', 'service', web).ports, [
      { port: 80, protocol: 'http', routes: 'inbound-vip|80|http|web.shop.svc.cluster.local' },
    ]);
    const table = world.resource('shop/wp', 'routes', 'inbound-vip|80|http|web.shop.svc.cluster.local');
    assert.deepEqual(table.tcp, []);
    const [rule] = table.hosts[0]?.rules ?? [];
    assert.deepEqual(table.hosts[0]?.domains, ['*']);
    assert.equal(rule?.name, 'default');
    assert.deepEqual(rule.action, {
      kind: 'forward',
      destinations: [
        { weight: 1, target: { kind: 'backend', backend: 'inbound-vip|80|http|web.shop.svc.cluster.local' } },
      ],
    });
    assert.deepEqual([rule.retry?.attempts, rule.retry?.on], [2, ['reset-before-request', 'connect-failure']]);
    assert.equal(rule.timeoutMs, undefined);
    const backend = world.resource('shop/wp', 'backend', 'inbound-vip|80|http|web.shop.svc.cluster.local');
    assert.deepEqual(
      [backend.service, backend.port, backend.protocol, backend.loadBalancer.kind, backend.throughWaypoint],
      [web, 80, 'http1', 'least-request', false],
    );
  });

  it('follows the protocol of each port', () => {
    const world = openProxyWorld();
    world.put(world.sources.gateways, waypoint('wp'));
    const ports = [
      { name: 'grpc-api', port: 1 },
      { name: 'tcp-db', port: 2 },
      { name: 'x', port: 3 },
      { name: 'y', port: 4, appProtocol: 'kubernetes.io/h2c' },
      { name: 'https', port: 5 },
      { name: 'dns', port: 53 },
      { name: 'z', port: 7, protocol: 'UDP' as const },
      { name: 'http', port: 8, appProtocol: 'example.com/mine' },
      { name: 'GRPC-WEB', port: 9 },
    ];
    world.put(world.sources.services, service('web', { ports }, uses('wp')));
    const told = world.resource('shop/wp', 'service', web).ports;
    assert.deepEqual(
      told.map(({ port, protocol }) => `${port} ${protocol}`),
      ['1 grpc', '2 tcp', '3 auto', '4 http2', '5 tls', '53 tcp', '8 auto', '9 grpc-web'],
    );
    const shape = (port: number): [number, number] => {
      const table = world.resource('shop/wp', 'routes', told.find((one) => one.port === port)?.routes ?? '');
      return [table.hosts.length, table.tcp.length];
    };
    assert.deepEqual([1, 2, 3, 5].map(shape), [
      [1, 0],
      [0, 1],
      [1, 1],
      [0, 1],
    ]);
    const host = 'web.shop.svc.cluster.local';
    assert.equal(world.resource('shop/wp', 'backend', `inbound-vip|1|http|${host}`).protocol, 'http2');
    assert.equal(world.resource('shop/wp', 'backend', `inbound-vip|3|http|${host}`).protocol, 'auto');
    assert.equal(world.resource('shop/wp', 'backend', `inbound-vip|3|tcp|${host}`).protocol, 'auto');
    const grpc = world.resource('shop/wp', 'routes', `inbound-vip|1|http|${host}`).hosts[0]?.rules[0];
    assert.equal(grpc?.retry?.attempts, 0);
  });

  it('comes before its address does, and goes with it', () => {
    const world = openProxyWorld();
    const { gateways, services, namespaces } = world.sources;
    world.put(services, service('web'));
    world.put(namespaces, namespace('shop', uses('wp').labels));
    assert.deepEqual(world.names('shop/wp'), []);
    world.put(gateways, waypoint('wp', { addresses: [] }));
    assert.equal(world.names('shop/wp').length, 5);
    world.put(gateways, waypoint('wp', { addresses: [], className: 'nginx' }));
    assert.deepEqual(world.names('shop/wp'), []);
    world.put(gateways, waypoint('wp'));
    world.put(namespaces, namespace('shop'));
    assert.deepEqual(world.names('shop/wp'), ['listener/mesh', 'settings/default']);
  });

  it('is told to a canary as well, and to nobody who may not stand for the Service', () => {
    const world = openProxyWorld();
    const { gateways, services } = world.sources;
    world.put(gateways, waypoint('wp'), waypoint('next'), waypoint('foreign', { namespace: 'other' }));
    world.put(
      services,
      service('web', {}, { labels: { ...uses('wp').labels, 'istio.io/use-waypoint-canary': 'next' } }),
      service('no', {}, { labels: { ...uses('foreign').labels, 'istio.io/use-waypoint-namespace': 'other' } }),
    );
    assert.ok(world.names('shop/next').includes(`service/${web}`));
    assert.deepEqual(world.names('other/foreign'), ['listener/mesh', 'settings/default']);
  });

  it('has hosts that are resolved on request, at the port that was declared, or that of HTTPS under TLS of ours', () => {
    const world = openProxyWorld();
    world.put(world.sources.gateways, waypoint('wp'));
    const spec = {
      hosts: ['*.example.com'],
      resolution: 'DYNAMIC_DNS' as const,
      ports: [
        { number: 80, name: 'http', protocol: 'HTTP' },
        { number: 8080, name: 'other', protocol: 'HTTP', targetPort: 80 },
        { number: 443, name: 'tls', protocol: 'TLS' },
        { number: 9000, name: 'raw', protocol: 'TCP' },
      ],
    };
    world.put(world.sources.serviceEntries, serviceEntry('api', spec, uses('wp')));
    const of = (name: string): unknown => world.resource('shop/wp', 'backend', name).requestedHosts;
    assert.deepEqual(of('inbound-vip|80|http|*.example.com'), { pattern: '*.example.com', port: 80 });
    assert.deepEqual(of('inbound-vip|8080|http|*.example.com'), { pattern: '*.example.com', port: 80 });
    assert.deepEqual(of('inbound-vip|443|tcp|*.example.com'), { pattern: '*.example.com', port: 443 });
    assert.deepEqual(
      world.resource('shop/wp', 'service', 'shop/*.example.com').ports.map(({ port }) => port),
      [80, 8080, 443],
      'TCP names no host',
    );
    assert.deepEqual(
      world.resource('shop/wp', 'routes', 'inbound-vip|80|http|*.example.com').hosts.map(({ domains }) => domains),
      [['*.example.com']],
    );
    const rule =
      'host: "*.example.com"\ntrafficPolicy: { portLevelSettings: [{ port: { number: 80 }, tls: { mode: SIMPLE } }] }';
    world.put(world.sources.destinationRules, destinationRule('tls', rule));
    assert.deepEqual(of('inbound-vip|80|http|*.example.com'), { pattern: '*.example.com', port: 443 });
    assert.deepEqual(of('inbound-vip|8080|http|*.example.com'), { pattern: '*.example.com', port: 80 });
  });

  it('resolves hosts on request at a gateway, too, unless their waypoint is gone through', () => {
    const world = openProxyWorld();
    world.put(world.sources.gateways, waypoint('wp'), edgeGateway([{ name: 'http', port: 8080, protocol: 'HTTP' }]));
    const spec = {
      hosts: ['*.example.com'],
      resolution: 'DYNAMIC_DNS' as const,
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
    };
    const backendRefs = [{ group: 'networking.istio.io', kind: 'Hostname', name: '*.example.com', port: 80 }];
    world.put(world.sources.serviceEntries, serviceEntry('api', spec, uses('wp')));
    world.put(world.sources.httpRoutes, httpRoute('r', { parents: [toGateway], rules: [{ backendRefs }] }));
    const at = (gateway: string): unknown => {
      const { requestedHosts, throughWaypoint } = world.resource(gateway, 'backend', 'outbound|80||*.example.com');
      return { requestedHosts, throughWaypoint };
    };
    assert.deepEqual(at('shop/edge'), {
      requestedHosts: { pattern: '*.example.com', port: 80 },
      throughWaypoint: false,
    });
    const labels = { ...uses('wp').labels, 'istio.io/ingress-use-waypoint': 'true' };
    world.put(world.sources.serviceEntries, serviceEntry('api', spec, { labels }));
    assert.deepEqual(at('shop/edge'), { requestedHosts: undefined, throughWaypoint: true });
  });

  it('has hosts of ServiceEntries, those that are resolved nowhere to where the client wanted to go', () => {
    const world = openProxyWorld();
    world.put(world.sources.gateways, waypoint('wp'));
    const entry = serviceEntry('api', { hosts: ['*.example.com'], resolution: 'NONE' }, uses('wp'));
    world.put(world.sources.serviceEntries, entry);
    const backend = world.resource('shop/wp', 'backend', 'inbound-vip|443|tcp|*.example.com');
    assert.deepEqual(backend.loadBalancer, { kind: 'passthrough' });
    const http = serviceEntry(
      'api',
      { ...entry.spec, ports: [{ number: 80, name: 'http', protocol: 'HTTP' }] },
      uses('wp'),
    );
    world.put(world.sources.serviceEntries, http);
    const table = world.resource('shop/wp', 'routes', 'inbound-vip|80|http|*.example.com');
    assert.deepEqual(table.hosts[0]?.domains, ['*.example.com']);
  });

  it('does not change when nothing that it is told does', () => {
    const world = openProxyWorld();
    const { gateways, services } = world.sources;
    world.put(gateways, waypoint('wp'));
    world.put(services, service('web', {}, uses('wp')));
    world.proxyChanges();
    world.put(services, service('web', {}, { labels: { ...uses('wp').labels, color: 'red' } }), service('other'));
    world.put(gateways, waypoint('wp', { annotations: { touched: 'yes' } }));
    assert.deepEqual(world.proxyChanges(), []);
    const ports = [{ name: 'http', port: 81 }];
    world.put(services, service('web', { ports }, uses('wp')));
    assert.deepEqual(world.proxyChanges(), [
      'shop/wp|backend/inbound-vip|80|http|web.shop.svc.cluster.local',
      'shop/wp|backend/inbound-vip|81|http|web.shop.svc.cluster.local',
      'shop/wp|routes/inbound-vip|80|http|web.shop.svc.cluster.local',
      'shop/wp|routes/inbound-vip|81|http|web.shop.svc.cluster.local',
      `shop/wp|service/${web}`,
    ]);
  });

  it('is the same in whatever order things came', () => {
    const told = (isReversed: boolean): unknown => {
      const world = openProxyWorld();
      const { gateways, services, pods, virtualServices, destinationRules, serviceEntries } = world.sources;
      const subset = '{ host: web, subsets: [{ name: v1, labels: { version: v1 } }] }';
      const route = (host: string) =>
        `{ hosts: [${host}], http: [{ route: [{ destination: { host: web, subset: v1 } }] }] }`;
      const writes: (() => void)[] = [
        () => world.put(gateways, waypoint('wp'), waypoint('second')),
        () => world.put(services, service('web', {}, uses('wp'))),
        () => world.put(services, service('db', { ports: [{ name: 'tcp', port: 1 }] }, uses('second'))),
        () => world.put(serviceEntries, serviceEntry('api', {}, uses('wp'))),
        () => world.put(virtualServices, virtualService('a', route('web')), virtualService('b', route('web'))),
        () => world.put(destinationRules, destinationRule('a', subset), destinationRule('b', subset)),
        () => world.put(pods, pod('w-1', { labels: { app: 'web', version: 'v1' } })),
        () => world.put(pods, pod('w-2', { labels: { app: 'web', version: 'v1' }, ip: '10.244.1.3' })),
      ];
      for (const write of isReversed ? writes.toReversed() : writes) write();
      return [...world.proxyResources.entries()]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map((one) => JSON.stringify(one));
    };
    assert.deepEqual(told(true), told(false));
  });

  it('goes by the mesh configuration', () => {
    const world = openProxyWorld();
    world.put(world.sources.gateways, waypoint('wp'));
    world.put(world.sources.services, service('web', {}, uses('wp')));
    world.configureMesh({
      defaultHttpRetryPolicy: { attempts: 5, retryOn: '5xx,503', perTryTimeout: '2s' },
      defaultInboundHttpRetryPolicy: { attempts: 0 },
      pathNormalization: 'decode-and-merge-slashes',
      accessLog: { file: '/dev/stdout', format: '', encoding: 'json' },
      proxies: { numTrustedProxies: 2, tracingSamplingPercent: 50 },
      connectTimeoutMs: 3000,
    });
    const settings = world.resource('shop/wp', 'settings', 'default');
    assert.deepEqual(settings.defaultRetry, {
      attempts: 5,
      perTryTimeoutMs: 2000,
      on: ['5xx', 'retriable-status-codes'],
      statusCodes: [503],
      backoffBaseMs: 25,
      backoffMaxMs: 250,
      avoidsPreviousHosts: true,
      remoteLocalities: false,
    });
    assert.equal(settings.pathNormalization, 'decode-and-merge-slashes');
    assert.deepEqual(settings.accessLog, { kind: 'json', template: '' });
    assert.deepEqual([settings.numTrustedProxies, settings.tracingSamplingPercent], [2, 50]);
    const table = world.resource('shop/wp', 'routes', 'inbound-vip|80|http|web.shop.svc.cluster.local');
    assert.equal(table.hosts[0]?.rules[0]?.retry?.attempts, 0);
    const backend = world.resource('shop/wp', 'backend', 'inbound-vip|80|http|web.shop.svc.cluster.local');
    assert.equal(backend.connectionPool.connectTimeoutMs, 3000);
  });

  it('is told to gateways of classes whose controller is ours', () => {
    const world = openProxyWorld();
    world.put(world.sources.gatewayClasses, gatewayClass('special', 'istio.io/mesh-controller'));
    world.put(
      world.sources.gateways,
      waypoint('wp', { className: 'special' }),
      waypoint('edge', { className: 'istio' }),
    );
    assert.ok(world.names('shop/wp').includes('listener/mesh'));
    assert.equal(world.resource('shop/edge', 'settings', 'default').role, 'gateway');
  });
});
