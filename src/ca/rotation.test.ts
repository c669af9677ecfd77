import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTestAuthority, testIdentity, type TestAuthority } from '../../test/support/certificates.ts';
import { createCsr, splitCertificates } from '../identity/index.ts';
import { createFakeClock, type FakeClock } from '../lib/fake-clock.ts';
import { createCertificateAuthority, type CertificateAuthority } from './authority.ts';
import { createRotatingAuthority, fingerprint, type RotatingAuthority } from './rotation.ts';

const identity = testIdentity('shop/web');
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

describe('rotation of the authority', () => {
  test('another root is published first, then signs, then the old one is dropped', async () => {
    const { clock, old, next, rotation, changes } = await setUp();
    await sign(rotation);
    rotation.adopt(next, 5 * minuteMs);
    assert.equal(rotation.state.kind, 'introducing');
    assert.deepEqual(rootsOf(rotation), rootsOf(old, next));
    assert.equal(await signerOf(rotation), fingerprint(old.signerPem));
    clock.advance(5 * minuteMs);
    assert.equal(rotation.state.kind, 'retiring');
    assert.equal(await signerOf(rotation), fingerprint(next.signerPem));
    assert.deepEqual(rootsOf(rotation), rootsOf(next, old));
    clock.advance(dayMs - minuteMs);
    assert.deepEqual(rootsOf(rotation), rootsOf(next, old), 'leaves of the old one live still');
    clock.advance(2 * minuteMs);
    assert.deepEqual(rootsOf(rotation), rootsOf(next));
    assert.deepEqual(changes, ['introducing', 'retiring', 'steady']);
  });

  test('old roots stay as long as the longest leaf that was signed under them', async () => {
    const { clock, old, next, rotation } = await setUp();
    await sign(rotation, 10 * 24 * 3600);
    rotation.adopt(next, minuteMs);
    clock.advance(9 * dayMs);
    assert.deepEqual(rootsOf(rotation), rootsOf(next, old));
    clock.advance(2 * dayMs);
    assert.deepEqual(rootsOf(rotation), rootsOf(next));
  });

  test('a signer under a root that is published already signs at once', async () => {
    const { clock, old, next, rotation } = await setUp();
    rotation.adopt(await withRoots(old, clock, next), 5 * minuteMs);
    assert.equal(rotation.state.kind, 'steady');
    assert.deepEqual(rootsOf(rotation), rootsOf(old, next));
    rotation.adopt(await withRoots(next, clock, old), 5 * minuteMs);
    assert.equal(rotation.state.kind, 'steady');
    assert.equal(await signerOf(rotation), fingerprint(next.signerPem));
    // The last step of three: nothing but the old root goes, because somebody says so.
    rotation.adopt(next, 5 * minuteMs);
    assert.equal(rotation.state.kind, 'steady');
    assert.deepEqual(rootsOf(rotation), rootsOf(next));
  });

  test('a root that goes together with its signer is kept for the leaves under it', async () => {
    const { clock, old, next, rotation } = await setUp();
    rotation.adopt(await withRoots(old, clock, next), 5 * minuteMs);
    rotation.adopt(next, 5 * minuteMs);
    assert.equal(rotation.state.kind, 'retiring');
    assert.deepEqual(rootsOf(rotation), rootsOf(next, old));
  });

  test('going back before the new one signs leaves nothing of it', async () => {
    const { clock, old, next, rotation } = await setUp();
    rotation.adopt(next, 5 * minuteMs);
    rotation.adopt(old, 5 * minuteMs);
    assert.equal(rotation.state.kind, 'steady');
    assert.deepEqual(rootsOf(rotation), rootsOf(old));
    clock.advance(dayMs);
    assert.equal(await signerOf(rotation), fingerprint(old.signerPem));
  });

  test('the same material again does not start the wait anew', async () => {
    const { clock, next, rotation } = await setUp();
    rotation.adopt(next, 5 * minuteMs);
    clock.advance(4 * minuteMs);
    rotation.adopt(next, 5 * minuteMs);
    clock.advance(minuteMs);
    assert.equal(await signerOf(rotation), fingerprint(next.signerPem));
  });

  test('the wait may be made shorter and longer, from its beginning on', async () => {
    const { clock, old, next, rotation } = await setUp();
    rotation.adopt(next, 60 * minuteMs);
    clock.advance(2 * minuteMs);
    rotation.adopt(next, 5 * minuteMs);
    clock.advance(2 * minuteMs);
    rotation.adopt(next, 6 * minuteMs);
    clock.advance(minuteMs);
    assert.equal(await signerOf(rotation), fingerprint(old.signerPem));
    clock.advance(minuteMs);
    assert.equal(await signerOf(rotation), fingerprint(next.signerPem));
    assert.equal(rotation.state.kind, 'retiring');
  });

  test('a wait that is made shorter than it has been ends now, and the old roots stay', async () => {
    const { clock, old, next, rotation } = await setUp();
    rotation.adopt(next, 60 * minuteMs);
    clock.advance(2 * minuteMs);
    rotation.adopt(next, minuteMs);
    clock.advance(0);
    assert.equal(await signerOf(rotation), fingerprint(next.signerPem));
    assert.deepEqual(rootsOf(rotation), rootsOf(next, old));
  });

  test('the same material once more does not end the retirement, unless it says so', async () => {
    const { clock, old, next, rotation } = await setUp();
    rotation.adopt(next, minuteMs);
    clock.advance(minuteMs);
    rotation.adopt(next, 2 * minuteMs);
    assert.deepEqual(rootsOf(rotation), rootsOf(next, old));
    rotation.adopt(next, 0);
    assert.deepEqual(rootsOf(rotation), rootsOf(next));
  });

  test('without a wait everything old ends at once', async () => {
    const { next, rotation } = await setUp();
    rotation.adopt(next, 0);
    assert.equal(rotation.state.kind, 'steady');
    assert.deepEqual(rootsOf(rotation), rootsOf(next));
    assert.equal(await signerOf(rotation), fingerprint(next.signerPem));
  });

  describe('a signer that came while nobody was there to introduce it', () => {
    const setUpHeld = async (): Promise<SetUp & { held: RotatingAuthority }> => {
      const opened = await setUp();
      const { clock, old, next, changes } = opened;
      const sinceMs = clock.nowMs();
      const held = createRotatingAuthority(next, {
        clock,
        retiring: { rootsPem: old.rootPem, untilMs: sinceMs + dayMs },
        held: {
          rootsPem: old.rootPem,
          signer: fingerprint(old.signerPem),
          sinceMs,
          untilMs: sinceMs + 5 * minuteMs,
        },
      });
      held.onChange(() => changes.push(held.state.kind));
      return { ...opened, held };
    };

    test('signs nothing before its root is published', async () => {
      const { clock, old, next, held, changes } = await setUpHeld();
      assert.equal(held.state.kind, 'introducing');
      assert.deepEqual(rootsOf(held), rootsOf(next, old));
      assert.equal(held.signer, fingerprint(old.signerPem));
      await assert.rejects(sign(held), { code: 'ca.introducing' });
      await held.signServer({ dnsNames: ['istiod.istio-system'], ips: [] });
      clock.advance(5 * minuteMs);
      assert.equal(await signerOf(held), fingerprint(next.signerPem));
      assert.equal(held.signer, fingerprint(next.signerPem));
      assert.equal(held.state.kind, 'retiring');
      assert.deepEqual(changes, ['retiring']);
    });

    test('waits on when the same comes again, and not when somebody says so', async () => {
      const { clock, next, held } = await setUpHeld();
      clock.advance(2 * minuteMs);
      held.adopt(next, 4 * minuteMs);
      clock.advance(minuteMs);
      await assert.rejects(sign(held), { code: 'ca.introducing' });
      clock.advance(minuteMs);
      assert.equal(await signerOf(held), fingerprint(next.signerPem));
      const other = await setUpHeld();
      other.held.adopt(other.next, 0);
      assert.equal(await signerOf(other.held), fingerprint(other.next.signerPem));
      assert.equal(other.held.state.kind, 'steady');
    });

    test('gives way to one that is trusted, and to another that is not trusted either', async () => {
      const { clock, old, held } = await setUpHeld();
      const third = await createTestAuthority(clock);
      clock.advance(4 * minuteMs);
      held.adopt(third, 5 * minuteMs);
      clock.advance(4 * minuteMs);
      await assert.rejects(sign(held), { code: 'ca.introducing' });
      held.adopt(old, 5 * minuteMs);
      assert.equal(await signerOf(held), fingerprint(old.signerPem));
      clock.advance(minuteMs);
      assert.equal(await signerOf(held), fingerprint(old.signerPem));
    });
  });

  test('roots that were being retired before a restart are so after it', async () => {
    const { clock, old, next } = await setUp();
    const untilMs = clock.nowMs() + 3600_000;
    const rotation = createRotatingAuthority(next, {
      clock,
      retiring: { rootsPem: old.rootPem + next.rootPem, untilMs },
    });
    assert.deepEqual(rotation.state, { kind: 'retiring', untilMs });
    assert.deepEqual(rootsOf(rotation), rootsOf(next, old));
    clock.advance(3600_000);
    assert.deepEqual(rootsOf(rotation), rootsOf(next));
  });
});

interface SetUp {
  readonly clock: FakeClock;
  readonly old: TestAuthority;
  readonly next: TestAuthority;
  readonly rotation: RotatingAuthority;
  readonly changes: string[];
}

async function setUp(): Promise<SetUp> {
  const clock = createFakeClock(Math.floor(Date.now() / 1000) * 1000);
  const [old, next] = await Promise.all([createTestAuthority(clock), createTestAuthority(clock)]);
  const rotation = createRotatingAuthority(old, { clock });
  const changes: string[] = [];
  rotation.onChange(() => changes.push(rotation.state.kind));
  return { clock, old, next, rotation, changes };
}

/** The same signer with both roots. */
function withRoots(signer: TestAuthority, clock: FakeClock, other: TestAuthority): Promise<CertificateAuthority> {
  const { caCertPem, caKeyPem } = signer;
  return createCertificateAuthority({ caCertPem, caKeyPem, rootPem: signer.rootPem + other.rootPem, clock });
}

function rootsOf(...authorities: readonly CertificateAuthority[]): string[] {
  return authorities.flatMap(({ rootPem }) => splitCertificates(rootPem)).map(fingerprint);
}

function sign(authority: CertificateAuthority, ttlSeconds?: number): Promise<string[]> {
  const { csrPem } = createCsr(identity);
  return authority.signWorkload({ csrPem, identity, ...(ttlSeconds === undefined ? {} : { ttlSeconds }) });
}

/** The fingerprint of the root that verifies what is signed now; all roots are in the answer. */
async function signerOf(authority: CertificateAuthority): Promise<string> {
  const [leafPem = '', ...rest] = await sign(authority);
  const { X509Certificate } = await import('node:crypto');
  const leaf = new X509Certificate(leafPem);
  assert.deepEqual(splitCertificates(rest.at(-1) ?? '').map(fingerprint), rootsOf(authority));
  const issuer = splitCertificates(rest.at(-1) ?? '').find((pem) => leaf.verify(new X509Certificate(pem).publicKey));
  return fingerprint(issuer ?? '');
}
