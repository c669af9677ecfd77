import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { exportJWK, SignJWT, type JWTPayload } from 'jose';
import type { JwtRule, RequestAuthentication } from '../../../api/l7/index.ts';
import { createFakeClock } from '../../../lib/fake-clock.ts';
import type { LocalReply } from '../../engine/filter.ts';
import { placeFor, runFor, type PlaceOptions, type TestRun } from '../filter-fixtures.ts';
import { authenticationFilter } from './filter.ts';
import { TokenCache } from './token-cache.ts';

const clock = createFakeClock();
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const otherKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const json = JSON.stringify({ keys: [await exportJWK(key.publicKey)] });
const otherJson = JSON.stringify({ keys: [await exportJWK(otherKey.publicKey)] });

const a = 'https://a.example';
const b = 'https://b.example';

function rule(more: Partial<JwtRule> = {}): JwtRule {
  return {
    issuer: a,
    audiences: [],
    keys: { kind: 'jwks', json },
    fromHeaders: [],
    fromParams: [],
    fromCookies: [],
    outputClaimToHeaders: [],
    forwardOriginalToken: false,
    spaceDelimitedClaims: [],
    ...more,
  };
}

function policy(...rules: JwtRule[]): RequestAuthentication {
  const origin = { kind: 'RequestAuthentication', namespace: 'shop', name: 'jwt', generation: 1 };
  return { kind: 'authentication', name: 'shop/jwt', origin, rules };
}

function token(claims: JWTPayload = {}, signer = key): Promise<string> {
  return new SignJWT({ iss: a, sub: 'alice', ...claims }).setProtectedHeader({ alg: 'ES256' }).sign(signer.privateKey);
}

interface Passed {
  readonly run: TestRun;
  readonly reply: LocalReply | undefined;
}

async function pass(
  rules: readonly JwtRule[],
  request: Parameters<typeof runFor>[0],
  options: PlaceOptions = { clock },
): Promise<Passed> {
  const run = runFor(request);
  const filter = authenticationFilter.build(placeFor({ authentication: [policy(...rules)] }, options));
  return { run, reply: await filter?.onRequest?.(run) };
}

const bearer = (text: string): readonly string[] => ['authorization', `Bearer ${text}`];

test('a request without a token goes on, and has none', async () => {
  assert.equal(authenticationFilter.build(placeFor({})), undefined);
  const { run, reply } = await pass([rule()], {});
  assert.deepEqual([reply, run.token, run.reroutes], [undefined, undefined, 0]);
  // Basic credentials are no token.
  assert.equal((await pass([rule()], { headers: ['authorization', 'Basic YTpi'] })).reply, undefined);
});

test('a good token is told to later filters and to the route, and not to the backend', async () => {
  const text = await token({ groups: ['dev'] });
  const { run, reply } = await pass([rule()], { headers: ['x', '1', ...bearer(text)] });
  assert.equal(reply, undefined);
  assert.deepEqual([run.token?.issuer, run.token?.subject, run.token?.claims['groups']], [a, 'alice', ['dev']]);
  assert.deepEqual([run.request.headers.fields, run.reroutes], [['x', '1'], 1]);
});

test('the original token is forwarded where the rule says so', async () => {
  const headers = bearer(await token());
  const { run } = await pass([rule({ forwardOriginalToken: true })], { headers });
  assert.deepEqual(run.request.headers.fields, headers);
});

test('a bad token is answered in the words of Envoy', async () => {
  const ask = async (text: string): Promise<unknown[]> => {
    const request = { headers: bearer(text), authority: 'shop.example:80', path: '/x"y?access=1' };
    const { reply } = await pass([rule({ audiences: ['shop'] })], request);
    return [reply?.status, reply?.body, reply?.details, reply?.headers?.get('www-authenticate')];
  };
  const challenge = 'Bearer realm="http://shop.example:80/xy", error="invalid_token"';
  assert.deepEqual(await ask(await token({ iss: 'x' })), [
    401,
    'Jwt issuer is not configured',
    'jwt_authn_access_denied{Jwt_issuer_is_not_configured}',
    challenge,
  ]);
  assert.deepEqual((await ask(await token({ aud: 'shop', exp: 1 }))).slice(0, 2), [401, 'Jwt is expired']);
  assert.deepEqual((await ask(await token({ aud: 'shop' }, otherKey))).slice(0, 2), [401, 'Jwt verification fails']);
  assert.deepEqual((await ask('x.y.z')).slice(0, 2), [401, 'Jwt is malformed']);
  assert.deepEqual((await ask(await token({ aud: 'bank' }))).slice(0, 2), [403, 'Audiences in Jwt are not allowed']);
});

test('rules are alternatives, and the one of the issuer explains a refusal', async () => {
  const rules = [rule(), rule({ issuer: b, keys: { kind: 'jwks', json: otherJson } })];
  assert.equal((await pass(rules, { headers: bearer(await token()) })).run.token?.issuer, a);
  assert.equal((await pass(rules, { headers: bearer(await token({ iss: b }, otherKey)) })).run.token?.issuer, b);
  assert.equal((await pass(rules, { headers: bearer(await token({ iss: b })) })).reply?.body, 'Jwt verification fails');
  assert.equal(
    (await pass(rules.toReversed(), { headers: bearer(await token({ iss: b })) })).reply?.body,
    'Jwt verification fails',
  );
});

test('tokens are found where rules look for them, and taken away from there', async () => {
  const text = await token();
  const found = async (more: Partial<JwtRule>, request: Parameters<typeof runFor>[0]): Promise<unknown[]> => {
    const { run, reply } = await pass([rule(more)], request);
    return [reply?.body ?? run.token?.subject, run.request.path, run.request.headers.fields];
  };
  assert.deepEqual(await found({}, { path: `/p?a=1&access_token=${text}&b=2` }), ['alice', '/p?a=1&b=2', []]);
  assert.deepEqual(await found({}, { path: `/p?access_token=${text}` }), ['alice', '/p', []]);
  assert.deepEqual(await found({}, { headers: ['authorization', `bearer ${text}`] }), ['alice', '/', []]);
  assert.deepEqual(await found({ fromHeaders: [{ name: 'X-Jwt', prefix: '' }] }, { headers: ['x-jwt', text] }), [
    'alice',
    '/',
    [],
  ]);
  assert.deepEqual(
    await found({ fromHeaders: [{ name: 'x', prefix: 'T ' }] }, { headers: ['x', `T ${text}`, 'x', 'other'] }),
    ['alice', '/', ['x', 'other']],
  );
  assert.deepEqual(await found({ fromParams: ['jwt'] }, { path: `/?jwt=${encodeURIComponent(text)}` }), [
    'alice',
    '/',
    [],
  ]);
  assert.deepEqual(await found({ fromCookies: ['session'] }, { headers: ['cookie', `a=1; session=${text}; b=2`] }), [
    'alice',
    '/',
    ['cookie', 'a=1; b=2'],
  ]);
  assert.deepEqual(await found({ fromCookies: ['session'] }, { headers: ['cookie', `session=${text}`] }), [
    'alice',
    '/',
    [],
  ]);
  // A rule with a place of its own does not look at the usual ones.
  assert.deepEqual(await found({ fromParams: ['jwt'] }, { headers: bearer(text) }), [undefined, '/', bearer(text)]);
});

test('two tokens must both be good', async () => {
  const good = await token();
  const bad = await token({ sub: 'root' }, otherKey);
  const ask = async (...headers: string[]): Promise<unknown> => (await pass([rule()], { headers })).reply?.body;
  assert.equal(await ask(...bearer(good), ...bearer(good)), undefined);
  assert.equal(await ask(...bearer(good), ...bearer(bad)), 'Jwt verification fails');
  assert.equal(await ask(...bearer(bad), ...bearer(good)), 'Jwt verification fails');
  // Also when one of them is known already.
  const filter = authenticationFilter.build(placeFor({ authentication: [policy(rule())] }, { clock }));
  await filter?.onRequest?.(runFor({ headers: bearer(good) }));
  const reply = await filter?.onRequest?.(runFor({ headers: bearer(good), path: `/?access_token=${bad}` }));
  assert.equal(reply?.body, 'Jwt verification fails');
});

test('claims are given out in headers, and a client cannot write them itself', async () => {
  const out = rule({
    outputPayloadToHeader: 'X-Payload',
    outputClaimToHeaders: [
      { header: 'X-User', claim: ['sub'] },
      { header: 'x-role', claim: ['realm', 'role'] },
      { header: 'x-list', claim: ['groups'] },
      { header: 'x-level', claim: ['level'] },
      { header: 'x-evil', claim: ['evil'] },
      { header: 'x-name', claim: ['name'] },
      { header: 'x-none', claim: ['none', 'deep'] },
    ],
  });
  const claims = { realm: { role: 'admin' }, groups: ['a'], level: 3, evil: 'x\r\nadmin: true', name: 'é' };
  const text = await token(claims);
  const forged = ['x-user', 'root', 'x-payload', 'e30', 'x-none', 'forged'];
  const { run } = await pass([out], { headers: [...forged, ...bearer(text)] });
  assert.deepEqual(Object.fromEntries(run.request.headers), {
    'x-payload': text.split('.')[1],
    'x-user': 'alice',
    'x-role': 'admin',
    'x-list': Buffer.from('["a"]').toString('base64url'),
    'x-level': '3',
    'x-name': Buffer.from('é').toString('latin1'),
  });
  assert.deepEqual((await pass([out], { headers: forged })).run.request.headers.fields, []);
});

test('a preflight needs no token, even a bad one', async () => {
  const headers = ['origin', 'https://x', 'access-control-request-method', 'GET', ...bearer('bad')];
  const { run, reply } = await pass([rule()], { method: 'OPTIONS', headers });
  assert.deepEqual([reply, run.token], [undefined, undefined]);
});

test('a token that was verified is known until it expires, also in another place', async () => {
  const ownClock = createFakeClock();
  const text = await token({ exp: ownClock.nowMs() / 1000 + 30 });
  const shared = rule();
  const ask = async (): Promise<unknown> =>
    (await pass([shared], { headers: bearer(text) }, { clock: ownClock })).reply?.body;
  assert.equal(await ask(), undefined);
  ownClock.advance(90_000);
  assert.equal(await ask(), undefined);
  ownClock.advance(1);
  assert.equal(await ask(), 'Jwt is expired');
});

test('the memory of tokens is bounded, and the oldest go', () => {
  const cache = new TokenCache();
  const verified = {
    issuer: '',
    subject: '',
    audiences: [],
    presenter: '',
    claims: {},
    written: {},
    payload: '',
    untilMs: 10,
  };
  for (let i = 0; i < 10_000; i++) cache.set(`t${i}`, verified, 1024);
  assert.equal(cache.size, 2048);
  assert.equal(cache.get('t0', 0), undefined);
  assert.equal(cache.get('t9999', 10), verified);
  assert.equal(cache.get('t9999', 11), undefined);
  assert.equal(cache.size, 2047);
});

test('a key that nobody knows is asked for, where keys come from elsewhere', async () => {
  const asked: string[] = [];
  const signed = (kid: string, signer = key): Promise<string> =>
    new SignJWT({ iss: a }).setProtectedHeader({ alg: 'ES256', kid }).sign(signer.privateKey);
  const jwk = { ...(await exportJWK(key.publicKey)), kid: 'one' };
  const ours = rule({
    keys: { kind: 'jwks', json: JSON.stringify({ keys: [jwk] }) },
    keySet: 'jwks https://a.example',
  });
  const ask = async (text: string, own: JwtRule): Promise<number | undefined> => {
    const place = placeFor({ authentication: [policy(own)] }, { clock });
    const services = { ...place.services, askForKeys: (set: string) => void asked.push(set) };
    return (await authenticationFilter.build({ ...place, services })?.onRequest?.(runFor({ headers: bearer(text) })))
      ?.status;
  };
  assert.equal(await ask(await signed('one'), ours), undefined);
  assert.equal(await ask(await signed('one', otherKey), ours), 401, 'a bad signature');
  const { keySet: _, ...whole } = ours;
  assert.equal(await ask(await signed('two'), whole), 401, 'the policy has them all');
  assert.equal(await ask(await signed('two'), rule({ ...ours, issuer: b })), 401, 'of another issuer');
  assert.deepEqual(asked, []);
  assert.equal(await ask(await signed('two'), ours), 401);
  assert.deepEqual(asked, ['jwks https://a.example']);
});
