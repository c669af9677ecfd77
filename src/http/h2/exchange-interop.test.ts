import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { WebSocketServer, type WebSocket } from 'ws';
import { dial } from '../../net/dial.ts';
import { tcpChannel } from '../../net/tcp-channel.ts';
import { writeResult } from '../../net/channel.ts';
import { createHttp1Client } from '../h1/index.ts';
import type { ClientConnection, ClientExchange, ServerExchange } from '../message.ts';
import { createHttp2Client, serveHttp2 } from './index.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** node:http2's client on our server. */
async function openNodeClient(onRequest: (exchange: ServerExchange) => void): Promise<{
  readonly client: http2.ClientHttp2Session;
  readonly close: () => Promise<void>;
}> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    serveHttp2(tcpChannel(socket), { listener: { onRequest }, limits: { extendedConnect: true } });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await once(client, 'remoteSettings');
  return {
    client,
    async close() {
      client.close();
      await once(client, 'close');
      server.close();
      await once(server, 'close');
    },
  };
}

/** Our client, ready. */
async function openClient(port: number): Promise<{ client: ClientConnection; closed: Promise<void> }> {
  const socket = await dial({ host: '127.0.0.1', port, timeoutMs: 2_000 });
  const ready = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const client = createHttp2Client(tcpChannel(socket), {
    listener: { onChange: () => client.canOpen && ready.resolve(), onClose: () => over.resolve() },
  });
  await ready.promise;
  return { client, closed: over.promise };
}

/** Carries an exchange on to `client`, both ways, as a proxy does. */
function forward(exchange: ServerExchange, client: ClientConnection, onUpload?: (byteCount: number) => void): void {
  let owedUp = 0;
  let owedDown = 0;
  const upstream: ClientExchange = client.request(exchange.request, exchange.bodyLength === 0, {
    onInformational: (head) => exchange.sendInformational(head),
    onResponse: (head, ends) => exchange.respond(head, ends),
    onData(bytes) {
      if (exchange.write(bytes) === writeResult.done) upstream.credit(bytes.length);
      else owedDown += bytes.length;
    },
    onEnd: (trailers) => exchange.end(trailers),
    onDrain() {
      exchange.credit(owedUp);
      owedUp = 0;
    },
    onClose: (error) => error && exchange.reset(error),
  });
  exchange.read({
    onData(bytes) {
      onUpload?.(bytes.length);
      if (upstream.write(bytes) === writeResult.done) exchange.credit(bytes.length);
      else owedUp += bytes.length;
    },
    onEnd: (trailers) => upstream.end(trailers),
    onDrain() {
      upstream.credit(owedDown);
      owedDown = 0;
    },
    onClose: (error) => error && upstream.reset(error),
  });
}

describe('HTTP/2 exchanges between node:http2 ends', () => {
  it('carry bodies, trailers and early hints, byte for byte, 40 at once over one connection', async () => {
    const origin = http2.createServer();
    origin.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      stream.additionalHeaders({ ':status': 103, link: 'x' });
      stream.respond(
        { ':status': 201, 'x-path': headers[':path'], 'x-cookie': headers.cookie },
        { waitForTrailers: true },
      );
      let trailer = 'none';
      stream.on('trailers', (trailers: http2.IncomingHttpHeaders) => (trailer = String(trailers['x-sum'])));
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-got': trailer }));
      stream.pipe(stream);
    });
    await once(origin.listen(0, '127.0.0.1'), 'listening');
    const { client: upstream, closed } = await openClient((origin.address() as AddressInfo).port);
    const { client, close } = await openNodeClient((exchange) => forward(exchange, upstream));
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const body = randomBytes(i * 6_000);
        const request = client.request(
          { ':method': 'POST', ':path': `/${i}`, cookie: ['a=1', 'b=2'] },
          { waitForTrailers: true },
        );
        request.on('wantTrailers', () => request.sendTrailers({ 'x-sum': String(i) }));
        let hints = 0;
        let head: http2.IncomingHttpHeaders = {};
        let trailers: http2.IncomingHttpHeaders = {};
        request.on('headers', () => hints++);
        request.on('response', (headers) => (head = headers));
        request.on('trailers', (headers) => (trailers = headers));
        request.end(body);
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        assert.equal(head['x-path'], `/${i}`);
        assert.equal(head['x-cookie'], 'a=1; b=2');
        assert.equal(hints, 1);
        assert.equal(trailers['x-got'], String(i));
        assert.equal(sha256(Buffer.concat(chunks)), sha256(body));
      }),
    );
    await close();
    upstream.drain();
    await closed;
    origin.close();
    await once(origin, 'close');
  });

  it('pass resets on, and hold a sender back whose reader does not read', async () => {
    const origin = http2.createServer();
    const received: http2.ServerHttp2Stream[] = [];
    origin.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      received.push(stream);
      stream.on('error', () => {});
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/broken') stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    });
    await once(origin.listen(0, '127.0.0.1'), 'listening');
    const { client: upstream, closed } = await openClient((origin.address() as AddressInfo).port);
    let uploaded = 0;
    const { client, close } = await openNodeClient((exchange) => {
      forward(exchange, upstream, (byteCount) => (uploaded += byteCount));
    });
    const broken = client.request({ ':path': '/broken' });
    broken.resume();
    await assert.rejects(once(broken, 'end'));
    assert.equal(broken.rstCode, http2.constants.NGHTTP2_INTERNAL_ERROR);

    const upload = client.request({ ':method': 'POST', ':path': '/upload' });
    upload.on('error', () => {});
    await once(upload, 'response');
    upload.write(Buffer.alloc(8 << 20));
    for (let i = 0; i < 20; i++) await new Promise((resolve) => client.ping(resolve));
    // Nobody reads at the origin: what passed is in windows and buffers on the way.
    assert.ok(uploaded >= 65_535 && uploaded < 1 << 20, `${uploaded} bytes passed`);
    upload.close(http2.constants.NGHTTP2_CANCEL);
    const [, stream] = received;
    await once(stream as http2.ServerHttp2Stream, 'close');
    assert.equal(stream?.rstCode, http2.constants.NGHTTP2_CANCEL);
    await close();
    upstream.drain();
    await closed;
    origin.close();
    await once(origin, 'close');
  });

  it('carry WebSocket from extended CONNECT to extended CONNECT', async () => {
    const origin = http2.createServer({ settings: { enableConnectProtocol: true } });
    origin.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      stream.respond({ ':status': 200, 'x-method': `${headers[':method']} ${String(headers[':protocol'])}` });
      stream.pipe(stream);
    });
    await once(origin.listen(0, '127.0.0.1'), 'listening');
    const { client: upstream, closed } = await openClient((origin.address() as AddressInfo).port);
    const { client, close } = await openNodeClient((exchange) => forward(exchange, upstream));
    assert.equal(client.remoteSettings.enableConnectProtocol, true);
    const stream = client.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat' });
    const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders & { ':status': number }];
    assert.equal(head[':status'], 200);
    assert.equal(head['x-method'], 'CONNECT websocket');
    stream.write('ping');
    const [echo] = (await once(stream, 'data')) as [Buffer];
    assert.equal(echo.toString(), 'ping');
    stream.end();
    await once(stream, 'close');
    await close();
    upstream.drain();
    await closed;
    origin.close();
    await once(origin, 'close');
  });
});

describe('WebSocket over HTTP/2 to a server of HTTP/1.1', () => {
  it('is accepted by the handshake that the server knows, and carries frames', async () => {
    const origin = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(origin, 'listening');
    const paths: (string | undefined)[] = [];
    origin.on('connection', (socket: WebSocket, request) => {
      paths.push(request.url);
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    });
    const socket = await dial({ host: '127.0.0.1', port: (origin.address() as AddressInfo).port, timeoutMs: 2_000 });
    const upstream = createHttp1Client(tcpChannel(socket), { listener: { onChange() {}, onClose() {} } });
    const { client, close } = await openNodeClient((exchange) => forward(exchange, upstream));
    const stream = client.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/chat',
      'sec-websocket-version': '13',
    });
    const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders & { ':status': number }];
    assert.equal(head[':status'], 200);
    assert.equal(head['sec-websocket-accept'], undefined);
    assert.deepEqual(paths, ['/chat']);
    // A text frame "hi", masked with zeroes (RFC 6455 section 5.2), and its echo.
    stream.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
    const [echo] = (await once(stream, 'data')) as [Buffer];
    assert.deepEqual(echo, Buffer.from([0x81, 0x02, 0x68, 0x69]));
    stream.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
    stream.resume();
    await once(stream, 'end');
    stream.close();
    await close();
    origin.close();
    await once(origin, 'close');
  });
});
