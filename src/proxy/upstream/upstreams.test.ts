import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { backendOf, endpoint, Heard, requestHead, testUpstreams, upstreamRequest, web } from './upstream-fixtures.ts';

describe('requests over sockets', () => {
  let server: Server;
  let port: number;
  let connections = 0;
  before(async () => {
    server = createServer((request, response) => {
      const { remotePort } = request.socket;
      request.on('data', () => {});
      request.on('end', () => response.end(`${request.method} ${request.url} ${remotePort}`));
    });
    server.on('connection', () => connections++);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  test('are answered, one after the other, on one connection', async () => {
    const service = { ...web, ports: [{ servicePort: 80, targetPort: port, appProtocol: 'http11' as const }] };
    const { upstreams, configure } = testUpstreams([service, endpoint('a', '127.0.0.1')]);
    configure(backendOf());
    const before = connections;
    for (const path of ['/one', '/two']) {
      const heard = new Heard();
      upstreams.open('web', upstreamRequest({ head: requestHead(path) }), heard);
      assert.equal(await heard.closed, undefined);
      assert.equal(heard.head?.status, 200);
      assert.match(heard.body, new RegExp(`^GET ${path} `));
      assert.equal(heard.hosts[0]?.address, '127.0.0.1');
    }
    assert.equal(connections, before + 1);
    assert.deepEqual(
      upstreams.describe().map(({ name, connections: open, activeRequests }) => [name, open, activeRequests]),
      [['web', 1, 0]],
    );
    upstreams.close();
  });
});
