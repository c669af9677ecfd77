import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../../test/support/run.ts';
import { listen } from '../../net/index.ts';
import { engineBench } from '../engine/engine-fixtures.ts';
import { ConnectionCap } from './connection-cap.ts';
import type { ListenerContext } from './listener-context.ts';
import { createListeners } from './listeners.ts';

const host = '127.0.0.1';

/** A port that is somebody else's until it is closed. */
const taken = (): Promise<Awaited<ReturnType<typeof listen>>> => listen({ host, port: 0, onConnection: () => {} });

test('a proxy is ready once its ports are open, also when one was taken at first, and stays so', async () => {
  const { services } = engineBench().place;
  const clock = services.clock as ReturnType<typeof engineBench>['clock'];
  let readies = 0;
  const context = { services } as Partial<ListenerContext> as ListenerContext;
  const listeners = createListeners({
    context,
    cap: new ConnectionCap({ max: 10, services }),
    host,
    onReady: () => readies++,
  });
  const apply = (...ports: number[]): Promise<void> => {
    const all = ports.map((port) => [`port-${port}`, { type: 'edge', name: `port-${port}`, port }] as const);
    return listeners.apply({ listeners: new Map(all) } as never);
  };
  const open = (): number[] => listeners.addresses().map(({ port }) => port);
  const first = await taken();
  const second = await taken();
  const [a, b] = [first.address.port, second.address.port];
  try {
    await apply(a);
    assert.deepEqual([open(), readies], [[], 0]);
    await first.close();
    clock.advance(1000);
    await eventually(async () => open().length === 1 || undefined, 'the port is open');
    await eventually(async () => readies === 1 || undefined, 'the proxy is ready');
    await apply(a, b);
    assert.deepEqual([open(), readies], [[a], 1]);
    await second.close();
    clock.advance(1000);
    await eventually(async () => open().length === 2 || undefined, 'the other one is open, too');
    assert.equal(readies, 1);
  } finally {
    await listeners.close();
  }
});
