/** HBONE against a foreign HTTP/2 implementation (node:http2), both roles, over TLS. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import * as http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, it } from 'node:test';
import tls from 'node:tls';
import { writeResult } from '../net/channel.ts';
import { dial, listen, tlsChannel } from '../net/index.ts';
import { createHbonePool, type PoolKey, serveHbone } from './index.ts';

const pem = readFileSync(new URL('../net/channel.test.pem', import.meta.url), 'utf8');
const key: PoolKey = { id: 'a' };

describe('HBONE against node:http2', () => {
  it('opens tunnels to a foreign server, is refused by it, and half-closes', { timeout: 20_000 }, async () => {
    const server = http2.createSecureServer({ cert: pem, key: pem });
    server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      if (headers[':authority'] === '10.0.0.1:81') return stream.respond({ ':status': 401 }, { endStream: true });
      stream.respond({ ':status': 200, baggage: 'service.name=foreign' });
      return stream.pipe(stream);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const pool = createHbonePool<PoolKey>({
      async dial() {
        const socket = await dial({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, timeoutMs: 2000 });
        const secure = tls.connect({ socket, rejectUnauthorized: false, ALPNProtocols: ['h2'] });
        await once(secure, 'secureConnect');
        return tlsChannel(secure);
      },
    });
    const sent = randomBytes(2_000_000);
    const tunnel = await pool.connect(key, { authority: '10.0.0.1:80' });
    assert.equal(tunnel.responseHeaders.get('baggage'), 'service.name=foreign');
    const received: Buffer[] = [];
    await new Promise<void>((resolve, reject) => {
      tunnel.read({
        onData: (bytes) => (received.push(Buffer.from(bytes)), tunnel.credit(bytes.length), false),
        onEnd() {},
        onDrain: () => tunnel.end(),
        onClose: (error) => (error ? reject(error) : resolve()),
      });
      assert.equal(tunnel.write(sent), writeResult.full);
    });
    assert.ok(Buffer.concat(received).equals(sent));
    await assert.rejects(pool.connect(key, { authority: '10.0.0.1:81' }), { code: 'hbone.refused', status: 401 });
    assert.equal(pool.stats.connections, 1);
    pool.close();
    server.close();
    await once(server, 'close');
  });

  it('serves tunnels to a foreign client and half-closes', { timeout: 20_000 }, async () => {
    const listener = await listen({
      host: '127.0.0.1',
      port: 0,
      onConnection({ socket }) {
        const secure = new tls.TLSSocket(socket, { isServer: true, cert: pem, key: pem, ALPNProtocols: ['h2'] });
        secure.once('secure', () => {
          serveHbone(tlsChannel(secure), {
            onConnect(request) {
              if (request.authority === '10.0.0.1:81') return request.refuse(503);
              const tunnel = request.accept();
              return tunnel.read({
                neverKeeps: true,
                onData: (bytes) => (tunnel.write(bytes), tunnel.credit(bytes.length), false),
                onEnd: () => tunnel.end(),
                onDrain() {},
                onClose() {},
              });
            },
          });
        });
      },
    });
    const client = http2.connect(`https://127.0.0.1:${listener.address.port}`, { rejectUnauthorized: false });
    const tunnel = client.request({ ':method': 'CONNECT', ':authority': '10.0.0.1:80' });
    const sent = randomBytes(2_000_000);
    tunnel.end(sent);
    const [head] = (await once(tunnel, 'response')) as [http2.IncomingHttpHeaders & { ':status': number }];
    assert.equal(head[':status'], 200);
    const received: Buffer[] = [];
    for await (const chunk of tunnel) received.push(chunk as Buffer);
    assert.ok(Buffer.concat(received).equals(sent));
    const refused = client.request({ ':method': 'CONNECT', ':authority': '10.0.0.1:81' });
    const [answer] = (await once(refused, 'response')) as [http2.IncomingHttpHeaders & { ':status': number }];
    assert.equal(answer[':status'], 503);
    client.close();
    await once(client, 'close');
    await listener.close();
  });
});
