import { equal, match } from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLog } from '../../lib/log.ts';
import { askHostResolver } from '../network/index.ts';
import { isOpenDestination, startEgressRelay } from './egress-relay.ts';

test('the loopback, the link and groups are closed, in every notation', () => {
  for (const address of [
    '127.0.0.1',
    '127.8.9.10',
    '0.0.0.0',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '0:0:0:0:0:ffff:127.0.0.1',
    '169.254.169.254',
    '::ffff:169.254.169.254',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    '224.0.0.1',
    '255.255.255.255',
    'localhost',
    '/tmp/socket',
    '',
  ])
    equal(isOpenDestination(address), false, address);
  for (const address of ['192.0.2.1', '10.0.0.1', '2001:db8::1', '::ffff:192.0.2.1'])
    equal(isOpenDestination(address), true, address);
});

async function withRelay(resolvers: string[], work: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-relay-'));
  const path = join(folder, 'egress.sock');
  const server = await startEgressRelay({ path, resolvers, log: silentLog() });
  try {
    await work(path);
  } finally {
    server.close();
    rmSync(folder, { recursive: true });
  }
}

async function ask(path: string, text: string): Promise<string> {
  const socket: Socket = connect(path);
  socket.write(text);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('error', () => {});
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

test('a closed destination and a malformed request are refused without a connection', async () => {
  const server = createServer(() => {
    throw new Error('nobody may come here');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await withRelay([], async (path) => {
    for (const line of [
      `connect 127.0.0.1 ${port}`,
      `connect ::ffff:127.0.0.1 ${port}`,
      `connect localhost ${port}`,
      'connect 192.0.2.1 0',
      'connect 192.0.2.1 65536',
      'connect 192.0.2.1 80x',
      'connect',
      'CONNECT 192.0.2.1 80',
      '',
    ])
      equal(await ask(path, `${line}\n`), 'refused EACCES\n', line);
    equal(await ask(path, 'x'.repeat(200)), '');
  });
  server.close();
});

test('names are asked of the first resolver that answers', async () => {
  const resolver = createSocket('udp4', (message, from) => {
    const answer = Buffer.from(message);
    answer.writeUInt8(0x80 | (answer[2] ?? 0), 2);
    resolver.send(answer, from.port, from.address);
  });
  resolver.bind(0, '127.0.0.1');
  await once(resolver, 'listening');
  const query = Buffer.from('1234010000010000000000000377777707657861', 'hex');
  await withRelay(['127.0.0.1:1', `127.0.0.1:${resolver.address().port}`], async (path) => {
    const answer = Buffer.from((await askHostResolver(path, query)) ?? []);
    match(answer.toString('hex'), /^12348100/);
    equal(answer.length, query.length);
    equal(await askHostResolver(path, Buffer.from('1234')), undefined, 'no message');
  });
  resolver.close();
});
