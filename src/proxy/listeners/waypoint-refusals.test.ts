import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { test } from 'node:test';
import { createTestAuthority } from '../../../test/support/certificates.ts';
import { eventually } from '../../../test/support/run.ts';
import { frameFlag, frameType } from '../../http/h2/constants.ts';
import { RawPeer, rawFrame } from '../../http/h2/raw-peer.ts';
import { connectTls } from '../../identity/index.ts';
import { openLog } from '../../lib/log.ts';
import { listen, tlsChannel } from '../../net/index.ts';
import { writeSnapshot } from '../../telemetry/index.ts';
import { engineBench } from '../engine/engine-fixtures.ts';
import { LiveConnections, type ListenerContext } from './listener-context.ts';
import { createWaypointServer } from './waypoint-server.ts';

test('a waypoint tells of each client that it refuses or ends, and counts it', async () => {
  const lines: string[] = [];
  const log = openLog({ scope: 'proxy', write: (line) => void lines.push(line) });
  const { services, settings } = engineBench({ log }).place;
  const authority = await createTestAuthority();
  const own = await authority.certificate('shop/waypoint');
  const certificate = await authority.certificate('front/client');
  const server = createWaypointServer(
    {
      services,
      identity: own.identity,
      certificate: () => Promise.resolve(own),
      config: () => ({ snapshot: { settings, listeners: new Map() } }) as never,
      ended: new AbortController().signal,
      live: new LiveConnections(),
      late: { wait: () => Promise.resolve(undefined) },
    } as unknown as ListenerContext,
    'main',
  );
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    onConnection: (accepted) => void server.serve(accepted),
  });
  const dial = async (): Promise<RawPeer> => {
    const tcp = connect(listener.address.port, '127.0.0.1');
    tcp.on('error', () => {});
    const { socket } = await connectTls({ socket: tcp, certificate, expected: [own.identity] });
    return new RawPeer(tlsChannel(socket), { skipPreface: false }).greet(true);
  };
  const line = (pattern: RegExp): Promise<string> =>
    eventually(async () => lines.find((text) => pattern.test(text)), `${pattern} in the log`);
  try {
    const undecodable = await dial();
    undecodable.send(rawFrame(frameType.headers, frameFlag.endHeaders, 1, Buffer.alloc(6, 0xff)));
    const told = JSON.parse(await line(/Cannot decode header block/)) as Record<string, string>;
    assert.deepEqual(
      { message: told['message'], client: told['client'], identity: told['identity'] },
      { message: 'ended a connection', client: '127.0.0.1', identity: 'spiffe://cluster.local/ns/front/sa/client' },
    );
    const flood = await dial();
    for (let i = 0; i < 2000; i++) flood.send(rawFrame(frameType.ping, 0, 0, Buffer.alloc(8)));
    await line(/Peer sends too many PING frames/);

    const wrong = await dial();
    wrong.headers(1, { ':method': 'GET', ':scheme': 'https', ':authority': 'a', ':path': '/' });
    wrong.headers(3, { ':method': 'CONNECT', ':authority': '10.0.0.1:80' });
    await line(/refused a CONNECT.*|method is not CONNECT/);
    await line(/the waypoint is going away/);
    wrong.end();

    const plain = connect(listener.address.port, '127.0.0.1');
    plain.on('error', () => {});
    plain.end('GET / HTTP/1.1\r\n\r\n');
    await once(plain, 'close');
    await line(/refused a connection/);

    const counted = [...writeSnapshot(services.metrics.snapshot(), 'text')]
      .join('')
      .split('\n')
      .filter((text) => text.startsWith('ambit_proxy_refusals_total'));
    assert.deepEqual(counted.toSorted(), [
      'ambit_proxy_refusals_total{reason="connect"} 2',
      'ambit_proxy_refusals_total{reason="handshake"} 1',
      'ambit_proxy_refusals_total{reason="protocol"} 2',
    ]);
    assert.equal(lines.filter((text) => text.includes('ended a connection')).length, 2);
  } finally {
    await listener.close();
  }
});

test('clients who begin handshakes and leave them make room for those who come', () => {
  const { services, settings } = engineBench().place;
  const server = createWaypointServer(
    {
      services,
      certificate: () => new Promise(() => {}),
      config: () => ({ snapshot: { settings, listeners: new Map() } }) as never,
      ended: new AbortController().signal,
      live: new LiveConnections(),
    } as Partial<ListenerContext> as ListenerContext,
    'main',
  );
  const sockets = Array.from({ length: 1001 }, () => new Socket().on('error', () => {}));
  for (const socket of sockets) void server.serve({ socket, remoteAddress: '10.0.0.1', remotePort: 1 });
  assert.deepEqual([sockets[0]?.destroyed, sockets[1]?.destroyed, sockets.at(-1)?.destroyed], [true, false, false]);
  for (const socket of sockets) socket.destroy();
});
