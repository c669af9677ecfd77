import { deepEqual, equal, throws } from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { parsePorts, portForwardProtocol, servePortForward } from './port-forward.ts';

const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
const webSockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
let port = 0;

before(async () => {
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  port = (echo.address() as AddressInfo).port;
  webSockets.on('connection', (webSocket) => {
    const dial = async (to: number): Promise<Socket> => {
      const socket = connect({ host: '127.0.0.1', port: to });
      await once(socket, 'connect');
      return socket;
    };
    servePortForward({ webSocket, ports: [port, 1], connect: dial });
  });
});
after(() => {
  echo.close();
  webSockets.close();
});

test('each port has a data and an error channel that begin with its number', async () => {
  const client = new WebSocket(`ws://127.0.0.1:${(webSockets.address() as AddressInfo).port}`, portForwardProtocol);
  const received = new Map<number, Buffer[]>();
  client.on('message', (data: Buffer) => {
    const channel = data[0] ?? 0;
    received.set(channel, [...(received.get(channel) ?? []), data.subarray(1)]);
  });
  await once(client, 'open');
  const sent = Buffer.alloc(3_000_000, 'abc');
  for (let at = 0; at < sent.length; at += 50_000)
    client.send(Buffer.concat([Buffer.from([0]), sent.subarray(at, at + 50_000)]));
  const length = (channel: number): number => Buffer.concat(received.get(channel) ?? []).length;
  while (length(0) < sent.length + 2) await once(client, 'message');
  const data = Buffer.concat(received.get(0) ?? []);
  equal(data.readUInt16LE(0), port);
  equal(data.subarray(2).equals(sent), true);
  const failure = Buffer.concat(received.get(3) ?? []);
  equal(failure.readUInt16LE(0), 1);
  equal(failure.subarray(2).toString().startsWith('error forwarding port 1 to pod: '), true);
  client.close();
  await once(client, 'close');
});

test('ports are read from either form, and checked', () => {
  deepEqual(parsePorts(new URLSearchParams('ports=80&ports=443,8080')), [80, 443, 8080]);
  for (const text of ['', 'ports=0', 'ports=70000', 'ports=x', 'ports=1.5'])
    throws(() => parsePorts(new URLSearchParams(text)), RangeError);
});
