import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { kinds } from '../api/kinds.ts';
import type { Condition } from '../api/meta.ts';
import type { KubeClient } from '../kube/index.ts';
import { createFakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { createStatusWriter, type Judged, type StatusKind, type StatusObject } from './status-writer.ts';

/** One policy, and everything that its status depends on. */
function openWorld() {
  const clock = createFakeClock();
  const writes: string[] = [];
  const world = {
    clock,
    writes,
    leads: true,
    behind: [] as string[],
    refusal: undefined as { clients: number; reason: string } | undefined,
    policy: undefined as StatusObject | undefined,
    fields: undefined as Record<string, unknown> | undefined,
    merged: undefined as Judged['merged'],
    distributedAs: 'policy' as StatusKind['distributedAs'],
    verdict: { status: 'True' as const, reason: 'Accepted', message: 'ok' },
    version: 0,
    /** A new generation, as discovery tells it. */
    change(): void {
      const generation = (world.policy?.metadata.generation ?? 0) + 1;
      const metadata = { namespace: 'ns', name: 'p', generation, resourceVersion: String(++world.version) };
      world.policy = { metadata, ...(world.policy?.status ? { status: world.policy.status } : {}) };
      writer.changed(kinds.AuthorizationPolicy, 'ns/p');
    },
    progress(): void {
      writer.progressed();
    },
    lead(): void {
      world.leads = true;
      writer.lead();
    },
    /** What was asked for has been done, as far as it can be without time passing. */
    settle: async (): Promise<void> => {
      for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    },
  };
  const client = {
    async patch(_kind: unknown, _name: string, _namespace: string, patch: { status: Record<string, unknown> }) {
      const { conditions: given, ...fields } = patch.status as { conditions?: Condition[] };
      const conditions = given ?? world.policy?.status?.conditions ?? [];
      const told = Object.keys(fields).length > 0 ? `${JSON.stringify(fields)} ` : '';
      writes.push(told + conditions.map(({ type, status, reason }) => `${type}=${status}(${reason})`).join(' '));
      assert.ok(world.policy);
      const metadata = { ...world.policy.metadata, resourceVersion: String(++world.version) };
      world.policy = { metadata, status: { ...world.policy.status, ...fields, conditions } };
      writer.changed(kinds.AuthorizationPolicy, 'ns/p');
      return world.policy;
    },
  } as unknown as KubeClient;
  const writer = createStatusWriter({
    client,
    kinds: [
      {
        kind: kinds.AuthorizationPolicy,
        fieldManager: 'test',
        get distributedAs() {
          return world.distributedAs;
        },
        conditionTypes: ['ZtunnelAccepted'],
        current: () => world.policy,
        judged: () =>
          world.policy && {
            generation: world.policy.metadata.generation,
            conditions: { ZtunnelAccepted: world.verdict },
            ...(world.fields ? { fields: world.fields } : {}),
            ...(world.merged ? { merged: world.merged } : {}),
          },
      },
    ],
    behind: () => world.behind,
    refusal: () => world.refusal,
    isLeader: () => world.leads,
    clock,
    signal: new AbortController().signal,
    log: silentLog(),
  });
  return world;
}

describe('the status of a policy', () => {
  it('is written once for a change that every ztunnel holds in time', async () => {
    const world = openWorld();
    world.behind = ['istiod-1'];
    world.change();
    await world.settle();
    assert.deepEqual(world.writes, [], 'it waits for the data planes');
    world.behind = [];
    world.progress();
    await world.settle();
    world.clock.advance(60_000);
    await world.settle();
    assert.deepEqual(world.writes, ['ZtunnelAccepted=True(Accepted) Reconciled=True(Reconciled)']);
  });

  it('names who is behind when a change takes longer, and is put right later', async () => {
    const world = openWorld();
    world.behind = ['istiod-2'];
    world.change();
    await world.settle();
    world.clock.advance(1000);
    await world.settle();
    assert.deepEqual(world.writes, ['ZtunnelAccepted=True(Accepted) Reconciled=False(Pending)']);
    assert.match(world.policy?.status?.conditions?.[1]?.message ?? '', /every proxy of istiod-2/);
    world.behind = [];
    world.progress();
    await world.settle();
    world.clock.advance(1000);
    await world.settle();
    assert.equal(world.writes.length, 2);
    assert.match(world.writes[1] ?? '', /Reconciled=True/);
  });

  it('is written at most once a second, however often the policy changes', async () => {
    const world = openWorld();
    for (let i = 0; i < 20; i++) {
      world.change();
      await world.settle();
      world.clock.advance(100);
      await world.settle();
    }
    assert.ok(world.writes.length <= 3, `${world.writes.length} writes in two seconds`);
    world.clock.advance(1000);
    await world.settle();
    assert.equal(world.policy?.status?.conditions?.[0]?.observedGeneration, 20);
  });

  it('stays reconciled, also for a leader that has not heard of all replicas', async () => {
    const world = openWorld();
    world.change();
    await world.settle();
    world.behind = ['istiod-1'];
    world.lead();
    await world.settle();
    world.clock.advance(5000);
    await world.settle();
    assert.equal(world.writes.length, 1);
  });

  it('tells what ztunnels refuse', async () => {
    const world = openWorld();
    world.refusal = { clients: 2, reason: 'rules[0]: unknown action' };
    world.change();
    await world.settle();
    assert.deepEqual(world.writes, ['ZtunnelAccepted=True(Accepted) Reconciled=False(Refused)']);
    assert.match(world.policy?.status?.conditions?.[1]?.message ?? '', /refused by 2 ztunnels: rules\[0\]/);
  });

  it('is written by the leader alone, and by the next one when it takes over', async () => {
    const world = openWorld();
    world.leads = false;
    world.change();
    await world.settle();
    world.clock.advance(60_000);
    await world.settle();
    assert.deepEqual(world.writes, []);
    world.lead();
    await world.settle();
    assert.equal(world.writes.length, 1);
  });

  it('has further fields at once, without waiting for data planes, and once', async () => {
    const world = openWorld();
    world.behind = ['istiod-1'];
    world.fields = { addresses: [{ value: '240.240.0.1' }] };
    world.change();
    await world.settle();
    assert.deepEqual(world.writes, [
      '{"addresses":[{"value":"240.240.0.1"}]} ZtunnelAccepted=True(Accepted) Reconciled=False(Pending)',
    ]);
    world.behind = [];
    world.progress();
    await world.settle();
    world.clock.advance(1000);
    await world.settle();
    assert.deepEqual(world.writes.slice(1), ['ZtunnelAccepted=True(Accepted) Reconciled=True(Reconciled)']);
    world.fields = { addresses: null };
    world.change();
    await world.settle();
    world.clock.advance(1000);
    await world.settle();
    assert.match(world.writes[2] ?? '', /^\{"addresses":null\}/);
  });

  it('tells nothing of distribution for kinds that do not, nor a refusal of a policy that has the name', async () => {
    const world = openWorld();
    world.refusal = { clients: 1, reason: 'x' };
    world.distributedAs = 'untold';
    world.behind = ['istiod-1'];
    world.change();
    await world.settle();
    assert.deepEqual(world.writes, ['ZtunnelAccepted=True(Accepted)']);
    world.distributedAs = 'addresses';
    world.behind = [];
    world.change();
    await world.settle();
    world.clock.advance(1000);
    await world.settle();
    assert.deepEqual(world.writes.slice(1), ['ZtunnelAccepted=True(Accepted) Reconciled=True(Reconciled)']);
  });

  it('merges what has to be merged with what the object says already', async () => {
    const world = openWorld();
    world.merged = (status, { generation }) => ({
      parts: [...((status['parts'] as number[]) ?? [])].concat(generation ?? 0),
    });
    world.distributedAs = 'untold';
    world.change();
    await world.settle();
    assert.match(world.writes[0] ?? '', /^\{"parts":\[1\]\} /);
    world.merged = (status) => ({ parts: status['parts'] });
    world.clock.advance(1000);
    world.change();
    await world.settle();
    assert.ok(!world.writes.at(-1)?.includes('parts'), 'equal parts are not written again');
  });
});
