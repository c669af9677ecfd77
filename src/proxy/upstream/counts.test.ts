import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../decision/balance/fixtures.ts';
import type { ExchangeFailure } from '../../http/message.ts';
import { settled } from './fake-hosts.ts';
import { fakeUpstreams } from './fake-upstreams.ts';
import { applyMesh, endpoint, requestHead, web } from './upstream-fixtures.ts';

const pods = ['a', 'b', 'c'].map((name, i) => endpoint(name, `10.0.0.${i + 1}`));
const reasons: readonly ExchangeFailure[] = ['connection-termination', 'remote-reset', 'refused', 'protocol-error'];

/** One thing that happens; numbers choose what it happens to. */
const step = fc.tuple(fc.integer({ min: 0, max: 11 }), fc.nat(50), fc.nat(3));

test('whatever happens, in whatever order, every request ends once, and no count stays', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), fc.nat(), async (steps, seed) => {
      const limits = { maxConnections: 4, maxPendingRequests: 4, maxRequests: 6, maxRequestsPerConnection: 5 };
      const { hosts, send, mesh, upstreams, reconfigure, clock } = fakeUpstreams(
        { loadBalancer: { kind: 'least-request' }, connectionPool: limits },
        [web, ...pods],
        { random: seededRandom(seed) },
      );
      hosts.maxStreams = 3;
      const all: ReturnType<typeof send>[] = [];
      const pick = <T>(items: readonly T[], at: number): T | undefined => items[at % Math.max(items.length, 1)];
      for (const [kind, at, choice] of steps) {
        const pod = pick(pods, at) as (typeof pods)[number];
        const exchange = pick(hosts.exchanges, at);
        switch (kind) {
          case 0:
          case 1:
            all.push(send());
            break;
          case 2: {
            const heard = send({ head: requestHead('/', { version: 'http/2', method: 'POST' }), ends: false });
            if (choice > 0) heard.exchange.write(Buffer.from('x'));
            if (choice > 1) heard.exchange.end();
            all.push(heard);
            break;
          }
          case 3:
          case 4:
            exchange?.answer();
            break;
          case 5:
            exchange?.break(reasons[choice] ?? 'refused', at % 2 === 0 ? 'no' : 'maybe');
            break;
          case 6:
            pick(all, at)?.exchange.reset();
            break;
          case 7:
            pick(hosts.connections, at)?.close();
            break;
          case 8:
            hosts.isOpen = choice > 1;
            break;
          case 9: {
            const dial = pick(hosts.dials, at);
            if (choice === 0) await dial?.fail(new Error('refused'));
            else void dial?.connect();
            break;
          }
          case 10:
            if (choice > 1) applyMesh(mesh, pod);
            else mesh.applyAddresses({ updated: [], removed: [pod.uid] });
            break;
          default:
            reconfigure({
              loadBalancer: { kind: 'least-request' },
              connectionPool: limits,
              ...(choice === 0 ? { protocol: 'http2' as const } : {}),
            });
        }
        if (at % 3 === 0) await settled();
      }
      applyMesh(mesh, ...pods);
      for (let i = 0; i < 3 || (i < 20 && all.some(({ isClosed }) => !isClosed)); i++) {
        hosts.isOpen = true;
        for (const dial of hosts.dials) void dial.connect();
        await settled();
        for (const exchange of hosts.exchanges) exchange.answer();
      }
      for (const connection of hosts.connections) connection.close();
      await settled();
      assert.ok(
        all.every(({ isClosed }) => isClosed),
        'a request never ended',
      );
      const [status] = upstreams.describe();
      const counts = status?.hosts.map(({ activeRequests, connections }) => [activeRequests, connections]);
      assert.deepEqual(
        [status?.activeRequests, status?.pendingRequests, status?.connections, counts],
        [0, 0, 0, pods.map(() => [0, 0])],
      );
      upstreams.close();
      assert.equal(clock.pending, 0);
    }),
    { seed: 11, numRuns: 300 },
  );
});
