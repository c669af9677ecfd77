import assert from 'node:assert/strict';
import { createHmac, createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { exportJWK, SignJWT, type JWK, type JWTPayload } from 'jose';
import type { JwtRule } from '../api/l7/index.ts';
import { parseJwks } from './jwt-keys.ts';
import { compileJwtRule, problemText, type JwtOutcome } from './jwt-rule.ts';

const nowMs = 1_700_000_000_000;
const now = nowMs / 1000;
const issuer = 'https://issuer.example';

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const weakRsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey;
const ed25519 = generateKeyPairSync('ed25519').privateKey;

async function publicJwk(key: KeyObject, more: Partial<JWK> = {}): Promise<JWK> {
  const { d: _, p: _p, q: _q, dp: _dp, dq: _dq, qi: _qi, ...open } = await exportJWK(key);
  return { ...open, ...more };
}

function ruleOf(keys: readonly JWK[], more: Partial<JwtRule> = {}): JwtRule {
  return {
    issuer,
    audiences: [],
    keys: { kind: 'jwks', json: JSON.stringify({ keys }) },
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    outputClaimToHeaders: [],
    forwardOriginalToken: false,
    spaceDelimitedClaims: [],
    ...more,
  };
}

interface TokenOptions {
  readonly alg?: string;
  readonly kid?: string;
  readonly key?: KeyObject;
  readonly claims?: JWTPayload;
}

function sign({ alg = 'ES256', kid, key = p256, claims = {} }: TokenOptions = {}): Promise<string> {
  return new SignJWT({ iss: issuer, sub: 'alice', ...claims })
    .setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) })
    .sign(key);
}

/** Parts that no library would sign. */
function raw(header: object, claims: object, signature: Buffer | ((signed: string) => Buffer)): string {
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const bytes = typeof signature === 'function' ? signature(signed) : signature;
  return `${signed}.${bytes.toString('base64url')}`;
}

function problemOf(outcome: JwtOutcome): string {
  return outcome.kind === 'refused' ? outcome.problem : 'none';
}

const keySet = [
  await publicJwk(rsa, { kid: 'rsa' }),
  await publicJwk(p256, { kid: 'p256' }),
  await publicJwk(p384, { kid: 'p384' }),
  await publicJwk(p521, { kid: 'p521' }),
  await publicJwk(ed25519, { kid: 'ed' }),
];
const rule = compileJwtRule(ruleOf(keySet));

const algorithms: readonly (readonly [alg: string, kid: string, key: KeyObject])[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((alg) => [alg, 'rsa', rsa] as const),
  ['ES256', 'p256', p256],
  ['ES384', 'p384', p384],
  ['ES512', 'p521', p521],
  ['EdDSA', 'ed', ed25519],
];

for (const [alg, kid, key] of algorithms) {
  test(`a token that another library signed with ${alg} is verified, and one byte less is not`, async () => {
    const token = await sign({ alg, kid, key });
    assert.equal(problemOf(rule.verify(token, nowMs)), 'none');
    // A token without the id of its key is tried with all.
    assert.equal(problemOf(rule.verify(await sign({ alg, key }), nowMs)), 'none');
    const [head = '', , signature = ''] = token.split('.');
    const forged = Buffer.from(JSON.stringify({ iss: issuer, sub: 'mallory' })).toString('base64url');
    assert.equal(problemOf(rule.verify(`${head}.${forged}.${signature}`, nowMs)), 'signature');
    assert.equal(problemOf(rule.verify(token.slice(0, -4), nowMs)), 'signature');
  });
}

test('keys of another kind, of another name or for another use verify nothing', async () => {
  const verify = async (jwk: JWK, token: TokenOptions): Promise<string> =>
    problemOf(compileJwtRule(ruleOf([jwk])).verify(await sign(token), nowMs));
  const rs256 = { alg: 'RS256', key: rsa, kid: 'rsa' };
  assert.equal(await verify(await publicJwk(rsa, { kid: 'rsa' }), rs256), 'none');
  assert.equal(await verify(await publicJwk(rsa, { kid: 'old' }), rs256), 'no-key');
  assert.equal(await verify(await publicJwk(rsa), rs256), 'none');
  assert.equal(await verify(await publicJwk(otherRsa, { kid: 'rsa' }), rs256), 'signature');
  assert.equal(await verify(await publicJwk(rsa, { use: 'enc' }), rs256), 'no-key');
  assert.equal(await verify(await publicJwk(rsa, { key_ops: ['encrypt'] }), rs256), 'no-key');
  assert.equal(await verify(await publicJwk(rsa, { alg: 'PS256' }), rs256), 'no-key');
  assert.equal(await verify(await publicJwk(p256), rs256), 'no-key');
  assert.equal(await verify(await publicJwk(p384), { alg: 'ES256', key: p256 }), 'no-key');
  assert.equal(await verify({ kty: 'oct', k: 'AAAA' }, rs256), 'no-key');
});

test('a public key is no secret: symmetric algorithms and none are refused', async () => {
  const pem = p256.export({ type: 'pkcs8', format: 'pem' });
  assert.ok(createPrivateKey(pem));
  const secret = JSON.stringify(keySet[1]);
  const claims = { iss: issuer, sub: 'mallory' };
  const hs = raw({ alg: 'HS256' }, claims, (signed) => createHmac('sha256', secret).update(signed).digest());
  assert.equal(problemOf(rule.verify(hs, nowMs)), 'algorithm');
  assert.equal(problemOf(rule.verify(raw({ alg: 'none' }, claims, Buffer.from('x')), nowMs)), 'algorithm');
  assert.equal(problemOf(rule.verify(`${raw({ alg: 'none' }, claims, Buffer.alloc(0))}`, nowMs)), 'malformed');
  const oct = compileJwtRule(ruleOf([{ kty: 'oct', k: Buffer.from(secret).toString('base64url') }]));
  assert.equal(problemOf(oct.verify(hs, nowMs)), 'algorithm');
});

test('short RSA keys are not used', async () => {
  const claims = { iss: issuer, sub: 'a' };
  const token = raw({ alg: 'RS256' }, claims, Buffer.alloc(128));
  const weak = compileJwtRule(ruleOf([await publicJwk(weakRsa)]));
  assert.equal(problemOf(weak.verify(token, nowMs)), 'no-key');
});

test('times are taken with a minute of doubt', async () => {
  const at = async (claims: JWTPayload): Promise<string> => problemOf(rule.verify(await sign({ claims }), nowMs));
  assert.equal(await at({}), 'none');
  assert.equal(await at({ exp: now + 1 }), 'none');
  assert.equal(await at({ exp: now - 60 }), 'none');
  assert.equal(await at({ exp: now - 61 }), 'expired');
  assert.equal(await at({ nbf: now + 60 }), 'none');
  assert.equal(await at({ nbf: now + 61 }), 'not-yet-valid');
  assert.equal(
    problemOf(rule.verify(raw({ alg: 'ES256' }, { iss: issuer, exp: 'x' }, Buffer.alloc(64)), nowMs)),
    'signature',
  );
});

test('issuers are compared whole, and audiences with any of the rule', async () => {
  const verify = async (more: Partial<JwtRule>, claims: JWTPayload): Promise<string> =>
    problemOf(compileJwtRule(ruleOf(keySet, more)).verify(await sign({ claims }), nowMs));
  assert.equal(await verify({}, { iss: `${issuer}/` }), 'issuer');
  assert.equal(await verify({ issuer: '' }, { iss: 'anybody' }), 'none');
  assert.equal(await verify({ audiences: ['shop', 'bank'] }, { aud: ['x', 'bank'] }), 'none');
  assert.equal(await verify({ audiences: ['shop'] }, { aud: 'shop' }), 'none');
  assert.equal(await verify({ audiences: ['shop'] }, { aud: 'shopping' }), 'audience');
  assert.equal(await verify({ audiences: ['shop'] }, {}), 'audience');
});

test('what is verified is told as policies compare it', async () => {
  const claims = { aud: ['a', 'b'], azp: 'app', scope: 'read write', roles: 'x  y', exp: now + 10 };
  const outcome = compileJwtRule(ruleOf(keySet, { spaceDelimitedClaims: ['roles'] })).verify(
    await sign({ claims }),
    nowMs,
  );
  assert.ok(outcome.kind === 'verified');
  const { token } = outcome;
  assert.deepEqual(
    [token.issuer, token.subject, token.audiences, token.presenter, token.untilMs],
    [issuer, 'alice', ['a', 'b'], 'app', nowMs + 70_000],
  );
  assert.deepEqual(
    [token.claims['scope'], token.claims['roles']],
    [
      ['read', 'write'],
      ['x', 'y'],
    ],
  );
  assert.equal(token.written['scope'], 'read write');
});

test('keys that are not available refuse every token', async () => {
  const none = compileJwtRule(ruleOf([], { keys: { kind: 'unavailable', reason: 'connection refused' } }));
  const outcome = none.verify(await sign(), nowMs);
  assert.ok(outcome.kind === 'refused');
  assert.equal(problemText(outcome.problem), 'Jwt verification fails');
  assert.match(outcome.reason, /connection refused/);
});

test('what is no token is refused, whatever it is', async () => {
  const good = await sign();
  const [head = '', payload = '', signature = ''] = good.split('.');
  const b64 = (text: string): string => Buffer.from(text).toString('base64url');
  for (const text of [
    '',
    '...',
    'a.b',
    `${good}.x`,
    `${head}.${payload}.`,
    `${head}=.${payload}.${signature}`,
    `${head}.${payload}+.${signature}`,
    `${b64('[]')}.${payload}.${signature}`,
    `${b64('{"alg":1}')}.${payload}.${signature}`,
    `${b64('{"alg":"ES256","crit":["x"]}')}.${payload}.${signature}`,
    `${head}.${b64('"text"')}.${signature}`,
    `${head}.${Buffer.from([0x7b, 0xff, 0x7d]).toString('base64url')}.${signature}`,
    `${head}.${'A'.repeat(17_000)}.${signature}`,
  ]) {
    assert.equal(problemOf(rule.verify(text, nowMs)), 'malformed', text.slice(0, 60));
  }
});

test('reasons never hold the token, and cut what strangers wrote', async () => {
  const outcome = rule.verify(await sign({ claims: { iss: 'x'.repeat(5000) } }), nowMs);
  assert.ok(outcome.kind === 'refused');
  assert.ok(outcome.reason.length < 200);
});

test('what is no key set says so without quoting it', () => {
  for (const text of ['secret', '[]', '{"keys":{}}']) {
    assert.throws(
      () => parseJwks(text),
      (error: Error) => /Key Set/.test(error.message) && !error.message.includes('secret'),
    );
  }
  assert.deepEqual(parseJwks('{"keys":[null,1,{"kty":"RSA"},{"kty":"EC","crv":"P-256"},{"kty":"__proto__"}]}'), []);
});

test('whatever a client sends is answered, and nothing but a signature verifies', () => {
  const part = fc.oneof(
    fc.base64String().map((text) => text.replaceAll(/[+/=]/g, '_')),
    fc.json().map((text) => Buffer.from(text).toString('base64url')),
    fc
      .record({ alg: fc.constantFrom('ES256', 'RS256', 'EdDSA', 'none', 'HS256'), kid: fc.constantFrom('p256', 'x') })
      .map((header) => Buffer.from(JSON.stringify(header)).toString('base64url')),
    fc.constant(Buffer.from(JSON.stringify({ iss: issuer, sub: 'mallory' })).toString('base64url')),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), (parts) => {
      assert.notEqual(problemOf(rule.verify(parts.join('.'), nowMs)), 'none');
    }),
    { seed: 9, numRuns: 2000 },
  );
});
