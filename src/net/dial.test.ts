import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { dial } from './dial.ts';
import { descriptorOf } from './socket-handle.ts';
import { getOption, linux } from './sys.ts';

test('a silent peer is asked as often as the caller says', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const to = { host: '127.0.0.1', port, timeoutMs: 5000 };
  const probesOf = async (more: Partial<Parameters<typeof dial>[0]>): Promise<number[]> => {
    const socket = await dial({ ...to, ...more });
    const fd = descriptorOf(socket) as number;
    const values = [linux.TCP_KEEPINTVL, linux.TCP_KEEPCNT].map((name) =>
      Buffer.from(getOption(fd, linux.SOL_TCP, name, 4) ?? []).readInt32LE(),
    );
    socket.destroy();
    return values;
  };
  const asked = await probesOf({ keepAliveMs: 60_000, keepAliveProbes: { intervalMs: 7000, count: 4 } });
  assert.deepEqual(asked, [7, 4]);
  assert.notDeepEqual(await probesOf({ keepAliveMs: 60_000 }), [7, 4]);
  server.close();
});
