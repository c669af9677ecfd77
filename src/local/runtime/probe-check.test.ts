import { deepEqual, match, ok } from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { test } from 'node:test';
import type { Probe } from '../../api/index.ts';
import { checkProbe, success, type ProbeOutcome } from './probe-check.ts';

async function probing(server: Server, probe: (port: number) => Probe): Promise<ProbeOutcome> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await checkProbe(probe((server.address() as AddressInfo).port), {
      container: { name: 'main' },
      podIp: '127.0.0.1',
      exec: () => Promise.reject(new Error('nothing is to be run')),
    });
  } finally {
    server.close();
  }
}

const answer: RequestListener = (request, response) => {
  response.statusCode = request.url === '/healthz' && request.headers['x-probe'] === 'yes' ? 204 : 503;
  response.end();
};

test('an HTTP probe asks as it is told, and believes the status', async () => {
  const httpHeaders = [{ name: 'X-Probe', value: 'yes' }];
  deepEqual(
    await probing(createServer(answer), (port) => ({ httpGet: { port, path: '/healthz', httpHeaders } })),
    success,
  );
  const { ok: isOk, message } = await probing(createServer(answer), (port) => ({ httpGet: { port } }));
  ok(!isOk);
  match(message, /statuscode: 503/);
});

test('a header that cannot be sent fails the probe', async () => {
  const httpHeaders = [{ name: 'X-Probe', value: 'a\nb' }];
  const { message } = await probing(createServer(answer), (port) => ({ httpGet: { port, httpHeaders } }));
  match(message, /Invalid character in header/);
});

test('a server that does not answer is not waited for', async () => {
  const silent = createServer(() => {});
  const { message } = await probing(silent, (port) => ({ httpGet: { port }, timeoutSeconds: 0.05 }));
  match(message, /no answer within 50 ms/);
});

test('a TLS server is believed without a certificate of anybody', async () => {
  // Without a certificate of its own it refuses the handshake, which only one that began can show.
  const { ok: isOk, message } = await probing(createTlsServer(answer), (port) => ({
    httpGet: { port, scheme: 'HTTPS' },
  }));
  ok(!isOk);
  match(message, /handshake failure|alert/i);
});

test('a gRPC server serves when it says so', async () => {
  const server = createHttp2Server();
  server.on('stream', (stream: ServerHttp2Stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.end(Buffer.from([0, 0, 0, 0, 2, 0x08, 1]));
  });
  deepEqual(await probing(server, (port) => ({ grpc: { port } })), success);
});

test('a TCP probe wants a connection', async () => {
  deepEqual(await probing(createServer(answer), (port) => ({ tcpSocket: { port } })), success);
  const { message } = await probing(createServer(answer), () => ({ tcpSocket: { port: 1 } }));
  match(message, /refused/i);
});
