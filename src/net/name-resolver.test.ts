import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../lib/fake-clock.ts';
import { ipv4, ipv6 } from '../lib/ip-families.ts';
import { NameResolver, type NameQuery, type NameRecord } from './name-resolver.ts';

const both = ipv4 | ipv6;
const a = (...addresses: string[]): NameRecord[] => addresses.map((address) => ({ address, ttlSeconds: 30 }));

function resolverOf(query: NameQuery): {
  names: NameResolver;
  clock: ReturnType<typeof createFakeClock>;
  asked: string[];
} {
  const clock = createFakeClock();
  const asked: string[] = [];
  const names = new NameResolver({
    clock,
    random: () => 0,
    timeoutMs: 5000,
    query: (hostname, family) => {
      asked.push(`${family} ${hostname}`);
      return query(hostname, family);
    },
  });
  return { names, clock, asked };
}

test('an answer is kept as long as it says, and asked for again afterwards', async () => {
  const { names, clock, asked } = resolverOf(async () => a('192.0.2.1'));
  assert.equal(await names.resolve('db', ipv4, ipv4), '192.0.2.1');
  clock.advance(29_000);
  await names.resolve('db', ipv4, ipv4);
  assert.equal(asked.length, 1);
  clock.advance(2000);
  await names.resolve('db', ipv4, ipv4);
  assert.equal(asked.length, 2);
});

test('connections that ask at once share one question', async () => {
  const { names, asked } = resolverOf(async () => a('192.0.2.1'));
  await Promise.all(Array.from({ length: 50 }, () => names.resolve('db', ipv4, ipv4)));
  assert.equal(asked.length, 1);
});

test('the preferred family goes first, the other one serves when it has nothing', async () => {
  const { names, asked } = resolverOf(async (_, family) => (family === 4 ? a('192.0.2.1') : []));
  assert.equal(await names.resolve('db', both, ipv6), '192.0.2.1');
  assert.deepEqual(asked, ['6 db', '4 db']);
  await assert.rejects(names.resolve('db', ipv6, ipv6), {
    code: 'outbound.name-not-resolved',
    message: /"db": no AAAA record/,
  });
  assert.equal(asked.length, 2, 'that there is none is known');
});

test('addresses that were tried are left out, then the other family serves, then nothing', async () => {
  const { names } = resolverOf(async (_, family) => (family === 4 ? a('192.0.2.1', '192.0.2.2') : a('2001:db8::1')));
  assert.equal(await names.resolve('db', both, ipv4, new Set(['192.0.2.1'])), '192.0.2.2');
  assert.equal(await names.resolve('db', both, ipv4, new Set(['192.0.2.1', '192.0.2.2'])), '2001:db8::1');
  await assert.rejects(names.resolve('db', ipv4, ipv4, new Set(['192.0.2.1', '192.0.2.2'])), {
    message: /"db": no other A record/,
  });
});

test('a name server that does not answer is given up, and not asked again at once', async () => {
  const { names, clock, asked } = resolverOf(() => new Promise(() => {}));
  const first = assert.rejects(names.resolve('db', ipv4, ipv4), { message: /"db": ETIMEOUT/ });
  clock.advance(5001);
  await first;
  await assert.rejects(names.resolve('db', ipv4, ipv4));
  assert.equal(asked.length, 1);
});

test('what was known stands in while nobody answers, for a while', async () => {
  let fails = false;
  const { names, clock } = resolverOf(async () => {
    if (fails) throw Object.assign(new Error('no'), { code: 'ESERVFAIL' });
    return a('192.0.2.1');
  });
  await names.resolve('db', ipv4, ipv4);
  fails = true;
  clock.advance(60_000);
  assert.equal(await names.resolve('db', ipv4, ipv4), '192.0.2.1');
  clock.advance(600_000);
  await assert.rejects(names.resolve('db', ipv4, ipv4), { message: /ESERVFAIL/ });
});

test('the memory is bounded', async () => {
  const { names, asked } = resolverOf(async () => a('192.0.2.1'));
  for (let i = 0; i < 5000; i++) await names.resolve(`n${i}`, ipv4, ipv4);
  await names.resolve('n4999', ipv4, ipv4);
  assert.equal(asked.length, 5000);
  await names.resolve('n0', ipv4, ipv4);
  assert.equal(asked.length, 5001, 'the oldest is forgotten');
});

async function listed(found: AsyncIterable<{ readonly address: string; readonly left: number }>): Promise<string[]> {
  const list: string[] = [];
  for await (const { address, left } of found) list.push(`${address} ${left}`);
  return list;
}

test('addresses come one after another, those of the preferred family first, with how many may follow', async () => {
  const { names, asked } = resolverOf(async (_, family) =>
    family === 4 ? a('192.0.2.1', '192.0.2.2') : a('2001:db8::1'),
  );
  assert.deepEqual(await listed(names.addresses('db', both, ipv4)), ['192.0.2.1 2', '192.0.2.2 1', '2001:db8::1 0']);
  assert.deepEqual(await listed(names.addresses('db', both, ipv6)), ['2001:db8::1 2', '192.0.2.1 1', '192.0.2.2 0']);
  assert.deepEqual(await listed(names.addresses('db', ipv6, ipv6)), ['2001:db8::1 0']);
  assert.equal(asked.length, 2);
});

test('a family that nobody answers for keeps nobody from the other', async () => {
  const { names, clock } = resolverOf((_, family) =>
    family === 4 ? Promise.resolve(a('192.0.2.1')) : new Promise(() => {}),
  );
  const found = names.addresses('db', both, ipv4);
  assert.deepEqual(await found.next(), { done: false, value: { address: '192.0.2.1', left: 1 } });
  const rest = found.next();
  clock.advance(5001);
  assert.equal((await rest).done, true);
});

test('addresses of a name that has none are an error which says why', async () => {
  const silent = resolverOf(() => new Promise(() => {}));
  const first = assert.rejects(listed(silent.names.addresses('db', both, ipv4)), {
    code: 'outbound.name-not-resolved',
    message: 'Cannot resolve "db": ETIMEOUT, ETIMEOUT',
  });
  // Both families are asked at once: it takes no longer than one of them.
  silent.clock.advance(5001);
  await first;
  const { names } = resolverOf(async () => []);
  await assert.rejects(listed(names.addresses('db', both, ipv4)), { message: /no A record, no AAAA record/ });
});

test('no more questions than allowed are open at once; what is known goes on serving', async () => {
  let isSilent = false;
  const clock = createFakeClock();
  let asked = 0;
  const names = new NameResolver({
    clock,
    random: () => 0,
    timeoutMs: 5000,
    maxQuestions: 2,
    query: () => (asked++, isSilent ? new Promise(() => {}) : Promise.resolve(a('192.0.2.1'))),
  });
  await names.resolve('known', ipv4, ipv4);
  isSilent = true;
  clock.advance(31_000);
  const open = ['x', 'y'].map((name) => assert.rejects(names.resolve(name, ipv4, ipv4), { message: /ETIMEOUT/ }));
  await assert.rejects(names.resolve('z', ipv4, ipv4), { message: /"z": too many names are being resolved/ });
  assert.equal(await names.resolve('known', ipv4, ipv4), '192.0.2.1');
  assert.equal(asked, 3);
  clock.advance(5001);
  await Promise.all(open);
  isSilent = false;
  assert.equal(await names.resolve('z', ipv4, ipv4), '192.0.2.1', 'being refused is not remembered');
});
