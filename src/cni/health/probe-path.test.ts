import { deepEqual, equal } from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { testProbePath } from './probe-path.ts';

/** Descriptors of the network namespace that this process is in. */
function openNamespaces(): number {
  const own = readlinkSync('/proc/self/ns/net');
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === own;
    } catch {
      return false;
    }
  }).length;
}

test('the namespace stays open for as long as a probe is tried, and no longer', async (t) => {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const before = openNamespaces();
  const netns = openSync('/proc/self/ns/net', 'r');
  const tried = testProbePath({ netns, ip: '127.0.0.1', port });
  closeSync(netns);
  equal(openNamespaces(), before + 1);
  await tried;
  equal(openNamespaces(), before);
  deepEqual(await testProbePath({ netns: 999_999, ip: '127.0.0.1', port }), { kind: 'unknown' });
});
