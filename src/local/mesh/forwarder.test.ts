import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { silentLog } from '../../lib/log.ts';
import { startForwarder } from './forwarder.ts';

/** Everything up to the end of the other side's direction. Ours stays open: consumers of node:stream would close it. */
function received(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    socket.on('end', () => resolve(Buffer.concat(chunks)));
    socket.on('error', reject);
  });
}

describe('forwarder', () => {
  let folder: string;
  let socketPath: string;
  let upstream: Server;
  let forwarder: Server;
  /** What the upstream does with the next connection. */
  let serve: (socket: Socket) => void;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-forwarder-'));
    socketPath = join(folder, 'api.sock');
    upstream = createServer({ allowHalfOpen: true }, (socket) => serve(socket));
    await new Promise<void>((resolve) => upstream.listen(socketPath, resolve));
    forwarder = await startForwarder({
      listen: { host: '127.0.0.1', port: 0 },
      target: { path: socketPath },
      log: silentLog(),
    });
  });
  after(async () => {
    await new Promise((resolve) => forwarder.close(resolve));
    await new Promise((resolve) => upstream.close(resolve));
    rmSync(folder, { recursive: true });
  });

  const dial = (): Socket =>
    connect({ port: (forwarder.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });

  it('listens on the loopback alone', () => {
    assert.equal((forwarder.address() as AddressInfo).address, '127.0.0.1');
  });

  it('passes bytes both ways, and an end of one direction without the other', async () => {
    const sent = Buffer.alloc(3_000_000, 'request ');
    serve = (socket) => {
      // Answers only after the client has ended: it needs the half-close.
      void received(socket).then((bytes) => socket.end(Buffer.concat([Buffer.from('got '), bytes])));
    };
    const client = dial();
    client.end(sent);
    const answer = await received(client);
    assert.equal(answer.length, sent.length + 4);
    assert.ok(answer.subarray(4).equals(sent));
  });

  it('passes an end from the server while the client goes on', async () => {
    const heard = Promise.withResolvers<Buffer>();
    serve = (socket) => {
      socket.end('bye');
      received(socket).then(heard.resolve, heard.reject);
    };
    const client = dial();
    assert.equal((await received(client)).toString(), 'bye');
    client.end('still here');
    assert.equal((await heard.promise).toString(), 'still here');
  });

  it('tells the client when the server goes away, and the server when the client resets', async () => {
    serve = (socket) => socket.destroy();
    const refused = dial();
    assert.equal((await received(refused)).length, 0);
    refused.destroy();

    const accepted = Promise.withResolvers<Socket>();
    serve = accepted.resolve;
    const client = dial();
    client.write('x');
    const socket = await accepted.promise;
    const heard = received(socket);
    client.resetAndDestroy();
    await heard;
    socket.destroy();
  });

  it('closes the client when nobody is there', async () => {
    const lonely = await startForwarder({
      listen: { host: '127.0.0.1', port: 0 },
      target: { path: join(folder, 'none.sock') },
      log: silentLog(),
    });
    const client = connect((lonely.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', () => undefined);
    client.resume();
    await once(client, 'close');
    await new Promise((resolve) => lonely.close(resolve));
  });

  for (const kind of ['TCP', 'unix'] as const) {
    it(`lives on when there is nobody for a connection by ${kind}`, async () => {
      const nobody = await startForwarder({
        listen: kind === 'TCP' ? { host: '127.0.0.1', port: 0 } : { path: join(folder, 'nobody.sock') },
        target: () => undefined,
        log: silentLog(),
      });
      for (let attempt = 0; attempt < 2; attempt++) {
        const address = nobody.address();
        const client = connect(
          typeof address === 'string' ? { path: address } : { port: (address as AddressInfo).port, host: '127.0.0.1' },
        );
        client.on('error', () => undefined);
        client.resume();
        await new Promise((resolve) => client.once('close', resolve));
      }
      await new Promise((resolve) => nobody.close(resolve));
    });
  }

  it('fails when its port is taken', async () => {
    const { port } = forwarder.address() as AddressInfo;
    const taken = startForwarder({
      listen: { host: '127.0.0.1', port },
      target: { path: socketPath },
      log: silentLog(),
    });
    await assert.rejects(taken, { code: 'EADDRINUSE' });
  });
});
