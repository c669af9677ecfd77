import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeObject, Lease } from '../api/index.ts';
import { createFakeClock, type FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import type { KubeClient } from './client.ts';
import { KubeError } from './kube-error.ts';
import { startLeaderElection, type LeaderElection } from './lease.ts';

type Api = Pick<KubeClient, 'get' | 'create' | 'replace'>;

function refusal(status: number, reason: string): KubeError {
  return new KubeError(reason, { code: `kube.${reason}`, blame: 'upstream', status });
}

/** One Lease with optimistic concurrency, and contenders each of whose path to it can be cut or can hang. */
function createServer(): {
  lease: Lease | undefined;
  writes: number;
  readonly client: (path: { state: 'up' | 'down' | 'hangs' }) => Api;
} {
  const server = {
    lease: undefined as Lease | undefined,
    writes: 0,
    client(path: { state: 'up' | 'down' | 'hangs' }): Api {
      const pass = async (signal: AbortSignal | undefined): Promise<void> => {
        if (path.state === 'down') throw refusal(0, 'unreachable');
        if (path.state === 'hangs') {
          await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)));
        }
      };
      const write = (object: KubeObject): KubeObject => {
        server.writes++;
        server.lease = structuredClone(object) as Lease;
        server.lease.metadata = { ...server.lease.metadata, uid: 'u', resourceVersion: String(server.writes) };
        return structuredClone(server.lease);
      };
      return {
        async get(_kind, _name, _namespace, signal) {
          await pass(signal);
          if (!server.lease) throw refusal(404, 'not-found');
          return structuredClone(server.lease) as never;
        },
        async create(_kind, object, signal) {
          await pass(signal as AbortSignal);
          if (server.lease) throw refusal(409, 'already-exists');
          return write(object) as never;
        },
        async replace(_kind, object, _subresource, signal) {
          await pass(signal as AbortSignal);
          if (!server.lease) throw refusal(404, 'not-found');
          if (object.metadata.resourceVersion !== server.lease.metadata.resourceVersion) throw refusal(409, 'conflict');
          return write(object) as never;
        },
      };
    },
  };
  return server;
}

interface Contender {
  readonly election: LeaderElection;
  readonly path: { state: 'up' | 'down' | 'hangs' };
  readonly stop: AbortController;
  /** Wall and monotonic clock of this contender; all move together. */
  readonly clock: FakeClock;
  readonly events: string[];
}

function createWorld(): {
  server: ReturnType<typeof createServer>;
  readonly join: (
    name: string,
    options?: { skewMs?: number; onStarted?: (signal: AbortSignal) => Promise<void> },
  ) => Contender;
  /** Moves all clocks on in steps of 100 ms; at each step at most one contender may lead. */
  readonly pass: (seconds: number) => Promise<void>;
} {
  const server = createServer();
  const contenders: Contender[] = [];
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    server,
    join(name, { skewMs = 0, onStarted } = {}) {
      const clock = createFakeClock(1_700_000_000_000 + skewMs);
      const path: Contender['path'] = { state: 'up' };
      const stop = new AbortController();
      const events: string[] = [];
      const election = startLeaderElection({
        client: server.client(path),
        namespace: 'istio-system',
        name: 'ambit',
        identity: name,
        signal: stop.signal,
        log: silentLog(),
        clock,
        monotonicMs: () => clock.nowMs(),
        random: () => 0.5,
        onStarted(signal) {
          events.push('started');
          signal.addEventListener('abort', () => events.push('aborted'));
          return onStarted?.(signal);
        },
        onStopped: () => events.push('stopped'),
      });
      const contender = { election, path, stop, clock, events };
      contenders.push(contender);
      return contender;
    },
    async pass(seconds) {
      for (let step = 0; step < seconds * 10; step++) {
        for (const { clock } of contenders) clock.advance(100);
        await settle();
        const leaders = contenders.filter(({ election }) => election.isLeader());
        assert.ok(leaders.length <= 1, `${leaders.length} leaders`);
      }
    },
  };
}

describe('leader election', () => {
  it('creates the Lease, leads, and renews as Kubernetes expects it', async () => {
    const { server, join, pass } = createWorld();
    const one = join('one');
    await pass(0.1);
    assert.equal(one.election.isLeader(), true);
    assert.deepEqual(server.lease?.spec, {
      holderIdentity: 'one',
      leaseDurationSeconds: 15,
      acquireTime: '2023-11-14T22:13:20.100000Z',
      renewTime: '2023-11-14T22:13:20.100000Z',
      leaseTransitions: 0,
    });
    await pass(30);
    assert.equal(server.lease.spec.acquireTime, '2023-11-14T22:13:20.100000Z');
    assert.notEqual(server.lease.spec.renewTime, '2023-11-14T22:13:20.100000Z');
    assert.ok(server.writes >= 13 && server.writes <= 16, `${server.writes} writes in 30 s`);
    assert.deepEqual(one.events, ['started']);
  });

  it('lets one of two lead, however their clocks differ', async () => {
    for (const skewMs of [-3_600_000, 0, 3_600_000]) {
      const { server, join, pass } = createWorld();
      const one = join('one');
      await pass(1);
      const two = join('two', { skewMs });
      await pass(60);
      assert.deepEqual([one.election.isLeader(), two.election.isLeader()], [true, false]);
      assert.equal(two.election.leader(), 'one');
      assert.equal(server.lease?.spec?.leaseTransitions, 0);
    }
  });

  it('decides a race by who wrote first', async () => {
    const { join, pass } = createWorld();
    const all = ['one', 'two', 'three'].map((name) => join(name));
    await pass(20);
    assert.equal(all.filter(({ election }) => election.isLeader()).length, 1);
  });

  it('hands over at once when a leader is stopped, after its work has ended', async () => {
    const { server, join, pass } = createWorld();
    const work = Promise.withResolvers<void>();
    const one = join('one', { onStarted: () => work.promise });
    await pass(1);
    const two = join('two');
    await pass(3);
    one.stop.abort(new Error('SIGTERM'));
    await pass(3);
    assert.deepEqual(one.events, ['started', 'aborted', 'stopped']);
    assert.equal(two.election.isLeader(), false);
    work.resolve();
    await one.election.done;
    assert.equal(server.lease?.spec?.holderIdentity, '');
    await pass(3);
    assert.equal(two.election.isLeader(), true);
    assert.equal(server.lease.spec.leaseTransitions, 1);
  });

  for (const state of ['down', 'hangs'] as const) {
    it(`stops leading before another may start when the API ${state} for longer than the deadline`, async () => {
      const { join, pass } = createWorld();
      const one = join('one');
      await pass(1);
      const two = join('two');
      await pass(5);
      one.path.state = state;
      await pass(8);
      assert.equal(one.election.isLeader(), true);
      await pass(4);
      assert.deepEqual([one.election.isLeader(), two.election.isLeader()], [false, false]);
      assert.deepEqual(one.events, ['started', 'aborted', 'stopped']);
      await pass(8);
      assert.equal(two.election.isLeader(), true);
      one.path.state = 'up';
      await pass(10);
      assert.deepEqual([one.election.isLeader(), one.election.leader()], [false, 'two']);
    });
  }

  it('goes on leading through an outage that is shorter than the deadline', async () => {
    const { join, pass } = createWorld();
    const one = join('one');
    const two = join('two');
    await pass(5);
    const [leader, other] = one.election.isLeader() ? [one, two] : [two, one];
    leader.path.state = other.path.state = 'down';
    await pass(7);
    leader.path.state = other.path.state = 'up';
    await pass(20);
    assert.equal(leader.election.isLeader(), true);
    assert.deepEqual(leader.events, ['started']);
  });

  it('stops when somebody took the Lease by force', async () => {
    const { server, join, pass } = createWorld();
    const one = join('one');
    await pass(1);
    server.lease!.spec!.holderIdentity = 'intruder';
    server.lease!.metadata.resourceVersion = '1000';
    await pass(3);
    assert.deepEqual(one.events, ['started', 'aborted', 'stopped']);
    assert.equal(one.election.leader(), 'intruder');
    await pass(20);
    assert.deepEqual(one.events, ['started', 'aborted', 'stopped', 'started']);
  });

  it('is not leading when its event loop was held up past the deadline, before any timer ran', async () => {
    const { join, pass } = createWorld();
    const frozen = join('frozen');
    await pass(1);
    const { clock } = frozen;
    const before = clock.nowMs();
    const isLeaderAt = (ms: number): boolean => {
      clock.nowMs = () => before + ms;
      return frozen.election.isLeader();
    };
    assert.deepEqual([isLeaderAt(5000), isLeaderAt(10_000)], [true, false]);
  });

  it('does not begin a second term before the work of the first has ended', async () => {
    const { join, pass } = createWorld();
    const work = Promise.withResolvers<void>();
    const one = join('one', { onStarted: () => work.promise });
    await pass(1);
    one.path.state = 'down';
    await pass(12);
    one.path.state = 'up';
    await pass(20);
    assert.deepEqual(one.events, ['started', 'aborted', 'stopped']);
    work.resolve();
    await pass(3);
    assert.deepEqual(one.events, ['started', 'aborted', 'stopped', 'started']);
  });

  it('refuses times that let two lead', () => {
    const options = { ...({} as Parameters<typeof startLeaderElection>[0]), identity: 'a', log: silentLog() };
    assert.throws(() => startLeaderElection({ ...options, leaseDurationMs: 10_000 }), /must last longer/);
    assert.throws(() => startLeaderElection({ ...options, retryPeriodMs: 9_000 }), /must last longer/);
  });
});
