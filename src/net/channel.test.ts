import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import tls from 'node:tls';
import { describeChannelContract } from './channel-contract.ts';
import { channelDuplex, dial, listen, memoryChannelPair, tcpChannel, tlsChannel } from './index.ts';

const pem = readFileSync(new URL('./channel.test.pem', import.meta.url), 'utf8');

/** Both ends of a loopback connection. */
async function connectedSockets(): Promise<{ client: Socket; server: Socket; close: () => Promise<void> }> {
  let onServer: (socket: Socket) => void = () => {};
  const accepted = new Promise<Socket>((resolve) => (onServer = resolve));
  const listener = await listen({ host: '127.0.0.1', port: 0, onConnection: ({ socket }) => onServer(socket) });
  const client = await dial({ host: '127.0.0.1', port: listener.address.port, timeoutMs: 2000 });
  return { client, server: await accepted, close: () => listener.close() };
}

describeChannelContract('memory', () => {
  const [a, b] = memoryChannelPair();
  return { a, b };
});

describeChannelContract('memory that keeps', () => {
  const [a, b] = memoryChannelPair({ keeps: true });
  return { a, b };
});

describeChannelContract('tcp', async () => {
  const { client, server, close } = await connectedSockets();
  return { a: tcpChannel(client), b: tcpChannel(server), dispose: close };
});

describeChannelContract('tls', async () => {
  const { client, server, close } = await connectedSockets();
  const serverTls = new tls.TLSSocket(server, {
    isServer: true,
    cert: pem,
    key: pem,
    minVersion: 'TLSv1.3',
  });
  const clientTls = tls.connect({ socket: client, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
  // A ticket written into a connection that was just reset swallows the error that the next read would report.
  await Promise.all([once(serverTls, 'secure'), once(clientTls, 'secureConnect'), once(clientTls, 'session')]);
  return { a: tlsChannel(clientTls), b: tlsChannel(serverTls), dispose: close };
});

describeChannelContract('tls over a channel', async () => {
  const { client, server, close } = await connectedSockets();
  const serverTls = new tls.TLSSocket(server, { isServer: true, cert: pem, key: pem, minVersion: 'TLSv1.3' });
  const socket = channelDuplex(tcpChannel(client));
  const clientTls = tls.connect({ socket, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
  await Promise.all([once(serverTls, 'secure'), once(clientTls, 'secureConnect'), once(clientTls, 'session')]);
  return { a: tlsChannel(clientTls), b: tlsChannel(serverTls), dispose: close };
});
