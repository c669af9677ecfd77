import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeClient, TokenRequestOptions } from '../../kube/index.ts';
import type { Clock } from '../../lib/clock.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { PodTokens } from './pod-tokens.ts';

function open(fails = 0): {
  tokens: PodTokens;
  asked: TokenRequestOptions[];
  /** Time passes, of which the machine sleeps for so long at its end. */
  pass: (ms: number, asleepMs?: number) => void;
  pending: () => number;
  changes: () => number;
  pod: { uid: string };
  settle: () => Promise<void>;
} {
  const asked: TokenRequestOptions[] = [];
  const awake = createFakeClock(0);
  let asleptMs = 0;
  const clock: Clock = { ...awake, nowMs: () => awake.nowMs() + asleptMs };
  const pod = { name: 'web', uid: 'u1' };
  let changes = 0;
  const client = {
    async requestToken(_namespace: string, _account: string, options: TokenRequestOptions) {
      asked.push(options);
      if (asked.length <= fails) throw new Error('away');
      return { token: `token-${asked.length}`, expiresAtMs: clock.nowMs() + options.expirationSeconds * 1000 };
    },
  } as unknown as KubeClient;
  const tokens = new PodTokens({
    client,
    clock,
    log: silentLog(),
    namespace: 'shop',
    serviceAccount: 'web',
    pod: () => ({ ...pod }),
    onChange: () => changes++,
  });
  return {
    tokens,
    asked,
    pass(ms, asleepMs = 0) {
      awake.advance(ms - asleepMs);
      asleptMs += asleepMs;
    },
    pending: () => awake.pending,
    changes: () => changes,
    pod,
    settle: () => new Promise((resolve) => setImmediate(resolve)),
  };
}
const need = { audience: 'istio-ca', expirationSeconds: 1000 };

test('a token is asked for once, bound to the pod, and renewed at 80 % of its life', async () => {
  const { tokens, asked, pass, pending, changes, settle } = open();
  equal(tokens.token(need), undefined);
  equal(tokens.token(need), undefined);
  await settle();
  equal(tokens.token(need), 'token-1');
  deepEqual(asked, [{ audiences: ['istio-ca'], expirationSeconds: 1000, boundPod: { name: 'web', uid: 'u1' } }]);
  equal(changes(), 1);
  pass(799_999);
  await settle();
  equal(asked.length, 1);
  pass(1);
  await settle();
  equal(tokens.token(need), 'token-2');
  tokens.close();
  equal(pending(), 0);
});

test('a refusal is tried again soon, and the old token stays meanwhile', async () => {
  const { tokens, pass, settle } = open(2);
  tokens.token(need);
  await settle();
  equal(tokens.token(need), undefined);
  for (let i = 0; i < 2; i++) {
    pass(2000);
    await settle();
  }
  equal(tokens.token(need), 'token-3');
  tokens.close();
});

test('a token that ended while the machine slept is renewed soon after', async () => {
  const { tokens, pass, settle } = open();
  tokens.token(need);
  await settle();
  pass(3_700_000, 3_600_000);
  pass(60_000);
  await settle();
  equal(tokens.token(need), 'token-2');
  tokens.close();
});

test('another pod of the same name gets tokens of its own', async () => {
  const { tokens, asked, pod, settle } = open();
  tokens.token(need);
  tokens.token({ ...need, audience: 'other' });
  await settle();
  pod.uid = 'u2';
  tokens.renewAll();
  await settle();
  deepEqual(
    asked.slice(2).map(({ audiences, boundPod }) => [audiences[0], boundPod?.uid]),
    [
      ['istio-ca', 'u2'],
      ['other', 'u2'],
    ],
  );
  tokens.close();
});
