import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkloadUid } from '../../api/names.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { meshWorkload } from '../../mesh/fixtures.ts';
import { ConnectionRegistry, type Connection } from './connections.ts';

const clock = createFakeClock();

test('whoever looks for inbound connections of a workload may stop at each connection', () => {
  const registry = new ConnectionRegistry({ clock } as never);
  let looks = 0;
  const add = (podUid: string, own?: WorkloadUid): Connection => {
    const direction = own === undefined ? 'outbound' : 'inbound';
    const connection = registry.open({ podUid, direction, src: '', originalDst: '' });
    const authorized = own && { own: meshWorkload({ uid: own }), facts: {} };
    Object.defineProperty(connection, 'authorized', { get: () => (looks++, authorized) });
    return connection;
  };
  const [wanted, other] = ['wanted', 'other'] as WorkloadUid[];
  for (let i = 0; i < 1000; i++) add('a');
  for (let i = 0; i < 1000; i++) add('b', other);
  for (let i = 0; i < 1000; i++) add('c');
  const last = add('c', wanted);
  const found: Connection[] = [];
  let steps = 0;
  for (const connection of registry.inboundOf(new Set([wanted as WorkloadUid]))) {
    steps++;
    // One connection that it yields, and the first of each pod that is another workload's.
    assert.ok(looks <= 2, `${looks} connections were looked at in one step`);
    if (connection.authorized) found.push(connection);
    looks = 0;
  }
  assert.deepEqual([found, steps], [[last], 2001]);
});
