import assert from 'node:assert/strict';
import { createServer as createPlainServer, type AddressInfo } from 'node:net';
import { before, describe, test } from 'node:test';
import { createTestAuthority, type TestAuthority } from '../../../test/support/certificates.ts';
import type { Backend, TlsSecret, UpstreamTls } from '../../api/l7/index.ts';
import type { MeshService, ServicePort } from '../../api/workload.ts';
import type { RequestHead } from '../../http/message.ts';
import { encodeProxyHeader } from '../../net/index.ts';
import { startEcho, startHttp, startHttps } from './test-servers.ts';
import {
  backendOf,
  endpoint,
  Heard,
  requestHead,
  testUpstreams,
  upstreamRequest,
  web,
  type TestUpstreams,
} from './upstream-fixtures.ts';
import type { UpstreamClient, UpstreamConnection } from './upstream.ts';

function serviceAt(...ports: number[]): MeshService {
  return {
    ...web,
    ports: ports.map((targetPort): ServicePort => ({ servicePort: 80, targetPort, appProtocol: 'tcp' })),
  };
}

function upstreamsTo(port: number, backend: Partial<Backend>, secrets: readonly TlsSecret[] = []): TestUpstreams {
  const tested = testUpstreams([serviceAt(port), endpoint('a', '127.0.0.1')]);
  tested.upstreams.apply(
    new Map([['web', backendOf(backend)]]),
    new Map(secrets.map((secret) => [secret.name, secret])),
  );
  return tested;
}

async function ask(
  { upstreams }: TestUpstreams,
  head: Partial<RequestHead> = {},
  client?: UpstreamClient,
): Promise<Heard> {
  const heard = new Heard();
  upstreams.open('web', upstreamRequest({ head: requestHead('/', head), ...(client ? { client } : {}) }), heard);
  await heard.closed;
  return heard;
}

describe('TLS to the application', () => {
  let authority: TestAuthority;
  let server: { readonly cert: string; readonly key: string };
  let ca: TlsSecret;
  before(async () => {
    authority = await createTestAuthority();
    const { chainPem, keyPem } = await authority.signServer({
      dnsNames: ['web.shop', '*.example.com'],
      ips: ['127.0.0.1'],
    });
    server = { cert: chainPem, key: keyPem };
    ca = { kind: 'secret', name: 'shop/ca', caCertificates: authority.rootPem };
  });
  const simple = (more: Partial<UpstreamTls> = {}): UpstreamTls => ({
    mode: 'simple',
    subjectAltNames: [],
    ca: { kind: 'secret', secret: 'shop/ca' },
    ...more,
  });

  test('asks for the configured name, and takes the server for it alone', async () => {
    await using app = await startHttps(server);
    const right = upstreamsTo(app.port, { tls: simple({ sni: 'api.example.com' }) }, [ca]);
    assert.equal((await ask(right)).body, '1.1 api.example.com nobody');
    right.upstreams.close();
    const wrong = upstreamsTo(app.port, { tls: simple({ sni: 'other.shop' }) }, [ca]);
    const { failure } = await ask(wrong);
    assert.deepEqual([failure?.kind, failure?.sent], ['connect-failure', 'no']);
    assert.match(failure?.message ?? '', /the server is "DNS:web\.shop, .*", expected other\.shop/);
    wrong.upstreams.close();
  });

  test('asks for the name of the request where none is configured: no connection serves two names', async () => {
    await using app = await startHttps(server);
    const tested = upstreamsTo(app.port, { tls: simple() }, [ca]);
    assert.equal((await ask(tested, { authority: 'a.example.com:8443' })).body, '1.1 a.example.com nobody');
    assert.equal((await ask(tested, { authority: 'B.example.com' })).body, '1.1 b.example.com nobody');
    assert.equal((await ask(tested, { authority: 'a.example.com' })).body, '1.1 a.example.com nobody');
    assert.equal(app.connections, 2);
    assert.equal((await ask(tested, { authority: 'shop.example.org' })).failure?.kind, 'connect-failure');
    tested.upstreams.close();
  });

  test('asks for no name where the request has none, and takes the server by its address', async () => {
    await using app = await startHttps(server);
    const tested = upstreamsTo(app.port, { tls: simple() }, [ca]);
    assert.equal((await ask(tested, { authority: '192.0.2.1' })).body, '1.1 false nobody');
    tested.upstreams.close();
  });

  test('takes the server by any of the names that are listed', async () => {
    await using app = await startHttps(server);
    const names = (...subjectAltNames: string[]): Partial<Backend> => ({ tls: simple({ sni: 'x', subjectAltNames }) });
    const right = upstreamsTo(app.port, names('nobody.shop', 'web.shop'), [ca]);
    assert.equal((await ask(right)).head?.status, 200);
    right.upstreams.close();
    const wrong = upstreamsTo(app.port, names('spiffe://cluster.local/ns/shop/sa/web'), [ca]);
    assert.equal((await ask(wrong)).failure?.kind, 'connect-failure');
    wrong.upstreams.close();
    const leaf = await authority.certificate('shop/web');
    const key = leaf.key.export({ type: 'pkcs8', format: 'pem' });
    await using spiffe = await startHttps({ cert: leaf.chainPem.join(''), key });
    const uri = upstreamsTo(spiffe.port, names('spiffe://cluster.local/ns/shop/sa/web'), [ca]);
    assert.equal((await ask(uri)).head?.status, 200);
    uri.upstreams.close();
  });

  test('refuses a server of another authority, unless nobody is to be asked', async () => {
    await using app = await startHttps(server);
    const other = await createTestAuthority();
    const wrong = upstreamsTo(app.port, { tls: simple({ sni: 'web.shop' }) }, [
      { ...ca, caCertificates: other.rootPem },
    ]);
    assert.equal((await ask(wrong)).failure?.kind, 'connect-failure');
    wrong.upstreams.close();
    const blind = upstreamsTo(app.port, { tls: simple({ sni: 'any', ca: { kind: 'none' } }) });
    assert.equal((await ask(blind)).head?.status, 200);
    blind.upstreams.close();
  });

  test('says of a server without TLS that it has none', async () => {
    const app = createPlainServer(
      (socket) =>
        void socket
          .on('error', () => {})
          .resume()
          .end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    );
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    const tested = upstreamsTo((app.address() as AddressInfo).port, { tls: simple({ sni: 'web.shop' }) }, [ca]);
    assert.match(
      (await ask(tested)).failure?.message ?? '',
      /Cannot finish the TLS handshake with web.shop: the server speaks no TLS$/,
    );
    tested.upstreams.close();
    await new Promise((resolve) => app.close(resolve));
  });

  test('shows our certificate where that is asked for', async () => {
    await using app = await startHttps({
      ...server,
      ca: authority.rootPem,
      requestCert: true,
      rejectUnauthorized: true,
    });
    const own = await authority.certificate('shop/gateway');
    const secret: TlsSecret = {
      kind: 'secret',
      name: 'shop/own',
      certificateChain: own.chainPem.join(''),
      privateKey: own.key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    };
    const tls = simple({ mode: 'mutual', sni: 'web.shop', clientCertificate: 'shop/own' });
    const tested = upstreamsTo(app.port, { tls }, [ca, secret]);
    assert.equal((await ask(tested)).body, '1.1 web.shop URI:spiffe://cluster.local/ns/shop/sa/gateway');
    tested.upstreams.close();
  });

  test('says which secret it lacks', async () => {
    await using app = await startHttps(server);
    const tested = upstreamsTo(app.port, { tls: simple({ clientCertificate: 'shop/own' }) }, [ca]);
    const { failure } = await ask(tested);
    assert.equal(failure?.message, 'Cannot use TLS to the backend: there is no secret "shop/own"');
    assert.equal(app.connections, 0);
    tested.upstreams.close();
  });

  test('offers the version that is spoken', async () => {
    await using app = await startHttps(server);
    const tested = upstreamsTo(app.port, { tls: simple({ sni: 'web.shop' }) }, [ca]);
    assert.equal((await ask(tested, { version: 'http/2' })).body, '2.0 web.shop nobody');
    assert.equal((await ask(tested)).body, '1.1 web.shop nobody');
    tested.upstreams.close();
  });

  test('takes up a secret that changed with its next connection', async () => {
    await using app = await startHttps(server);
    const backend = backendOf({ tls: simple({ sni: 'web.shop' }) });
    const tested = upstreamsTo(app.port, backend, [ca]);
    await ask(tested);
    tested.upstreams.apply(new Map([['web', backend]]), new Map([['shop/ca', { ...ca }]]));
    assert.equal((await ask(tested)).head?.status, 200);
    assert.equal(app.connections, 1);
    const other = await createTestAuthority();
    const changed = { ...ca, caCertificates: other.rootPem };
    tested.upstreams.apply(new Map([['web', backend]]), new Map([['shop/ca', changed]]));
    assert.equal((await ask(tested)).failure?.kind, 'connect-failure');
    tested.upstreams.close();
  });
});

describe('the PROXY protocol', () => {
  const client = (port: number): UpstreamClient => ({
    address: '10.244.0.9',
    port,
    destination: { address: '10.96.0.10', port: 80 },
  });

  /** What comes before the request. */
  function headerOf(version: 'v1' | 'v2', port: number): string {
    if (version === 'v1') return `PROXY TCP4 10.244.0.9 10.96.0.10 ${port} 80\r\n`;
    const header = encodeProxyHeader({
      source: { address: '10.244.0.9', port },
      destination: { address: '10.96.0.10', port: 80 },
    });
    return Buffer.from(header).toString('latin1');
  }

  for (const version of ['v1', 'v2'] as const) {
    test(`${version} tells who the client is, on a connection of that client's own`, async () => {
      const heads: string[] = [];
      await using app = await startEcho((socket) => {
        socket.on('data', (chunk: Buffer) => {
          heads.push(chunk.toString('latin1'));
          socket.write('HTTP/1.1 204 No Content\r\n\r\n');
        });
      });
      const tested = upstreamsTo(app.port, { proxyProtocol: version });
      for (const port of [40_000, 40_001, 40_000])
        assert.equal((await ask(tested, {}, client(port))).head?.status, 204);
      assert.equal(app.connections, 2);
      for (const [i, port] of [40_000, 40_001].entries()) {
        assert.ok(heads[i]?.startsWith(`${headerOf(version, port)}GET /`), heads[i] ?? 'nothing');
      }
      assert.match(heads[2] ?? '', /^GET /);
      tested.upstreams.close();
    });
  }
});

describe('connections for raw bytes', () => {
  const client: UpstreamClient = { address: '10.244.0.9', port: 1, destination: { address: '10.96.0.10', port: 80 } };
  const signal = new AbortController().signal;

  function exchange({ channel }: UpstreamConnection, text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let heard = '';
      channel.read({
        onData(bytes) {
          heard += Buffer.from(bytes).toString();
          return false;
        },
        onEnd() {},
        onDrain() {},
        onClose: (error) => (error ? reject(error) : resolve(heard)),
      });
      channel.write(Buffer.from(text));
      channel.end();
    });
  }

  test('carry them both ways, and are counted for as long as they live', async () => {
    await using app = await startEcho();
    const tested = upstreamsTo(app.port, { protocol: 'tcp' });
    const connection = await tested.upstreams.connect('web', client, signal);
    const counts = (): (number | undefined)[] => {
      const [status] = tested.upstreams.describe();
      return [status?.connections, status?.hosts[0]?.connections, status?.hosts[0]?.activeRequests];
    };
    assert.deepEqual(counts(), [1, 1, 1]);
    assert.match(connection.host.localAddress ?? '', /^127\.0\.0\.1:\d+$/);
    assert.equal(await exchange(connection, 'hello'), 'hello');
    assert.deepEqual(counts(), [0, 0, 0]);
    tested.upstreams.close();
  });

  test('go to another host where one cannot be reached', async () => {
    await using app = await startEcho();
    const tested = testUpstreams([serviceAt(app.port), endpoint('a', '127.0.0.2'), endpoint('b', '127.0.0.1')]);
    tested.configure(backendOf({ protocol: 'tcp' }));
    const connection = await tested.upstreams.connect('web', client, signal);
    assert.equal(connection.host.workload?.name, 'b');
    assert.equal(await exchange(connection, 'x'), 'x');
    tested.upstreams.close();
  });

  test('fail with why', async () => {
    const tested = testUpstreams([serviceAt(1), endpoint('a', '127.0.0.1')]);
    tested.configure(backendOf({ connectionPool: { connectTimeoutMs: 1000, idleTimeoutMs: 0, maxConnections: 0 } }));
    const why = (name: string): Promise<unknown> =>
      tested.upstreams.connect(name, client, signal).then(
        () => 'connected',
        (error: unknown) => (error as { failure?: { kind: string; flag: string } }).failure,
      );
    assert.deepEqual(await why('none').then((failure) => (failure as { kind: string }).kind), 'no-backend');
    assert.deepEqual(await why('web').then((failure) => (failure as { kind: string }).kind), 'overflow');
    tested.configure(backendOf());
    assert.deepEqual(await why('web').then((failure) => (failure as { kind: string }).kind), 'connect-failure');
    tested.upstreams.close();
  });

  test('end when nothing passes, and when they are old', async () => {
    await using app = await startEcho();
    for (const [limits, aliveMs, lastMs] of [
      // Active in each of the first times; what passed counts until somebody looks.
      [{ idleTimeoutMs: 60_000 }, [59_000, 59_000, 59_000], 62_000],
      [{ idleTimeoutMs: 0, maxConnectionDurationMs: 100_000 }, [60_000, 39_999], 1],
    ] as const) {
      const connectionPool = { connectTimeoutMs: 10_000, ...limits };
      const tested = upstreamsTo(app.port, { protocol: 'tcp', connectionPool });
      const { channel } = await tested.upstreams.connect('web', client, signal);
      const closed = new Promise<Error | undefined>((resolve) =>
        channel.read({ onData: () => false, onEnd() {}, onDrain() {}, onClose: resolve }),
      );
      const connections = (): number | undefined => tested.upstreams.describe()[0]?.connections;
      for (const waitMs of aliveMs) {
        channel.write(Buffer.from('x'));
        tested.clock.advance(waitMs);
        assert.equal(connections(), 1);
      }
      tested.clock.advance(lastMs);
      assert.equal(connections(), 0);
      assert.match((await closed)?.message ?? '', /^Connection was ended: /);
      assert.equal(tested.clock.pending, 0);
      tested.upstreams.close();
    }
  });

  test('that nobody reads are forgotten when they are reset', async () => {
    await using app = await startEcho();
    const tested = upstreamsTo(app.port, { protocol: 'tcp' });
    const { channel } = await tested.upstreams.connect('web', client, signal);
    channel.reset();
    channel.reset();
    assert.equal(tested.upstreams.describe()[0]?.connections, 0);
    tested.upstreams.close();
  });
});

test('a workload that is known by name is resolved when it is dialled', async () => {
  await using app = await startHttp();
  const asked: string[] = [];
  const named = endpoint('a', '', { addresses: [], hostname: 'api.example.com' });
  const tested = testUpstreams([serviceAt(app.port), named], {
    resolve(hostname) {
      asked.push(hostname);
      return asked.length === 1 ? Promise.reject(new Error('Cannot resolve')) : Promise.resolve('127.0.0.1');
    },
  });
  tested.configure(backendOf());
  const failed = await ask(tested);
  assert.equal(failed.failure?.kind, 'connect-failure');
  assert.equal(failed.hosts[0]?.address, 'api.example.com');
  const heard = await ask(tested);
  assert.equal(heard.body, 'GET /');
  assert.equal(heard.hosts.at(-1)?.address, '127.0.0.1');
  assert.deepEqual(asked, ['api.example.com', 'api.example.com']);
  tested.upstreams.close();
});
