import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, createServer as createHttpServer, request as sendHttp, type IncomingMessage } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { dial } from '../../net/dial.ts';
import { tcpChannel } from '../../net/tcp-channel.ts';
import { writeResult } from '../../net/channel.ts';
import { HeaderList } from '../header-list.ts';
import type { ClientConnection, RequestListener, ServerConnection, ServerExchange } from '../message.ts';
import { createHttp1Client, serveHttp1 } from './index.ts';
import { sendRequest } from './support.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Sends back what comes, as fast as the client takes it. */
function echo(exchange: ServerExchange): void {
  const length = exchange.request.headers.get('content-length');
  const headers = new HeaderList(length === undefined ? [] : ['content-length', length]);
  exchange.respond({ status: 200, headers }, false);
  let owed = 0;
  exchange.read({
    onData(bytes) {
      if (exchange.write(bytes) === writeResult.done) exchange.credit(bytes.length);
      else owed += bytes.length;
    },
    onEnd: () => exchange.end(),
    onDrain() {
      exchange.credit(owed);
      owed = 0;
    },
    onClose() {},
  });
  if (exchange.bodyLength === 0) exchange.end();
}

async function serve(listener: RequestListener): Promise<{ port: number; close: () => Promise<void> }> {
  const connections = new Set<ServerConnection>();
  const server: Server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket: Socket) => {
    const connection = serveHttp1(tcpChannel(socket), {
      scheme: 'http',
      listener: { ...listener, onClose: () => connections.delete(connection) },
    });
    connections.add(connection);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      for (const connection of connections) connection.close();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('HTTP/1.1 server beside node:http', () => {
  it('echoes bodies of any size to its client, over kept connections', async () => {
    const { port, close } = await serve({ onRequest: echo });
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    const exchanges = Array.from({ length: 60 }, async (_, i) => {
      const body = randomBytes(i === 59 ? 5_000_000 : i * 3_000);
      const isSized = i % 2 === 0;
      const answer = await new Promise<Buffer>((resolve, reject) => {
        const request = sendHttp(
          {
            port,
            host: '127.0.0.1',
            path: `/${i}`,
            method: 'POST',
            agent,
            ...(isSized ? { headers: { 'content-length': body.length } } : {}),
          },
          (response: IncomingMessage) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.on('end', () => resolve(Buffer.concat(chunks)));
          },
        );
        request.on('error', reject);
        for (let at = 0; at < body.length; at += 100_000) request.write(body.subarray(at, at + 100_000));
        request.end();
      });
      assert.equal(sha256(answer), sha256(body));
    });
    await Promise.all(exchanges);
    agent.destroy();
    await close();
  });

  it('answers pipelined requests of a real socket in order, and ends with the client', async () => {
    const { port, close } = await serve({
      onRequest(exchange) {
        setImmediate(() => {
          exchange.respond({ status: 200, headers: new HeaderList(['x-path', exchange.request.path]) }, true);
        });
      },
    });
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const paths = Array.from({ length: 200 }, (_, i) => `/${i}`);
    socket.end(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await once(socket, 'end');
    assert.deepEqual(
      Array.from(text.matchAll(/x-path: (\S+)/g), (match) => match[1]),
      paths,
    );
    await close();
  });
});

describe('HTTP/1.1 client beside node:http', () => {
  it('sends and reads bodies of any size over one connection', async () => {
    const server = createHttpServer((request, response) => {
      if (request.headers['content-length'] !== undefined)
        response.setHeader('content-length', request.headers['content-length']);
      request.pipe(response);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const socket = await dial({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, timeoutMs: 5_000 });
    const client: ClientConnection = createHttp1Client(tcpChannel(socket), {
      listener: { onChange() {}, onClose() {} },
    });
    for (let i = 0; i < 30; i++) {
      const body = randomBytes(i * 20_000);
      const headers = new HeaderList(i % 2 === 0 ? ['content-length', String(body.length)] : []);
      const closed = new Promise<void>((resolve, reject) => {
        const seen = sendRequest(client, { method: 'POST', path: `/${i}`, headers }, false);
        seen.onEvent = (event) => {
          if (event !== 'close') return;
          if (seen.error) reject(seen.error);
          else assert.equal(sha256(Buffer.from(seen.body, 'latin1')), sha256(body));
          resolve();
        };
        seen.exchange?.write(body);
        seen.exchange?.end();
      });
      await closed;
      assert.equal(client.canOpen, true);
    }
    client.close();
    server.close();
    await once(server, 'close');
  });
});
