/** Our HTTP/2, server and client, against the conformance tests of h2spec (test/h2spec/peer), where `npm run test:h2spec` built them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { TLSSocket } from 'node:tls';
import { HeaderList } from '../../src/http/header-list.ts';
import { serveHttp2 } from '../../src/http/h2/index.ts';
import type { RequestListener, ServerExchange } from '../../src/http/message.ts';
import { tcpChannel } from '../../src/net/tcp-channel.ts';
import { tlsChannel } from '../../src/net/tls-channel.ts';
import { requestOnce } from './client.ts';

const h2spec = process.env['AMBIT_TEST_H2SPEC'] ?? '';
const skip = h2spec === '' && "no h2spec: run 'npm run test:h2spec'";
const pem = readFileSync(join(import.meta.dirname, '../../src/net/channel.test.pem'));

/** Answers what was read to its end. */
function answer(exchange: ServerExchange): void {
  const respond = (): void => {
    exchange.respond({ status: 200, headers: new HeaderList(['content-type', 'text/plain']) }, false);
    exchange.write(Buffer.from('as you wish\n'));
    exchange.end();
  };
  exchange.read({
    onData: (bytes) => exchange.credit(bytes.length),
    onEnd: respond,
    onDrain() {},
    onClose() {},
  });
  if (exchange.bodyLength === 0) respond();
}

async function openServer(tls: boolean): Promise<{ port: number; close(): void }> {
  const listener: RequestListener = { onRequest: answer };
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    if (!tls) {
      serveHttp2(tcpChannel(socket), { listener });
      return;
    }
    const secure = new TLSSocket(socket, { isServer: true, key: pem, cert: pem, ALPNProtocols: ['h2'] });
    secure.on('error', () => {});
    secure.once('secure', () => serveHttp2(tlsChannel(secure), { listener }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function run(args: readonly string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(h2spec, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

describe('HTTP/2 server under h2spec', { skip }, () => {
  for (const tls of [false, true]) {
    it(`passes every test, strict ones too, ${tls ? 'over TLS' : 'with prior knowledge'}`, async () => {
      const server = await openServer(tls);
      try {
        const { code, output } = await run(['server', '-strict', `-tls=${tls}`, '-port', String(server.port)]);
        assert.equal(code, 0, output);
        assert.match(output, /\d+ tests, [1-9]\d{2} passed, 0 skipped, 0 failed/);
      } finally {
        server.close();
      }
    });
  }
});

describe('HTTP/2 client under h2spec', { skip }, () => {
  it('passes every test', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ambit-h2spec-'));
    const path = join(folder, 'client');
    const listener = createServer((socket) => {
      socket.once('data', (line: Buffer) => {
        requestOnce(new URL(line.toString().trim())).then(
          () => socket.end(),
          () => socket.destroy(),
        );
      });
    });
    await once(listener.listen(path), 'listening');
    try {
      // One port a test, side by side, below those that the kernel gives out.
      const port = 20_000 + (process.pid % 100) * 100;
      const { code, output } = await run(['client', '-strict', '-port', String(port), '-socket', path]);
      const report = output.replaceAll(/^accept .*\n/gm, '');
      assert.equal(code, 0, report);
      assert.match(report, /\d+ tests, [1-9]\d* passed, 0 skipped, 0 failed/, report);
    } finally {
      listener.close();
      await rm(folder, { recursive: true });
    }
  });
});
