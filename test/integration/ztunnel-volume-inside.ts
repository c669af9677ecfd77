/** Much at once: a gigabyte over a thousand connections, a thousand readers that stall, two hundred pods. Nothing here is timed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { meshWorkload } from '../../src/mesh/fixtures.ts';
import { unsentByteCount } from '../../src/net/read-buffers.ts';
import { sharedReceiveBudget } from '../../src/http/h2/flow-control.ts';
import { checkPrivileges } from '../../src/net/index.ts';
import { createTestAuthority } from '../support/certificates.ts';
import { startTestDataPart } from './ztunnel-fixture.ts';
import { eventually, exchange, startLoadedPair, type LoadedPair } from './ztunnel-load.ts';

// As --expose-gc does: what is held is what is left after a collection.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const megabyte = 1 << 20;
let pair: LoadedPair;

before(async () => {
  await checkPrivileges();
  pair = await startLoadedPair();
});
after(() => pair.close());

function say(what: string): void {
  const { rss, external } = process.memoryUsage();
  const text = `${what}: RSS ${Math.round(rss / megabyte)} MB, buffers ${Math.round(external / megabyte)} MB\n`;
  process.stderr.write(text);
}

test('a thousand connections at once pass a gigabyte, and every byte of it comes back', async () => {
  await Promise.all(Array.from({ length: 1000 }, (_, seed) => exchange(pair.dial(), megabyte, seed)));
  say('after 1 GB over 1,000 connections');
});

test('a thousand readers that stall hold no more than the buffer budget, and nobody else waits for them', async () => {
  await eventually(async () => assert.deepEqual(await pair.client.connections('client-uid', 'outbound'), []));
  collectGarbage();
  const before = process.memoryUsage().external;
  // Each asks for an echo that it never reads, and goes on writing for as long as somebody takes it.
  const piece = Buffer.alloc(65_536, 's');
  const stalled = await Promise.all(
    Array.from({ length: 1000 }, async () => {
      const socket = pair.dial();
      await once(socket, 'connect');
      socket.pause();
      const write = (): void => {
        while (!socket.destroyed && socket.write(piece));
        socket.once('drain', write);
      };
      write();
      return socket;
    }),
  );
  // Until nothing moves any more: what is in flight is where it will stay.
  let moved = -1;
  for (let total = 0; total !== moved;) {
    moved = total;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    total = stalled.reduce((sum, socket) => sum + socket.bytesWritten, 0);
  }
  collectGarbage();
  const held = process.memoryUsage().external - before;
  say(`with 1,000 stalled readers, ${Math.round(held / megabyte)} MB more in buffers`);
  const { heldBytes } = sharedReceiveBudget;
  say(`the data parts hold ${Math.round(heldBytes / megabyte)} MB of it as bytes that wait`);
  // Performance.md rule 9: 64 MB for the thread, and what is on its way when that is reached.
  assert.ok(heldBytes > 0, 'somebody waits');
  assert.ok(heldBytes < 80 * megabyte, `${heldBytes} bytes are held`);
  say(`and ${Math.round(unsentByteCount() / megabyte)} MB as what was read and cannot be sent`);
  assert.ok(unsentByteCount() > 0 && unsentByteCount() < 48 * megabyte, `${unsentByteCount()} bytes cannot be sent`);
  for (const socket of stalled) socket.destroy();
  await exchange(pair.dial(), 4 * megabyte, 1);
  await eventually(() => assert.equal(sharedReceiveBudget.heldBytes, 0, 'nothing is held for who is gone'));
  await eventually(() => assert.equal(unsentByteCount(), 0, 'nor read for them'));
});

test('one data part serves 200 pods: each is reached by its own identity', async () => {
  const authority = await createTestAuthority();
  const part = startTestDataPart(authority);
  const names = Array.from({ length: 200 }, (_, i) => `pod-${i}`);
  const ipOf = (i: number): string => `127.0.84.${(i % names.length) + 1}`;
  const applications = await Promise.all(
    names.map(async (name, i) => {
      const server = net.createServer((socket) => socket.on('error', () => {}).end(name));
      server.listen(0, ipOf(i));
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = applications.map((application) => (application.address() as AddressInfo).port);
  const portOf = (i: number): number => ports[i % names.length] ?? 0;
  part.setAddresses(
    ...names.map((name, i) => meshWorkload({ name, namespace: 'many', serviceAccount: name, addresses: [ipOf(i)] })),
  );
  const before = process.memoryUsage().rss;
  for (const [i, name] of names.entries()) {
    await part.serve({
      pod: { uid: name, name, namespace: 'many', serviceAccount: name },
      listenAt: {
        host: ipOf(i),
        outboundPort: 15001,
        inboundPort: 15008,
        plaintextPort: 15006,
        originalDestination: {
          outbound: { address: ipOf(i + 1), port: portOf(i + 1) },
          plaintext: { address: ipOf(i), port: portOf(i) },
        },
      },
    });
  }
  const answers = await Promise.all(
    names.map(async (_, i) => {
      const socket: Socket = net.connect({ host: ipOf(i), port: 15001 });
      let text = '';
      socket.on('data', (chunk) => (text += String(chunk)));
      await once(socket, 'close');
      return text;
    }),
  );
  assert.deepEqual(
    answers,
    names.map((_, i) => names[(i + 1) % names.length]),
  );
  for (const [i, name] of names.entries()) {
    await part.logLine(
      new RegExp(`src.identity="[^"]+/sa/${name}" .*dst.identity="[^"]+/sa/pod-${(i + 1) % names.length}"`),
    );
  }
  say(`200 pods, ${Math.round((process.memoryUsage().rss - before) / megabyte)} MB more than without them`);
  await part.drain(100);
  for (const application of applications) application.close();
});
