import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { ChannelCredentials, Client } from '@grpc/grpc-js';
import { createTestAuthority, type TestAuthority } from '../../test/support/certificates.ts';
import { freePort } from '../../test/support/free-port.ts';
import { systemClock } from '../lib/clock.ts';
import { AmbitError } from '../lib/errors.ts';
import { silentLog } from '../lib/log.ts';
import { createRpcChannel, type RpcChannel } from './channel.ts';
import type { RpcMethod } from './method.ts';
import { createRpcServer, type RpcServer } from './server.ts';
import { rpcError } from './status.ts';

const textCodec = {
  encode: (value: string): Uint8Array => Buffer.from(value),
  decode(bytes: Uint8Array): string {
    if (bytes[0] === 0xff) throw new Error('not a text');
    return Buffer.from(bytes).toString();
  },
};
const echo: RpcMethod<string, string> = { path: '/test.Echo/Say', request: textCodec, response: textCodec };
const chat: RpcMethod<string, string> = { path: '/test.Echo/Chat', request: textCodec, response: textCodec };
const never = new AbortController().signal;
const soon = { signal: never, timeoutMs: 60_000 };

describe('rpc', () => {
  let folder: string;
  let authority: TestAuthority;
  let clients: TestAuthority;
  const opened: (() => Promise<void> | void)[] = [];
  const path = (name: string): string => join(folder, name);
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-rpc-'));
    authority = await createTestAuthority();
    clients = await createTestAuthority();
    writeFileSync(path('root.pem'), authority.rootPem);
  });
  afterEach(async () => {
    for (const close of opened.splice(0).toReversed()) await close();
  });
  after(() => rmSync(folder, { recursive: true }));

  test('a call comes back, with metadata seen by the server', async () => {
    const { server, channel } = await start({ metadata: { clusterid: 'west' } });
    server.handleUnary(echo, (request, { metadata }) => Promise.resolve(`${request} ${metadata.get('clusterid')}`));
    assert.equal(await channel.unary(echo, 'hello', soon), 'hello west');
  });

  test('a server that cannot be trusted is told of with what to compare', async () => {
    const { server, channel } = await start();
    server.handleUnary(echo, (request) => Promise.resolve(request));
    const roots = authority.rootPem;
    const refusedAs = async (other: TestAuthority): Promise<string> => {
      server.setCertificate(await other.signServer({ dnsNames: ['server.test'], ips: [] }));
      // Another text of the same roots, so that the next call connects anew.
      writeFileSync(path('root.pem'), `${roots}${other === stranger ? '' : other.rootPem}`);
      const error: unknown = await channel.unary(echo, 'hello', soon).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof AmbitError && error.code === 'rpc.unavailable', String(error));
      return error.message;
    };
    const at = (offsetMs: number): Promise<TestAuthority> =>
      createTestAuthority({ ...systemClock, nowMs: () => Date.now() + offsetMs });
    const stranger = await createTestAuthority();
    try {
      assert.match(
        await refusedAs(await at(600_000)),
        /unavailable, its certificate is not yet valid: our clock says 20\S+Z, compare it with that of the other machine$/,
      );
      assert.match(
        await refusedAs(await at(-30 * 24 * 3600_000)),
        /its certificate has expired: our clock says 20\S+Z,/,
      );
      assert.match(
        await refusedAs(stranger),
        /its certificate is refused, (?:unable|self).*: its root is none of those that we were given: compare ConfigMap/,
      );
    } finally {
      writeFileSync(path('root.pem'), roots);
    }
  });

  test('a refusal keeps its status and message; an unexpected throw shows nothing', async () => {
    const { server, channel } = await start();
    server.handleUnary(echo, (request) => {
      if (request === 'refuse') throw rpcError('permission-denied', 'not for you');
      if (request === 'break') throw new AmbitError('the secret is 42', { code: 'x.y', blame: 'internal' });
      return Promise.resolve(request);
    });
    await assert.rejects(channel.unary(echo, 'refuse', soon), {
      code: 'rpc.permission-denied',
      message: /not for you/,
    });
    await assert.rejects(channel.unary(echo, 'break', soon), (error: Error) => {
      assert.equal((error as AmbitError).code, 'rpc.internal');
      assert.doesNotMatch(error.message, /42/);
      return true;
    });
    await assert.rejects(channel.unary({ ...echo, path: '/test.Echo/Absent' }, 'x', soon), {
      code: 'rpc.unimplemented',
    });
    const garbled = { ...echo, request: { ...textCodec, encode: () => Uint8Array.of(0xff) } };
    await assert.rejects(channel.unary(garbled, 'x', soon), { code: 'rpc.internal' });
    assert.equal(await channel.unary(echo, 'still here', soon), 'still here');
  });

  test('a call ends when its time is over, or its caller gives up', async () => {
    const { server, channel } = await start();
    let asked = Promise.withResolvers<void>();
    let over = Promise.withResolvers<void>();
    let isAsked = false;
    server.handleUnary(echo, (_request, { signal }) => {
      isAsked = true;
      asked.resolve();
      if (signal.aborted) over.resolve();
      signal.addEventListener('abort', () => over.resolve());
      return new Promise(() => {});
    });
    // Until one is long enough for the server to hear of it.
    for (let timeoutMs = 50; !isAsked; timeoutMs *= 2) {
      await assert.rejects(channel.unary(echo, 'x', { signal: never, timeoutMs }), { code: 'rpc.deadline-exceeded' });
    }
    await over.promise;
    [asked, over] = [Promise.withResolvers(), Promise.withResolvers()];
    const patience = new AbortController();
    const call = assert.rejects(channel.unary(echo, 'x', { ...soon, signal: patience.signal }), {
      code: 'rpc.cancelled',
    });
    await asked.promise;
    patience.abort();
    await Promise.all([call, over.promise]);
  });

  test('nobody there is told at once, and the next call finds who came', async () => {
    // One that the kernel gives to nobody meanwhile.
    const { server, channel, port } = await start({ port: await freePort() });
    server.handleUnary(echo, (request) => Promise.resolve(request));
    await channel.unary(echo, 'x', soon);
    await server.close();
    await assert.rejects(channel.unary(echo, 'x', soon), { code: 'rpc.unavailable' });
    const { server: next } = await start({ port });
    next.handleUnary(echo, () => Promise.resolve('next'));
    assert.equal(await channel.unary(echo, 'x', soon), 'next');
  });

  test('a stream carries both directions, and either end may end it', async () => {
    const { server, channel } = await start();
    server.handleStream(chat, (stream) => {
      stream.read({
        onMessage: (message) => void stream.write(message.toUpperCase()),
        onEnd: () => stream.end(),
        onClose: () => {},
      });
      return Promise.resolve();
    });
    const peer = await openChat(channel);
    peer.stream.write('a');
    peer.stream.write('b');
    peer.stream.end();
    assert.equal(await peer.closed, undefined);
    assert.deepEqual(peer.received, ['A', 'B']);
  });

  test('a stream that fails says why, and the other end is told when a client vanishes', async () => {
    const { server, channel } = await start();
    const serverSide = Promise.withResolvers<void>();
    server.handleStream(chat, (stream) => {
      stream.read({
        onMessage(message) {
          if (message === 'fail') stream.fail(rpcError('failed-precondition', 'not now'));
          else stream.write(message);
        },
        onClose: () => serverSide.resolve(),
      });
      return Promise.resolve();
    });
    const failing = await openChat(channel);
    failing.stream.write('fail');
    assert.equal((await failing.closed)?.code, 'rpc.failed-precondition');
    await serverSide.promise;
    const vanishing = await openChat(channel);
    vanishing.stream.write('x');
    await vanishing.first;
    vanishing.stream.cancel();
    assert.equal((await vanishing.closed)?.code, 'rpc.cancelled');
  });

  test('a reader that throws ends its stream, not the process', async () => {
    const { server, channel } = await start();
    server.handleStream(chat, (stream) => {
      stream.write('x');
      stream.read({ onMessage() {}, onClose() {} });
      return Promise.resolve();
    });
    const closed = Promise.withResolvers<AmbitError | undefined>();
    await channel.stream(chat, {
      onMessage() {
        throw new Error('broken reader');
      },
      onClose: closed.resolve,
    });
    assert.equal((await closed.promise)?.code, 'rpc.internal');
  });

  test('writing to a slow peer says so, and says when it may go on', async () => {
    const { server, channel } = await start();
    const drained = Promise.withResolvers<void>();
    server.handleStream(chat, (stream) => {
      stream.read({ onMessage() {}, onDrain: drained.resolve, onClose() {} });
      const message = 'x'.repeat(1 << 20);
      let writes = 1;
      while (stream.write(message)) assert.ok(++writes < 1000, 'it never got full');
      return Promise.resolve();
    });
    await openChat(channel);
    await drained.promise;
  });

  test('messages of more than 4 MiB pass', async () => {
    const { server, channel } = await start();
    server.handleUnary(echo, (request) => Promise.resolve(request));
    const large = 'x'.repeat(6 << 20);
    assert.equal((await channel.unary(echo, large, soon)).length, large.length);
  });

  test('a client certificate is shown when it verifies, and only then', async () => {
    const { server, port } = await start({ clientRootsPem: clients.rootPem });
    server.handleUnary(echo, (_request, { peerCertificate }) =>
      Promise.resolve(peerCertificate ? (new X509Certificate(peerCertificate).subjectAltName ?? '') : 'nobody'),
    );
    const known = await clients.certificate('shop/web');
    const foreign = await authority.certificate('shop/web');
    const cases = [
      [known, `URI:${known.identity}`],
      [foreign, 'nobody'],
      [undefined, 'nobody'],
    ] as const;
    for (const [certificate, expected] of cases) {
      const key = certificate && Buffer.from(certificate.key.export({ type: 'pkcs8', format: 'pem' }));
      const chain = certificate && Buffer.from(certificate.chainPem.join(''));
      const credentials = ChannelCredentials.createSsl(Buffer.from(authority.rootPem), key ?? null, chain ?? null);
      const client = new Client(`127.0.0.1:${port}`, credentials, { 'grpc.ssl_target_name_override': 'server.test' });
      const answer = await new Promise<string | undefined>((resolve, reject) => {
        client.makeUnaryRequest(
          echo.path,
          (value: string) => Buffer.from(value),
          (bytes: Buffer) => bytes.toString(),
          'who am I',
          (error, response) => (error ? reject(error) : resolve(response)),
        );
      });
      assert.equal(answer, expected);
      client.close();
    }
  });

  test('roots and token may be given as they are, and a server may be known by its address', async () => {
    const certificate = await authority.signServer({ dnsNames: [], ips: ['127.0.0.1'] });
    const server = createRpcServer({ certificate, log: silentLog() });
    opened.push(() => server.close());
    server.handleUnary(echo, (_, { metadata }) => Promise.resolve(metadata.get('authorization') ?? ''));
    const port = await server.listen({ host: '127.0.0.1', port: 0 });
    const token = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln';
    const address = `https://127.0.0.1:${port}`;
    const dial = (rootCertPath: string, tlsServerName?: string): RpcChannel => {
      const channel = createRpcChannel({
        address,
        rootCertPath,
        tokenPath: token,
        ...(tlsServerName ? { tlsServerName } : {}),
      });
      opened.push(() => channel.close());
      return channel;
    };
    assert.equal(await dial(authority.rootPem).unary(echo, 'x', soon), `Bearer ${token}`);
    for (const [roots, name] of [
      ['SYSTEM', undefined],
      [clients.rootPem, undefined],
      [authority.rootPem, '127.0.0.2'],
      [authority.rootPem, 'istiod.test'],
    ] as const) {
      await assert.rejects(dial(roots, name).unary(echo, 'x', soon), { code: 'rpc.unavailable' });
    }
  });

  test('addresses without a host are refused', () => {
    for (const address of ['', 'http://x:1', 'https://', '::']) {
      assert.throws(
        () => createRpcChannel({ address, rootCertPath: path('root.pem') }),
        { code: 'rpc.invalid-address' },
        address,
      );
    }
  });

  test('a port in use is told', async () => {
    const { port } = await start();
    const certificate = await authority.signServer({ dnsNames: ['x'], ips: [] });
    const second = createRpcServer({ certificate, log: silentLog() });
    await assert.rejects(second.listen({ host: '127.0.0.1', port }), { code: 'rpc.listen-failed' });
    await second.close();
  });

  interface Started {
    readonly server: RpcServer;
    readonly channel: RpcChannel;
    readonly port: number;
  }

  async function start(
    options: { metadata?: Record<string, string>; port?: number; clientRootsPem?: string } = {},
  ): Promise<Started> {
    const certificate = await authority.signServer({ dnsNames: ['server.test'], ips: [] });
    const { clientRootsPem } = options;
    const server = createRpcServer({ certificate, log: silentLog(), ...(clientRootsPem ? { clientRootsPem } : {}) });
    const port = await server.listen({ host: '127.0.0.1', port: options.port ?? 0 });
    const channel = createRpcChannel({
      address: `https://127.0.0.1:${port}`,
      tlsServerName: 'server.test',
      rootCertPath: path('root.pem'),
      ...(options.metadata ? { metadata: options.metadata } : {}),
    });
    opened.push(
      () => server.close(),
      () => channel.close(),
    );
    return { server, channel, port };
  }

  interface Chat {
    readonly stream: Awaited<ReturnType<RpcChannel['stream']>>;
    readonly received: string[];
    readonly first: Promise<void>;
    readonly closed: Promise<AmbitError | undefined>;
  }

  async function openChat(channel: RpcChannel): Promise<Chat> {
    const received: string[] = [];
    const first = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<AmbitError | undefined>();
    const stream = await channel.stream(chat, {
      onMessage(message) {
        received.push(message);
        first.resolve();
      },
      onClose: closed.resolve,
    });
    return { stream, received, first: first.promise, closed: closed.promise };
  }
});
