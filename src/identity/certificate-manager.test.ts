import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTestAuthority, testIdentity, type TestAuthority } from '../../test/support/certificates.ts';
import type { SpiffeId } from '../api/names.ts';
import type { Clock } from '../lib/clock.ts';
import { silentLog } from '../lib/log.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { dumpCertificate } from './certificate-dump.ts';
import { createCertificateManager, type CertificateManager, type CertificateStatus } from './certificate-manager.ts';
import { registerCertificateMetrics } from './certificate-metrics.ts';

const web = testIdentity('shop/web');
const hourMs = 3600_000;
const never = new AbortController().signal;

describe('certificate manager', () => {
  test('an identity is issued once, for all who ask', async () => {
    const { manager, asked, authorityAnswers } = await setUp();
    const both = Promise.all([manager.certificate(web, never), manager.certificate(web, never)]);
    await authorityAnswers(1);
    const [one, two] = await both;
    assert.equal(one, two);
    assert.equal(one.identity, web);
    assert.equal(await manager.certificate(web, never), one);
    assert.deepEqual(asked, [web]);
    manager.close();
  });

  test('it is renewed at about half of its life, and the old one serves meanwhile', async () => {
    const { manager, clock, asked, authorityAnswers } = await setUp();
    const rotated: number[] = [];
    manager.onRotate(({ generation }) => rotated.push(generation));
    manager.retain(web);
    await authorityAnswers(1);
    const first = await manager.certificate(web, never);
    clock.advance(11 * hourMs);
    assert.equal(asked.length, 1);
    clock.advance(2 * hourMs);
    assert.equal(asked.length, 2);
    assert.equal(await manager.certificate(web, never), first);
    await authorityAnswers(1);
    const second = await manager.certificate(web, never);
    assert.equal(second.generation, 2);
    assert.notEqual(second.serial, first.serial);
    assert.notEqual(second.key, first.key);
    assert.deepEqual(rotated, [1, 2]);
    manager.close();
  });

  test('while renewal fails the old one serves until it ends, then the failure shows', async () => {
    const { manager, clock, authorityAnswers, authorityRefuses, settle } = await setUp();
    manager.retain(web);
    await authorityAnswers(1);
    const first = await manager.certificate(web, never);
    await authorityRefuses('out of order');
    for (let minute = 0; minute < 23 * 60; minute += 2) {
      clock.advance(120_000);
      await settle();
    }
    assert.equal(await manager.certificate(web, never), first);
    for (let minute = 0; minute < 70; minute += 2) {
      clock.advance(120_000);
      await settle();
    }
    await assert.rejects(manager.certificate(web, never), { code: 'identity.not-issued', message: /out of order/ });
    await authorityAnswers(Infinity);
    const rotated = new Promise((resolve) => manager.onRotate(resolve));
    clock.advance(200_000);
    await rotated;
    assert.equal((await manager.certificate(web, never)).generation, 2);
    manager.close();
  });

  test('one that ended while the machine slept is renewed for who asks, and soon in any case', async () => {
    const { manager, clock, asked, authorityAnswers, sleep } = await setUp();
    const api = testIdentity('shop/api');
    for (const identity of [web, api]) manager.retain(identity);
    await authorityAnswers(2);
    const first = await manager.certificate(web, never);
    sleep(25 * hourMs);
    const awaited = manager.certificate(web, never);
    assert.equal(asked.length, 3, 'nobody waits for a timer');
    await authorityAnswers(1);
    const second = await awaited;
    assert.equal(second.generation, first.generation + 1);
    clock.advance(60_000);
    assert.deepEqual(asked.slice(3), [api], 'timers do not count the time of a machine that sleeps');
    manager.close();
  });

  test('why it could not be renewed is told while it serves', async () => {
    const { manager, clock, authorityAnswers, authorityRefuses } = await setUp();
    const metrics = new MetricsRegistry({ clock, log: silentLog() });
    registerCertificateMetrics(metrics).follow(manager);
    manager.retain(web);
    await authorityAnswers(1);
    await manager.certificate(web, never);
    const shown = (): readonly unknown[] => {
      const [status] = manager.list();
      const { state, renewalError = '' } = dumpCertificate(status as CertificateStatus);
      return [state, renewalError, /^ambit_certificates_overdue (\d)/m.exec(metrics.write('text'))?.[1]];
    };
    assert.deepEqual(shown(), ['Available', '', '0']);
    clock.advance(13 * hourMs);
    await authorityRefuses('out of order');
    assert.deepEqual(shown(), ['Available', `Cannot get a certificate for ${web}: out of order`, '1']);
    await authorityAnswers(Infinity);
    clock.advance(200_000);
    await new Promise((resolve) => manager.onRotate(resolve));
    assert.deepEqual(shown(), ['Available', '', '0']);
    manager.close();
  });

  test('an authority that is back is asked for all who missed it, and not again for whom it refused', async () => {
    const { manager, clock, asked, denied, authorityAnswers, authorityRefuses, settle } = await setUp();
    const [api, batch] = [testIdentity('shop/api'), testIdentity('shop/batch')];
    denied.add(batch);
    await authorityRefuses('nobody is there');
    for (const identity of [web, batch]) manager.retain(identity);
    // The waits of these two are long by now.
    for (let second = 0; second < 130; second++) {
      clock.advance(1000);
      await settle();
    }
    const states = (): string[] => manager.list().map(({ state }) => state.kind);
    assert.deepEqual(states(), ['unavailable', 'unavailable']);
    asked.length = 0;
    await authorityAnswers(Infinity);
    manager.retain(api);
    while (states().filter((kind) => kind === 'available').length < 2) await settle();
    assert.deepEqual(
      [asked, states()],
      [
        [api, web],
        ['available', 'unavailable', 'available'],
      ],
    );
    manager.close();
  });

  test('failures back off from 1 s, doubling, and are told at once to who asks', async () => {
    const { manager, clock, asked, authorityRefuses, settle } = await setUp();
    await authorityRefuses('no');
    await assert.rejects(manager.certificate(web, never), { code: 'identity.not-issued' });
    await assert.rejects(manager.certificate(web, never), { code: 'identity.not-issued' });
    assert.equal(asked.length, 1);
    const tries: number[] = [];
    for (let tenth = 0; tenth < 4000; tenth++) {
      const before = asked.length;
      clock.advance(100);
      await settle();
      if (asked.length > before) tries.push(tenth / 10);
    }
    assert.deepEqual(tries.slice(0, 5).map(Math.round), [1, 3, 7, 15, 31]);
    const longest = Math.max(...tries.slice(1).map((at, i) => at - (tries[i] ?? 0)));
    assert.ok(longest <= 150.1, `${longest}`);
    manager.close();
  });

  test('at most eight requests run at once, and who waits goes first', async () => {
    const { manager, asked, authorityAnswers } = await setUp();
    const names = Array.from({ length: 20 }, (_, i) => testIdentity(`shop/w${i}`));
    for (const name of names) manager.retain(name);
    assert.equal(asked.length, 8);
    const last = names.at(-1) ?? web;
    const certificate = manager.certificate(last, never);
    await authorityAnswers(1);
    assert.equal(asked[8], last);
    await authorityAnswers(Infinity);
    assert.equal((await certificate).identity, last);
    assert.equal(asked.length, 20);
    manager.close();
  });

  test('the last release forgets, and nothing is renewed afterwards', async () => {
    const { manager, clock, asked, authorityAnswers } = await setUp();
    manager.retain(web);
    manager.retain(web);
    await authorityAnswers(Infinity);
    await manager.certificate(web, never);
    manager.release(web);
    assert.equal(manager.list()[0]?.holders, 1);
    manager.release(web);
    assert.deepEqual(manager.list(), []);
    clock.advance(48 * hourMs);
    assert.equal(asked.length, 1);
    manager.close();
  });

  test('who waits is released when it gives up, and when the identity leaves', async () => {
    const { manager } = await setUp();
    const patience = new AbortController();
    const impatient = manager.certificate(web, patience.signal);
    patience.abort();
    await assert.rejects(impatient, { code: 'identity.given-up' });
    manager.retain(web);
    const waiting = manager.certificate(web, never);
    manager.release(web);
    await assert.rejects(waiting, { code: 'identity.given-up' });
    manager.close();
  });

  test('an identity of another trust domain is refused without asking', async () => {
    const { manager, asked } = await setUp();
    const foreign = testIdentity('spiffe://other.example/ns/a/sa/b');
    manager.retain(foreign);
    await assert.rejects(manager.certificate(foreign, never), { code: 'identity.wrong-trust-domain' });
    assert.deepEqual(asked, []);
    manager.close();
  });

  test('an answer for another identity or key is not used', async () => {
    const authority = await createTestAuthority();
    const { csrPem } = (await import('./csr.ts')).createCsr(web);
    const wrongs: ((csr: string) => Promise<readonly string[]>)[] = [
      (csr) => authority.signWorkload({ csrPem: csr, identity: testIdentity('shop/other') }),
      () => authority.signWorkload({ csrPem, identity: web }),
      async (csr) => (await authority.signWorkload({ csrPem: csr, identity: web })).slice(0, 1),
      async (csr) => [
        ...(await authority.signWorkload({ csrPem: csr, identity: web })).slice(0, 1),
        (await createTestAuthority()).rootPem,
      ],
      () => Promise.resolve(['x', 'y']),
    ];
    for (const sign of wrongs) {
      const clock = createFakeClock();
      const manager = createCertificateManager({ sign, trustDomain: 'cluster.local', clock, log: silentLog() });
      await assert.rejects(manager.certificate(web, never), {
        code: 'identity.not-issued',
        message: /Cannot use the certificate/,
      });
      manager.close();
    }
  });
});

interface SetUp {
  readonly manager: CertificateManager;
  readonly clock: FakeClock;
  /** Identities in the order in which the authority was asked. */
  readonly asked: SpiffeId[];
  /** Those that the authority refuses, whenever it answers. */
  readonly denied: Set<SpiffeId>;
  /** Answers waiting and later requests, up to `count`, and lets the manager take them. */
  readonly authorityAnswers: (count: number) => Promise<void>;
  readonly authorityRefuses: (reason: string) => Promise<void>;
  readonly settle: () => Promise<void>;
  /** The time of day goes on, and timers do not. */
  readonly sleep: (ms: number) => void;
}

async function setUp(): Promise<SetUp> {
  const awake = createFakeClock();
  let sleptMs = 0;
  const clock = { ...awake, nowMs: () => awake.nowMs() + sleptMs };
  const authority: TestAuthority = await createTestAuthority(clock);
  const asked: SpiffeId[] = [];
  const waiting: (() => Promise<void>)[] = [];
  let allowance = 0;
  let refusal: string | undefined;
  const denied = new Set<SpiffeId>();
  const serve = async (): Promise<void> => {
    while (waiting.length > 0 && (allowance > 0 || refusal !== undefined)) {
      allowance--;
      await waiting.shift()?.();
    }
    await settle();
  };
  const manager = createCertificateManager({
    sign: (csrPem, identity) => {
      asked.push(identity);
      return new Promise((resolve, reject) => {
        waiting.push(async () => {
          if (denied.has(identity)) reject(Object.assign(new Error('no'), { code: 'rpc.permission-denied' }));
          else if (refusal === undefined)
            resolve(await authority.signWorkload({ csrPem, identity, ttlSeconds: 24 * 3600 }));
          else reject(new Error(refusal));
        });
        void serve();
      });
    },
    trustDomain: 'cluster.local',
    clock,
    log: silentLog(),
    random: () => 0.5,
  });
  return {
    manager,
    clock,
    asked,
    denied,
    settle,
    sleep: (ms) => void (sleptMs += ms),
    async authorityAnswers(count) {
      allowance = count;
      refusal = undefined;
      await serve();
    },
    async authorityRefuses(reason) {
      refusal = reason;
      await serve();
    },
  };
}

/** Lets promises and the crypto of the authority go on; no time passes on the fake clock. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}

interface FakeClock extends Clock {
  advance(byMs: number): void;
}

function createFakeClock(): FakeClock {
  let nowMs = Date.now();
  let timers: { readonly atMs: number; readonly run: () => void }[] = [];
  return {
    nowMs: () => nowMs,
    after(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance(byMs) {
      const untilMs = nowMs + byMs;
      for (;;) {
        const due = timers.filter(({ atMs }) => atMs <= untilMs).toSorted((a, b) => a.atMs - b.atMs)[0];
        if (!due) break;
        timers = timers.filter((other) => other !== due);
        nowMs = due.atMs;
        due.run();
      }
      nowMs = untilMs;
    },
  };
}
