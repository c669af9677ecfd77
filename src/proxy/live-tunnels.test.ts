/** WebSockets through a whole gateway, and what becomes of them when policies change: real servers, clients and authorizers. */
import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { freePort } from '../../test/support/free-port.ts';
import { eventually } from '../../test/support/run.ts';
import type { HttpAuthorization, Provider, ProxyResource } from '../api/l7/index.ts';
import type { SpiffeId } from '../api/names.ts';
import { serviceKey } from '../api/names.ts';
import { systemClock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { defaultNetwork, meshService, meshWorkload } from '../mesh/fixtures.ts';
import { MeshState } from '../mesh/index.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { encodeProxyResource, proxyResourceName } from '../wire/index.ts';
import { authorizerProvider, customPolicy } from './filters/ext-authz/authorizer-fixtures.ts';
import { placeFor } from './filters/filter-fixtures.ts';
import { filterKinds } from './filters/index.ts';
import { createProxy, type Proxy } from './proxy.ts';
import { startWebSocket, type TestServer } from './upstream/test-servers.ts';
import { backendOf } from './upstream/upstream-fixtures.ts';
import { createUpstreams } from './upstream/upstreams.ts';
import type { Upstreams } from './upstream/upstream.ts';

const origin = { kind: 'Gateway', namespace: 'shop', name: 'edge', generation: 1 };
const noPolicies = { authorization: [], authentication: [], rateLimits: [], telemetry: [], extensions: [] };
const keyOf = (name: string): ReturnType<typeof serviceKey> => serviceKey('shop', `${name}.shop.svc.cluster.local`);

/** Lets those pass who say `x-let-me: in`. */
interface Authorizer extends Disposable {
  readonly port: number;
  readonly asked: IncomingHttpHeaders[];
}

async function startAuthorizer(): Promise<Authorizer> {
  const asked: IncomingHttpHeaders[] = [];
  const server: Server = createServer(({ headers }, response) => {
    asked.push(headers);
    response.writeHead(headers['x-let-me'] === 'in' ? 200 : 403).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

interface Client {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  /** What is echoed; "" when the tunnel has ended. */
  echo(text: string): Promise<string>;
}

describe('a WebSocket that lives when policies change', () => {
  let app: TestServer;
  let authorizers: [Authorizer, Authorizer];
  let upstreams: Upstreams;
  let proxy: Proxy;
  let port: number;
  let generation = 0;
  const sockets: Socket[] = [];

  before(async () => {
    app = await startWebSocket();
    authorizers = [await startAuthorizer(), await startAuthorizer()];
    const mesh = new MeshState();
    const servers = { web: app.port, 'authz-a': authorizers[0].port, 'authz-b': authorizers[1].port };
    for (const [name, targetPort] of Object.entries(servers)) {
      const ports = [{ servicePort: 80, targetPort, appProtocol: 'http11' as const }];
      const hostname = `${name}.shop.svc.cluster.local`;
      const service = meshService({ name, hostname, addresses: [{ network: defaultNetwork, ip: '10.96.0.9' }], ports });
      const workload = meshWorkload({
        name: `${name}-1`,
        addresses: ['127.0.0.1'],
        tunnelProtocol: 'none',
        services: new Map([[keyOf(name), ports]]),
      });
      mesh.applyAddresses({
        updated: [
          { kind: 'service', service },
          { kind: 'workload', workload },
        ],
        removed: [],
      });
    }
    const [clock, log, network] = [systemClock, silentLog(), defaultNetwork];
    const identity = 'spiffe://cluster.local/ns/shop/sa/edge' as SpiffeId;
    const certificate = (): Promise<never> => Promise.reject(new Error('a gateway needs none here'));
    upstreams = createUpstreams({
      mesh,
      clock,
      log,
      random: Math.random,
      own: () => undefined,
      address: '127.0.0.1',
      network,
      identity,
      certificates: { certificate, onRotate: () => () => {} },
      resolve: () => Promise.reject(new Error('there are no names')),
    });
    const ready = Promise.withResolvers<void>();
    proxy = createProxy({
      services: { clock, log, mesh, metrics: new MetricsRegistry({ clock, log }), random: Math.random, upstreams },
      filters: filterKinds,
      identity,
      own: () => undefined,
      certificate,
      host: '127.0.0.1',
      onReady: (isReady) => isReady && ready.resolve(),
    });
    port = await freePort();
    configure();
    await ready.promise;
  });
  beforeEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await eventually(async () => proxy.connections === 0, 'those of the test before are gone');
    configure();
    for (const { asked } of authorizers) asked.length = 0;
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    await proxy?.drain({ lingerMs: 0, deadlineMs: 0 });
    for (const one of authorizers ?? []) one[Symbol.dispose]();
    await app?.[Symbol.asyncDispose]();
  });

  /** The configuration of now. */
  function configure(policies: readonly HttpAuthorization[] = [], providers: readonly Provider[] = []): void {
    const { settings } = placeFor({}).snapshot;
    const backends = ['web', 'authz-a', 'authz-b'].map((name) =>
      backendOf({ name, service: keyOf(name), hostname: `${name}.shop.svc.cluster.local`, protocol: 'http1' }),
    );
    const destinations = [{ weight: 1, target: { kind: 'backend', backend: 'web' } as const }];
    const rules = [{ name: 'chat', origin, matches: [], action: { kind: 'forward', destinations } as const }];
    const resources: ProxyResource[] = [
      { ...settings, role: 'gateway', gateway: 'shop/edge' },
      ...backends,
      ...providers,
      ...policies,
      { kind: 'routes', name: 'edge', hosts: [{ domains: ['*'], rules }], tls: [], tcp: [] },
      {
        kind: 'listener',
        type: 'edge',
        name: 'edge/80',
        port,
        policies: { ...noPolicies, authorization: policies.map(({ name }) => name) },
        servers: [{ name: 'http', protocol: 'http', hostname: '*', routes: 'edge', policies: noPolicies, origin }],
        origin,
      },
    ];
    const before = told;
    told = new Set(resources.map(proxyResourceName));
    const { rejected } = proxy.feed.apply({
      added: resources.map((resource) => ({
        name: proxyResourceName(resource),
        version: String(++generation),
        body: encodeProxyResource(resource),
      })),
      removed: [...before].filter((name) => !told.has(name)),
    });
    assert.deepEqual(rejected, []);
  }
  let told: ReadonlySet<string> = new Set();

  async function open(headers: Readonly<Record<string, string>> = {}): Promise<Client> {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    socket.on('error', () => {});
    const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
    const heard = (): Promise<string> =>
      Promise.race([
        new Promise<string>((resolve) => void socket.once('data', (data) => resolve(String(data)))),
        closed.then(() => ''),
      ]);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(
      `GET /chat HTTP/1.1\r\nHost: web\r\nConnection: upgrade\r\nUpgrade: websocket\r\n${lines.join('')}\r\n`,
    );
    assert.match(await heard(), /^HTTP\/1\.1 101 /);
    return {
      socket,
      closed,
      echo(text) {
        const answer = heard();
        socket.write(text);
        return answer;
      },
    };
  }

  const provider = (backend: string): Provider => ({
    ...authorizerProvider({ includeHeaders: ['x-let-me'] }),
    backend,
  });
  const ask = customPolicy();
  const deny = customPolicy({ name: 'shop/deny', action: 'deny' });

  it('ends when the authorizer that a new policy asks denies it, and goes on when that allows it', async () => {
    const stranger = await open();
    const friend = await open({ 'x-let-me': 'in', authorization: 'Bearer own' });
    configure([ask], [provider('authz-a')]);
    await stranger.closed;
    assert.equal(await friend.echo('still'), 'echo still');
    const [{ asked }] = authorizers;
    await eventually(async () => asked.length === 2, 'both are asked about');
    assert.deepEqual(
      new Set(asked.map(({ authorization }) => authorization)),
      new Set([undefined, 'Bearer own']),
      'as they came',
    );
  });

  it('is not asked about again when something else changes, but when the provider leads elsewhere', async () => {
    const [first, second] = authorizers;
    configure([ask], [provider('authz-a')]);
    const friend = await open({ 'x-let-me': 'in' });
    assert.equal(first.asked.length, 1);
    configure([ask, customPolicy({ name: 'shop/other', rules: [] })], [provider('authz-a')]);
    assert.equal(await friend.echo('again'), 'echo again');
    // Another one, whose question would come behind.
    await open({ 'x-let-me': 'in' });
    assert.equal(first.asked.length, 2);
    configure([ask], [provider('authz-b')]);
    await eventually(async () => second.asked.length === 2, 'the new one is asked about both');
    assert.equal(await friend.echo('still'), 'echo still');
  });

  it('ends when nobody can be asked, or when it is denied', async () => {
    const [first, second] = [await open({ 'x-let-me': 'in' }), await open()];
    configure([ask], []);
    await Promise.all([first.closed, second.closed]);
    configure();
    const third = await open({ 'x-let-me': 'in' });
    configure([deny]);
    await third.closed;
  });
});
