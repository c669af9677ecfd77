import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTestAuthority, testIdentity, type TestAuthority } from '../../test/support/certificates.ts';
import type { SpiffeId } from '../api/names.ts';
import { createFakeClock, type FakeClock } from '../lib/fake-clock.ts';
import { openLog, silentLog } from '../lib/log.ts';
import { createCertificateManager, type CertificateManager } from './certificate-manager.ts';
import type { WorkloadCertificate } from './workload-certificate.ts';

const [web, api, db] = ['shop/web', 'shop/api', 'shop/db'].map(testIdentity) as [SpiffeId, SpiffeId, SpiffeId];
const hourMs = 3600_000;
const never = new AbortController().signal;

describe('a change of the authority', () => {
  test('one answer with another bundle changes what all identities trust, and renews none of them', async () => {
    const { manager, mesh, held, asked } = await setUp();
    const other = await createTestAuthority();
    mesh.roots = mesh.signer.rootPem + other.rootPem;
    manager.refreshTrust();
    await mesh.pass(5000);
    assert.equal(asked.length, 4, 'one of three was asked for again');
    for (const identity of [web, api, db]) {
      const now = await manager.certificate(identity, never);
      assert.equal(now.rootsPem, mesh.roots);
      assert.equal(now.generation, 2);
      assert.equal(held.get(identity), now, 'whoever listens was told');
    }
    manager.close();
  });

  test('a new signer is taken up by all identities within the rollover time, not at half-life', async () => {
    const { manager, mesh, asked } = await setUp();
    const old = await manager.certificate(api, never);
    const other = await createTestAuthority(mesh.clock);
    mesh.roots = mesh.signer.rootPem + other.rootPem;
    mesh.signer = other;
    manager.refreshTrust();
    await mesh.pass(70_000);
    const renewed = await Promise.all([web, api, db].map((identity) => manager.certificate(identity, never)));
    assert.equal(new Set(renewed.map(({ issuerFingerprint }) => issuerFingerprint)).size, 1);
    assert.notEqual(renewed[0]?.issuerFingerprint, old.issuerFingerprint);
    const before = asked.length;
    await mesh.pass(2 * hourMs);
    assert.equal(asked.length, before, 'and then there is peace');
    manager.close();
  });

  test('a replica that still signs with the old key starts no storm', async () => {
    const { manager, mesh, asked } = await setUp();
    const old = mesh.signer;
    const other = await createTestAuthority(mesh.clock);
    mesh.roots = old.rootPem + other.rootPem;
    // Every second answer comes from the replica that is behind.
    mesh.pick = () => (asked.length % 2 === 0 ? other : old);
    manager.refreshTrust();
    await mesh.pass(2 * hourMs);
    assert.ok(asked.length <= 3 + 2 + 3, `${asked.length} requests`);
    manager.close();
  });

  test('a certificate whose root is no longer trusted is renewed at once', async () => {
    const { manager, mesh, asked } = await setUp();
    const other = await createTestAuthority(mesh.clock);
    mesh.signer = other;
    mesh.roots = other.rootPem;
    manager.refreshTrust();
    await mesh.pass(5000);
    assert.equal(asked.length, 6, 'all three');
    for (const identity of [web, api, db]) {
      assert.equal((await manager.certificate(identity, never)).rootsPem, other.rootPem);
    }
    manager.close();
  });

  test('a hint without a change asks twice for the whole node, and changes nothing', async () => {
    const { manager, mesh, asked, held } = await setUp();
    const before = new Map(held);
    manager.refreshTrust();
    manager.refreshTrust();
    await mesh.pass(60_000);
    assert.equal(asked.length, 5);
    assert.equal([...held].filter(([identity, certificate]) => before.get(identity) !== certificate).length, 1);
    manager.close();
  });
});

describe('clocks', () => {
  test('clocks that differ are told of once a minute, however many identities ask', async () => {
    const lines: string[] = [];
    const clock = createFakeClock(Math.floor(Date.now() / 1000) * 1000);
    const authority = await createTestAuthority({ ...clock, nowMs: () => clock.nowMs() + 60_000 });
    const manager = createCertificateManager({
      sign: (csrPem, identity) => authority.signWorkload({ csrPem, identity }),
      trustDomain: 'cluster.local',
      clock,
      log: openLog({ scope: 'certificates', level: 'warn', write: (line) => lines.push(line) }),
    });
    for (const identity of [web, api]) await manager.certificate(identity, never);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /"skewSeconds":60,.*clocks differ: our clock is 60 s behind the authority's"/);
    clock.advance(60_000);
    await manager.certificate(db, never);
    assert.equal(lines.length, 2);
    manager.close();
  });

  for (const [aheadMs, said] of [
    [600_000, /not-yet-valid.*our clock is 480 s behind/],
    [-25 * hourMs, /expired.*our clock is 3600 s ahead/],
  ] as const) {
    test(`an authority that is ${aheadMs} ms ahead is refused, saying which clock is ahead`, async () => {
      const skews: number[] = [];
      const clock = createFakeClock(Math.floor(Date.now() / 1000) * 1000);
      const theirs = { ...clock, nowMs: () => clock.nowMs() + aheadMs };
      const authority = await createTestAuthority(theirs);
      const manager = createCertificateManager({
        sign: (csrPem, identity) => authority.signWorkload({ csrPem, identity }),
        trustDomain: 'cluster.local',
        clock,
        log: silentLog(),
        onClockSkew: (skewMs) => skews.push(skewMs),
      });
      await assert.rejects(manager.certificate(web, never), said);
      assert.ok(Math.abs((skews[0] ?? 0) - aheadMs) <= 1000, `${skews[0]}`);
      manager.close();
    });
  }
});

interface SetUp {
  readonly manager: CertificateManager;
  readonly mesh: {
    readonly clock: FakeClock;
    signer: TestAuthority;
    roots: string;
    pick: () => TestAuthority;
    pass(byMs: number): Promise<void>;
  };
  readonly asked: SpiffeId[];
  readonly held: ReadonlyMap<SpiffeId, WorkloadCertificate>;
}

/** Three identities with certificates of one authority. */
async function setUp(): Promise<SetUp> {
  const clock = createFakeClock(Math.floor(Date.now() / 1000) * 1000);
  const first = await createTestAuthority(clock);
  const asked: SpiffeId[] = [];
  const held = new Map<SpiffeId, WorkloadCertificate>();
  let underWay = 0;
  const mesh: SetUp['mesh'] = {
    clock,
    signer: first,
    roots: first.rootPem,
    pick: () => mesh.signer,
    async pass(byMs) {
      // In steps, so that what is answered in one is seen by the next.
      for (let step = 0; step < 20; step++) {
        clock.advance(byMs / 20);
        do await new Promise((resolve) => setImmediate(resolve));
        while (underWay > 0);
      }
    },
  };
  const manager = createCertificateManager({
    async sign(csrPem, identity) {
      asked.push(identity);
      underWay++;
      try {
        const chain = await mesh.pick().signWorkload({ csrPem, identity });
        return [...chain.slice(0, -1), mesh.roots];
      } finally {
        setImmediate(() => underWay--);
      }
    },
    trustDomain: 'cluster.local',
    clock,
    log: silentLog(),
    random: () => 0.5,
  });
  manager.onRotate((certificate) => held.set(certificate.identity, certificate));
  for (const identity of [web, api, db]) {
    manager.retain(identity);
    await manager.certificate(identity, never);
  }
  return { manager, mesh, asked, held };
}
