import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CorsPolicy } from '../../../api/l7/index.ts';
import { HeaderList } from '../../../http/header-list.ts';
import type { LocalReply } from '../../engine/filter.ts';
import { placeFor, runFor } from '../filter-fixtures.ts';
import { corsFilter } from './filter.ts';

const policy: CorsPolicy = {
  allowOrigins: [
    { kind: 'exact', value: 'https://shop.example' },
    { kind: 'regex', value: 'https://[a-z]+\\.dev\\.example' },
  ],
  allowMethods: ['GET', 'PUT'],
  allowHeaders: ['x-a', 'x-b'],
  exposeHeaders: ['x-c'],
  maxAgeSeconds: 600,
  allowCredentials: false,
  unmatchedPreflights: 'forward',
};

/** What a client sees: of a preflight that is answered, or of a 200 of the backend. */
async function ask(
  change: Partial<CorsPolicy>,
  request: Parameters<typeof runFor>[0],
  answer: readonly string[] = [],
): Promise<{ readonly reply: LocalReply | undefined; readonly headers: Record<string, string> }> {
  const filter = corsFilter.build(placeFor({}));
  const run = runFor({ ...request, route: { cors: { ...policy, ...change } } });
  const reply = await filter?.onRequest?.(run);
  const headers = new HeaderList([...(reply?.headers?.fields ?? answer)]);
  await filter?.onResponse?.(run, { status: reply?.status ?? 200, headers });
  return { reply, headers: Object.fromEntries(headers) };
}

const preflight = (origin: string, ...more: string[]): Parameters<typeof runFor>[0] => ({
  method: 'OPTIONS',
  headers: ['origin', origin, 'access-control-request-method', 'PUT', ...more],
});

test('a preflight of an allowed origin is answered, and does not reach the backend', async () => {
  const { reply, headers } = await ask({}, preflight('https://shop.example'));
  assert.deepEqual([reply?.status, reply?.body], [200, undefined]);
  assert.deepEqual(headers, {
    'access-control-allow-methods': 'GET, PUT',
    'access-control-allow-headers': 'x-a, x-b',
    'access-control-max-age': '600',
    'access-control-allow-origin': 'https://shop.example',
    'access-control-expose-headers': 'x-c',
    vary: 'origin',
  });
});

test('origins are compared whole', async () => {
  const isAllowed = async (origin: string): Promise<boolean> =>
    'access-control-allow-origin' in (await ask({}, { headers: ['origin', origin] })).headers;
  assert.equal(await isAllowed('https://a.dev.example'), true);
  for (const origin of ['https://a.dev.example.evil', 'http://shop.example', 'https://shop.example:8443', 'null', '']) {
    assert.equal(await isAllowed(origin), false, origin);
  }
});

test('an answer to an allowed origin is marked in place of what the backend said', async () => {
  const { headers } = await ask({ allowCredentials: true }, { headers: ['origin', 'https://shop.example'] }, [
    'access-control-allow-origin',
    '*',
    'vary',
    'Accept-Encoding',
  ]);
  assert.equal(headers['access-control-allow-origin'], 'https://shop.example');
  assert.equal(headers['access-control-allow-credentials'], 'true');
  assert.equal(headers['access-control-expose-headers'], 'x-c');
});

test('every answer of the route says that it depends on the origin, once', async () => {
  const varies = async (...answer: string[]): Promise<string | undefined> =>
    (await ask({}, { headers: [] }, answer)).headers['vary'];
  assert.equal(await varies(), 'origin');
  assert.equal(await varies('vary', 'Accept, Origin'), 'Accept, Origin');
  assert.equal(await varies('vary', '*'), '*');
});

test('a preflight of another origin goes on, or is answered without a mark', async () => {
  const forwarded = await ask({}, preflight('https://evil.example'));
  assert.equal(forwarded.reply, undefined);
  const ignored = await ask({ unmatchedPreflights: 'ignore' }, preflight('https://evil.example'));
  assert.equal(ignored.reply?.status, 200);
  assert.deepEqual(ignored.headers, { vary: 'origin' });
});

test('OPTIONS without a question is an ordinary request', async () => {
  const { reply } = await ask({}, { method: 'OPTIONS', headers: ['origin', 'https://shop.example'] });
  assert.equal(reply, undefined);
});

test('* is told as it is, or with credentials as what was asked for', async () => {
  const star = { allowMethods: ['*'], allowHeaders: ['*'] };
  const asked = preflight('https://shop.example', 'access-control-request-headers', 'x-z');
  const plain = (await ask(star, asked)).headers;
  assert.deepEqual([plain['access-control-allow-methods'], plain['access-control-allow-headers']], ['*', '*']);
  const named = (await ask({ ...star, allowCredentials: true }, asked)).headers;
  assert.deepEqual([named['access-control-allow-methods'], named['access-control-allow-headers']], ['PUT', 'x-z']);
});
