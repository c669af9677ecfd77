import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, it } from 'node:test';
import { createTestAuthority } from '../../test/support/certificates.ts';
import type { TokenReviewResult } from '../kube/index.ts';
import type { Clock } from '../lib/clock.ts';
import { createCallerAuthenticator, type CallerAuthenticator } from './caller.ts';

function open(review: (token: string) => Promise<TokenReviewResult>): {
  callers: CallerAuthenticator;
  asked: string[];
  time: { nowMs: number };
} {
  const time = { nowMs: 0 };
  const clock: Clock = { nowMs: () => time.nowMs, after: () => () => {} };
  const asked: string[] = [];
  const client = {
    reviewToken: (token: string, audiences: readonly string[]): Promise<TokenReviewResult> => {
      asked.push(`${token} for ${audiences.join()}`);
      return review(token);
    },
  };
  return { callers: createCallerAuthenticator({ trustDomain: 'cluster.local', client, clock }), asked, time };
}

function call(authorization?: string): { metadata: Map<string, string> } {
  return { metadata: new Map(authorization === undefined ? [] : [['authorization', authorization]]) };
}

const accepted: TokenReviewResult = {
  authenticated: true,
  username: 'system:serviceaccount:shop:web',
  groups: [],
  audiences: ['istio-ca'],
  pod: { name: 'p', uid: 'u' },
};

describe('callers', () => {
  it('are the service account of their token, reviewed once in a while', async () => {
    const { callers, asked, time } = open(() => Promise.resolve(accepted));
    const expected = { namespace: 'shop', serviceAccount: 'web', pod: { name: 'p', uid: 'u' } };
    assert.deepEqual(await Promise.all([1, 2].map(() => callers.authenticate(call('Bearer t')))), [expected, expected]);
    await callers.authenticate(call('Bearer t'));
    assert.deepEqual(asked, ['t for istio-ca']);
    time.nowMs = 60_000;
    await callers.authenticate(call('Bearer t'));
    assert.equal(asked.length, 2);
    // Somebody set the clock back: what was believed for a moment is not believed for an hour.
    time.nowMs = -3600_000;
    await callers.authenticate(call('Bearer t'));
    assert.equal(asked.length, 3);
  });

  it('are who their certificate says, whatever token comes with it', async () => {
    const { callers, asked } = open(() => Promise.resolve(accepted));
    const authority = await createTestAuthority();
    const der = async (identity: string): Promise<Uint8Array> => {
      const [leaf = ''] = (await authority.certificate(identity)).chainPem;
      return new X509Certificate(leaf).raw;
    };
    const shown = async (identity: string): Promise<unknown> =>
      callers.authenticate({ ...call('Bearer t'), peerCertificate: await der(identity) });
    assert.deepEqual(await shown('shop/db'), { namespace: 'shop', serviceAccount: 'db' });
    assert.deepEqual(asked, []);
    await assert.rejects(shown('spiffe://other.example/ns/shop/sa/db'), { code: 'rpc.unauthenticated' });
    const server = await authority.signServer({ dnsNames: ['shop'], ips: [] });
    const peerCertificate = new X509Certificate(server.chainPem).raw;
    await assert.rejects(callers.authenticate({ ...call('Bearer t'), peerCertificate }), {
      code: 'rpc.unauthenticated',
    });
  });

  it('without a token, with a bad one, or who are no service account are refused', async () => {
    const results: Record<string, TokenReviewResult> = {
      bad: { authenticated: false, reason: 'expired' },
      human: { ...accepted, username: 'alice' },
    };
    const { callers } = open((token) => Promise.resolve(results[token] ?? accepted));
    for (const header of [
      undefined,
      'Basic x',
      'Bearer ',
      'Bearer bad',
      'Bearer human',
      `Bearer ${'x'.repeat(20_000)}`,
    ]) {
      await assert.rejects(callers.authenticate(call(header)), { code: 'rpc.unauthenticated' }, header);
    }
  });

  it('are told to come again when the API server is away', async () => {
    let away = true;
    const { callers } = open(() => (away ? Promise.reject(new Error('refused')) : Promise.resolve(accepted)));
    await assert.rejects(callers.authenticate(call('Bearer t')), { code: 'rpc.unavailable' });
    away = false;
    assert.equal((await callers.authenticate(call('Bearer t'))).namespace, 'shop');
  });
});
