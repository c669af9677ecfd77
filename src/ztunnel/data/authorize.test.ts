import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { policyKey } from '../../api/names.ts';
import { MeshState } from '../../mesh/index.ts';
import { meshWorkload } from '../../mesh/fixtures.ts';
import type { Authorization } from '../../policy/index.ts';
import { MetricsRegistry, openAccessLog, registerTcpMetrics } from '../../telemetry/index.ts';
import { createAuthorizer, unknownPolicyHoldMs, type Authorizer } from './authorize.ts';
import { ConnectionRegistry, type Connection } from './connections.ts';

interface World {
  readonly mesh: MeshState;
  readonly connections: ConnectionRegistry;
  readonly authorizer: Authorizer;
  readonly lines: string[];
  /** Runs what waits at the manual clock. */
  readonly advance: (ms: number) => void;
  readonly inbound: (podUid?: string, own?: ReturnType<typeof meshWorkload>) => Connection;
}

const own = meshWorkload({ addresses: ['10.0.0.2'] });

function world(): World {
  let nowMs = 0;
  const timers: { atMs: number; run: () => void }[] = [];
  const clock: Clock = {
    nowMs: () => nowMs,
    after(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run };
      timers.push(timer);
      return () => void timers.splice(0, timers.length, ...timers.filter((other) => other !== timer));
    },
  };
  const log = silentLog();
  const lines: string[] = [];
  const accessLog = openAccessLog({
    format: 'text',
    nowMs: () => nowMs,
    write: (text, done) => (lines.push(text), done()),
  });
  const tcpMetrics = registerTcpMetrics(new MetricsRegistry({ clock, log }));
  const mesh = new MeshState();
  const connections = new ConnectionRegistry({ clock, accessLog, tcpMetrics });
  const authorizer = createAuthorizer({ mesh, connections, clock, log });
  return {
    mesh,
    connections,
    authorizer,
    lines,
    advance(ms) {
      nowMs += ms;
      for (const timer of timers.slice()) if (timer.atMs <= nowMs) timer.run();
    },
    inbound(podUid = 'pod', workload = own) {
      const connection = connections.open({
        podUid,
        direction: 'inbound',
        src: '10.0.0.1:1',
        originalDst: '10.0.0.2:80',
      });
      connection.authorize({
        own: workload,
        facts: { sourceIp: '10.0.0.1', source: undefined, destinationIp: '10.0.0.2', destinationPort: 80 },
      });
      return connection;
    },
  };
}

function policy(more: Partial<Authorization>): Authorization {
  return {
    name: 'p',
    namespace: 'shop',
    scope: 'namespace',
    action: 'deny',
    rules: [{ clauses: [] }],
    dryRun: false,
    ...more,
  };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a policy that is named and unknown is waited for until the hold ends, and then refuses', async () => {
  const { mesh, authorizer, advance, inbound } = world();
  mesh.applyAddresses({
    updated: [{ kind: 'workload', workload: { ...own, authorizationPolicies: [policyKey('shop', 'late')] } }],
    removed: [],
  });
  const deciding = authorizer.decide(inbound());
  advance(unknownPolicyHoldMs - 1);
  await turn();
  advance(1);
  assert.equal((await deciding).kind, 'unknown');
});

test('its arrival ends the wait', async () => {
  const { mesh, authorizer, inbound } = world();
  mesh.applyAddresses({
    updated: [{ kind: 'workload', workload: { ...own, authorizationPolicies: [policyKey('shop', 'late')] } }],
    removed: [],
  });
  const deciding = authorizer.decide(inbound());
  mesh.applyAuthorizations({
    updated: [policy({ name: 'late', scope: 'workload-selector', action: 'allow' })],
    removed: [],
  });
  assert.deepEqual(await deciding, { kind: 'allow', policy: 'shop/late', findings: [] });
});

test('live connections are checked in slices of the loop, all of them, and cut with the policy that denies', async () => {
  const { mesh, connections, inbound, lines } = world();
  const live = Array.from({ length: 5000 }, () => inbound());
  mesh.applyAuthorizations({ updated: [policy({})], removed: [] });
  assert.ok(
    live.every((connection) => !connection.signal.aborted),
    'nothing is checked in the turn of the push',
  );
  while (live.some((connection) => !connection.signal.aborted)) await turn();
  live[0]?.finish({});
  await turn();
  assert.match(lines.join(''), /connection failed.*error="connection closed due to policy change"/);
  assert.equal(connections.size, 4999);
});

test('a change in the middle of a walk is not missed by those that were looked at before it', async () => {
  const { mesh, inbound } = world();
  const live = Array.from({ length: 20_000 }, (_, i) => inbound(`pod-${i % 50}`));
  mesh.applyAuthorizations({ updated: [policy({ dryRun: true })], removed: [] });
  await turn();
  mesh.applyAuthorizations({ updated: [policy({})], removed: [] });
  while (live.some((connection) => !connection.signal.aborted)) await turn();
});

test('a change of a workload checks its own connections only', async () => {
  const { mesh, inbound } = world();
  mesh.applyAuthorizations({ updated: [policy({ scope: 'workload-selector' })], removed: [] });
  const other = meshWorkload({ name: 'other' });
  const mine = inbound('a', own);
  const theirs = inbound('b', other);
  const named = { ...own, authorizationPolicies: [policyKey('shop', 'p')] };
  mesh.applyAddresses({ updated: [{ kind: 'workload', workload: named }], removed: [] });
  await turn();
  assert.deepEqual([mine.signal.aborted, theirs.signal.aborted], [true, false]);
});

test('an unknown policy never cuts a live connection, nor does the end of its workload', async () => {
  const { mesh, inbound } = world();
  const live = inbound();
  mesh.applyAddresses({
    updated: [{ kind: 'workload', workload: { ...own, authorizationPolicies: [policyKey('shop', 'late')] } }],
    removed: [],
  });
  await turn();
  mesh.applyAddresses({ updated: [], removed: [own.uid] });
  await turn();
  assert.equal(live.signal.aborted, false);
});
