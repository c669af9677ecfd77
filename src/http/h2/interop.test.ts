import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createHash, randomBytes } from 'node:crypto';
import * as http2 from 'node:http2';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { dial } from '../../net/dial.ts';
import { tcpChannel } from '../../net/tcp-channel.ts';
import { HeaderList } from '../header-list.ts';
import { Http2Session, type SessionHandler, type StreamHandler } from './index.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Our client session against `server`, ready. */
async function openClient(server: { address(): unknown }): Promise<{ session: Http2Session; closed: Promise<void> }> {
  const socket = await dial({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, timeoutMs: 5_000 });
  let onReady!: () => void;
  let onClose!: () => void;
  const ready = new Promise<void>((resolve) => (onReady = resolve));
  const closed = new Promise<void>((resolve) => (onClose = resolve));
  const session = new Http2Session({ role: 'client', channel: tcpChannel(socket), handler: { onReady, onClose } });
  session.start();
  await ready;
  return { session, closed };
}

/** Our server sessions behind a TCP listener, and node:http2's client to it. */
async function openNodeClient(
  onRequest: NonNullable<SessionHandler['onRequest']>,
): Promise<{ client: http2.ClientHttp2Session; sessions: Http2Session[]; close: () => Promise<void> }> {
  const sessions: Http2Session[] = [];
  const server: Server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket: Socket) => {
    const session = new Http2Session({ role: 'server', channel: tcpChannel(socket), handler: { onRequest } });
    sessions.push(session);
    session.start();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return {
    client,
    sessions,
    async close() {
      client.close();
      await once(client, 'close');
      server.close();
      await once(server, 'close');
    },
  };
}

interface Received {
  heads: HeaderList[];
  body: Buffer;
  trailers: HeaderList | undefined;
  error: Error | undefined;
}

/** Collects a message; `credit` as soon as bytes are copied. */
function collector(
  done: (received: Received) => void,
): StreamHandler & { stream: { credit(n: number): void } | undefined } {
  const chunks: Buffer[] = [];
  const received: Received = { heads: [], body: Buffer.alloc(0), trailers: undefined, error: undefined };
  return {
    stream: undefined,
    onHeaders: (headers) => void received.heads.push(headers),
    onData(bytes) {
      chunks.push(Buffer.from(bytes));
      this.stream?.credit(bytes.length);
      return false;
    },
    onEnd: (trailers) => void (received.trailers = trailers),
    onDrain() {},
    onClose(error) {
      received.body = Buffer.concat(chunks);
      received.error = error;
      done(received);
    },
  };
}

describe('HTTP/2 session against node:http2', () => {
  it('is a client: 40 requests with bodies and trailers, echoed byte for byte', async () => {
    const server = http2.createServer();
    server.on('stream', (stream: http2.ServerHttp2Stream, headers) => {
      stream.respond(
        { ':status': 200, 'x-path': headers[':path'], 'x-long': headers['x-long'] },
        { waitForTrailers: true },
      );
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-trailer': 'end' }));
      stream.pipe(stream);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { session, closed } = await openClient(server);
    const exchanges = Array.from({ length: 40 }, async (_, i) => {
      const body = randomBytes(i * 20_000);
      const received = await new Promise<Received>((resolve) => {
        const handler = collector(resolve);
        const head = HeaderList.from({
          ':method': 'POST',
          ':scheme': 'http',
          ':path': `/${i}`,
          ':authority': 'test',
          'x-long': 'y'.repeat(i * 200),
        });
        const stream = session.openStream(head, false, handler);
        handler.stream = stream;
        stream.sendData(body);
        stream.end();
      });
      assert.equal(received.error, undefined);
      assert.equal(received.heads[0]?.get('x-path'), `/${i}`);
      assert.equal(received.heads[0]?.get('x-long'), 'y'.repeat(i * 200));
      assert.equal(received.trailers?.get('x-trailer'), 'end');
      assert.equal(sha256(received.body), sha256(body));
    });
    await Promise.all(exchanges);
    session.drain();
    await closed;
    server.close();
    await once(server, 'close');
  });

  it('is a server: 40 requests with bodies and trailers, echoed byte for byte', async () => {
    const { client, close } = await openNodeClient((stream, headers) => {
      stream.sendHeaders(HeaderList.from({ ':status': '200', 'x-path': headers.get(':path') ?? '' }));
      return {
        onHeaders() {},
        onData(bytes) {
          stream.sendData(bytes);
          stream.credit(bytes.length);
          return false;
        },
        onEnd: (trailers) => stream.end(HeaderList.from({ 'x-got': trailers?.get('x-sent') ?? 'none' })),
        onDrain() {},
        onClose() {},
      };
    });
    const exchanges = Array.from({ length: 40 }, async (_, i) => {
      const body = randomBytes(i * 6_000);
      const request = client.request({ ':method': 'POST', ':path': `/${i}` }, { waitForTrailers: true });
      request.on('wantTrailers', () => request.sendTrailers({ 'x-sent': String(i) }));
      let head: http2.IncomingHttpHeaders = {};
      let trailers: http2.IncomingHttpHeaders = {};
      request.on('response', (headers) => (head = headers));
      request.on('trailers', (headers) => (trailers = headers));
      request.end(body);
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      assert.equal(head['x-path'], `/${i}`);
      assert.equal(trailers['x-got'], String(i));
      assert.equal(sha256(Buffer.concat(chunks)), sha256(body));
    });
    await Promise.all(exchanges);
    await close();
  });

  it('is a server that drains: running requests end, later ones are refused, nothing is lost', async () => {
    const { client, sessions, close } = await openNodeClient((stream) => {
      stream.sendHeaders(HeaderList.from({ ':status': '200' }));
      return { onHeaders() {}, onData: () => false, onEnd: () => stream.end(), onDrain() {}, onClose() {} };
    });
    const request = client.request({ ':method': 'POST', ':path': '/' });
    await once(request, 'response');
    const goaway = once(client, 'goaway');
    sessions[0]?.drain();
    await goaway;
    request.end();
    request.resume();
    await once(request, 'close');
    assert.equal(request.rstCode, 0);
    await close();
  });

  it('answers a malformed request 400 and goes on', async () => {
    const { client, close } = await openNodeClient((stream) => {
      stream.sendHeaders(HeaderList.from({ ':status': '204' }), true);
      return { onHeaders() {}, onData: () => false, onEnd() {}, onDrain() {}, onClose() {} };
    });
    const bad = client.request({ ':method': 'GET', ':path': '/', 'content-length': 'abc' });
    bad.on('error', () => {});
    const [head] = (await once(bad, 'response')) as [http2.IncomingHttpHeaders & { ':status': number }];
    assert.equal(head[':status'], 400);
    const good = client.request({ ':method': 'GET', ':path': '/' });
    const [answer] = (await once(good, 'response')) as [http2.IncomingHttpHeaders & { ':status': number }];
    assert.equal(answer[':status'], 204);
    good.resume();
    await close();
  });
});
