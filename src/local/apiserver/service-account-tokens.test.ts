import { deepEqual, equal, rejects } from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { decodeJwt } from 'jose';
import type { KubeObject } from '../../api/index.ts';
import type { Clock } from '../../lib/clock.ts';
import {
  createServiceAccountTokens,
  tokenIssuer,
  type ServiceAccountTokens,
  type TokenSpec,
} from './service-account-tokens.ts';

const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const spec: TokenSpec = {
  namespace: 'shop',
  serviceaccount: { name: 'web', uid: 'sa-uid' },
  pod: { name: 'web-1', uid: 'pod-uid' },
  node: { name: 'node-1', uid: 'node-uid' },
  audiences: ['istio-ca'],
  expirationSeconds: 600,
};

interface Fixture {
  readonly tokens: ServiceAccountTokens;
  readonly objects: Map<string, KubeObject>;
  readonly advance: (ms: number) => void;
}

async function open(): Promise<Fixture> {
  let nowMs = 1_700_000_000_000;
  const clock: Clock = { nowMs: () => nowMs, after: () => () => {} };
  const objects = new Map<string, KubeObject>([
    ['ServiceAccount shop/web', { metadata: { name: 'web', uid: 'sa-uid' } }],
    ['Pod shop/web-1', { metadata: { name: 'web-1', uid: 'pod-uid' } }],
  ]);
  const find = (kind: string, namespace: string, name: string): KubeObject | undefined =>
    objects.get(`${kind} ${namespace}/${name}`);
  return { tokens: await createServiceAccountTokens({ key, clock, find }), objects, advance: (ms) => (nowMs += ms) };
}

test('claims and user are those of Kubernetes', async () => {
  const { tokens } = await open();
  const { token, expiresAtMs } = await tokens.sign(spec);
  const { jti, ...claims } = decodeJwt(token);
  deepEqual(claims, {
    iss: tokenIssuer,
    sub: 'system:serviceaccount:shop:web',
    aud: ['istio-ca'],
    iat: 1_700_000_000,
    nbf: 1_700_000_000,
    exp: 1_700_000_600,
    'kubernetes.io': {
      namespace: 'shop',
      serviceaccount: { name: 'web', uid: 'sa-uid' },
      pod: { name: 'web-1', uid: 'pod-uid' },
      node: { name: 'node-1', uid: 'node-uid' },
    },
  });
  equal(expiresAtMs, 1_700_000_600_000);
  deepEqual(await tokens.verify(token, ['istio-ca', 'other']), {
    audiences: ['istio-ca'],
    user: {
      username: 'system:serviceaccount:shop:web',
      uid: 'sa-uid',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:shop', 'system:authenticated'],
      extra: {
        'authentication.kubernetes.io/credential-id': [`JTI=${jti}`],
        'authentication.kubernetes.io/pod-name': ['web-1'],
        'authentication.kubernetes.io/pod-uid': ['pod-uid'],
        'authentication.kubernetes.io/node-name': ['node-1'],
        'authentication.kubernetes.io/node-uid': ['node-uid'],
      },
    },
  });
});

test('a token for another audience is refused', async () => {
  const { tokens } = await open();
  const { token } = await tokens.sign(spec);
  await rejects(tokens.verify(token, [tokenIssuer]), { code: 'apiserver.invalid-token' });
});

test('a token ends with its time, also once it was verified', async () => {
  const { tokens, advance } = await open();
  const { token } = await tokens.sign(spec);
  await tokens.verify(token, ['istio-ca']);
  advance(600_000);
  await rejects(tokens.verify(token, ['istio-ca']), /expired/);
});

test('a token ends with its pod, and with its service account', async () => {
  const { tokens, objects } = await open();
  const { token } = await tokens.sign(spec);
  await tokens.verify(token, ['istio-ca']);
  objects.set('Pod shop/web-1', { metadata: { name: 'web-1', uid: 'another' } });
  await rejects(tokens.verify(token, ['istio-ca']), /Pod shop\/web-1 with uid pod-uid is gone/);
  objects.set('Pod shop/web-1', { metadata: { name: 'web-1', uid: 'pod-uid' } });
  objects.delete('ServiceAccount shop/web');
  await rejects(tokens.verify(token, ['istio-ca']), /ServiceAccount shop\/web/);
});

test('forged tokens are refused', async () => {
  const { tokens } = await open();
  const { token } = await tokens.sign(spec);
  const [header = '', payload = '', signature = ''] = token.split('.');
  const changed = Buffer.from(JSON.stringify({ ...decodeJwt(token), sub: 'system:serviceaccount:x:y' })).toString(
    'base64url',
  );
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const stranger = await createServiceAccountTokens({
    key: other,
    clock: { nowMs: () => 1_700_000_000_000, after: () => () => {} },
    find: () => undefined,
  });
  const forged = [
    `${header}.${changed}.${signature}`,
    `${none}.${payload}.`,
    (await stranger.sign(spec)).token,
    'x',
    'a.b.c',
    '',
  ];
  for (const text of forged)
    await rejects(tokens.verify(text, ['istio-ca']), { code: 'apiserver.invalid-token' }, text);
});
