import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createGraph } from '../collection/index.ts';
import type { KeyNeed, KeySet } from '../discovery/index.ts';
import { createFakeClock } from '../lib/fake-clock.ts';
import { parseCidr } from '../lib/ip.ts';
import { silentLog } from '../lib/log.ts';
import { MetricsRegistry } from '../telemetry/index.ts';
import { createJwksFetcher, neverForKeys, type JwksFetcher } from './jwks-fetcher.ts';
import { startJwksResolver } from './jwks-resolver.ts';

const jwkOf = (kid: string): Record<string, unknown> => ({
  ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }),
  kid,
});

const minute = 60_000;
const day = 24 * 60 * minute;

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const json =
  (value: unknown, status = 200): Answer =>
  (_, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));

describe('fetching key sets', () => {
  const answers: Record<string, Answer> = {};
  const server = createServer((request, response) => {
    const answer = answers[request.url ?? ''];
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });
  let base = '';
  const fetcher = createJwksFetcher();
  const never = new AbortController().signal;
  const source = (path: string, more: Partial<KeyNeed> = {}): KeyNeed => ({
    from: 'jwks',
    url: `${base}${path}`,
    timeoutMs: 5000,
    ...more,
  });
  const fails = (of: KeyNeed, pattern: RegExp, by: JwksFetcher = fetcher): Promise<void> =>
    assert.rejects(by.fetch(of, never), { code: 'control.jwks', message: pattern });

  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(async () => {
    await fetcher.close();
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });

  it('keeps the public members of the keys, in an order of its own', async () => {
    const [one, two] = [jwkOf('1'), jwkOf('2')];
    answers['/keys'] = json({ keys: [{ ...two, d: 'private', x5c: ['long'] }, one], more: 1 });
    const fetched = await fetcher.fetch(source('/keys'), never);
    answers['/keys'] = json({ keys: [one, two] });
    assert.equal(await fetcher.fetch(source('/keys'), never), fetched);
    assert.doesNotMatch(fetched, /private|long/);
    assert.equal((JSON.parse(fetched) as { keys: unknown[] }).keys.length, 2);
  });

  it('follows the OpenID configuration of an issuer, and redirections', async () => {
    answers['/realm/.well-known/openid-configuration'] = json({ issuer: 'x', jwks_uri: `${base}/moved` });
    answers['/moved'] = (_, response) => void response.writeHead(302, { location: '/keys' }).end();
    answers['/keys'] = json({ keys: [jwkOf('1')] });
    for (const issuer of ['/realm', '/realm/']) {
      assert.match(await fetcher.fetch(source(issuer, { from: 'issuer' }), never), /"kid":"1"/);
    }
    answers['/realm/.well-known/openid-configuration'] = json({});
    await fails(source('/realm', { from: 'issuer' }), /names no jwks_uri/);
    answers['/round'] = (_, response) => void response.writeHead(302, { location: '/round' }).end();
    await fails(source('/round'), /leads on and on/);
    answers['/out'] = (_, response) => void response.writeHead(302, { location: 'file:///etc/passwd' }).end();
    await fails(source('/out'), /no http or https URL/);
  });

  it('takes nothing that is no key set', async () => {
    answers['/text'] = (_, response) => void response.end('secret');
    await assert.rejects(fetcher.fetch(source('/text'), never), (error: Error) => !error.message.includes('secret'));
    await fails(source('/text'), /not JSON/);
    answers['/none'] = json({ keys: [{ kty: 'oct', k: 'AA' }] });
    await fails(source('/none'), /no key that can verify/);
    answers['/list'] = json([]);
    await fails(source('/list'), /no JSON Web Key Set/);
    answers['/error'] = json({ keys: [jwkOf('1')] }, 500);
    await fails(source('/error'), /status 500/);
    await fails(source('/gone'), /status 404/);
    await fails(source('/gone?key=secret'), /\/gone\?key=\[hidden\] answers/);
    await fails(source('', { url: 'http://me:secret@127.0.0.1:1/' }), /\/\/\[hidden\]@127\.0\.0\.1:1\/ cannot/);
  });

  it('is bounded in bytes and in time', async () => {
    answers['/huge'] = (_, response) => {
      response.write('{"keys":["');
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(64 * 1024)));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    };
    await fails(source('/huge'), /more than 1048576 bytes/);
    answers['/silent'] = () => {};
    await fails(source('/silent', { timeoutMs: 50 }), /no answer within 50 ms/);
    server.closeAllConnections();
  });

  it('never connects to what is blocked, by number or by name', async () => {
    const blocking = createJwksFetcher({ blockedCidrs: [...neverForKeys, parseCidr('192.0.2.0/24')] });
    answers['/keys'] = json({ keys: [jwkOf('1')] });
    const { port } = server.address() as AddressInfo;
    try {
      await fails(source('/keys'), /may not be connected to/, blocking);
      await fails(source('', { url: `http://localhost:${port}/keys` }), /may not be connected to/, blocking);
      for (const url of [
        `http://[::ffff:127.0.0.1]:${port}/keys`,
        `http://[::1]:${port}/keys`,
        `http://0:${port}/keys`,
      ]) {
        await fails(source('', { url }), /may not be connected to/, blocking);
      }
      await fails(source('', { url: 'http://169.254.169.254/latest' }), /may not be connected to/, blocking);
      await fails(source('', { url: 'http://192.0.2.1/keys' }), /may not be connected to/, blocking);
    } finally {
      await blocking.close();
    }
  });
});

describe('a rotation of keys', () => {
  it('reaches the policies from the server of the issuer', async () => {
    let keys = [jwkOf('old')];
    const server = createServer((_, response) => void response.end(JSON.stringify({ keys })));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    const clock = createFakeClock();
    const graph = createGraph({ onDirty: () => setImmediate(() => graph.flush()) });
    const needed = graph.source<KeyNeed>('needed');
    const keySets = graph.source<KeySet>('key sets');
    const registry = new MetricsRegistry({ clock, log: silentLog() });
    const stop = new AbortController();
    const fetcher = createJwksFetcher();
    const changed = (): Promise<string> =>
      new Promise((resolve) => {
        const unsubscribe = keySets.subscribe(() => {
          const set = keySets.get('k');
          unsubscribe();
          resolve(set?.kind === 'jwks' ? set.json : 'unavailable');
        });
      });
    try {
      startJwksResolver({ needed, keySets, fetcher, clock, registry, log: silentLog(), signal: stop.signal });
      const first = changed();
      needed.set('k', { from: 'jwks', url, timeoutMs: 5000 });
      assert.match(await first, /"kid":"old"/);
      keys = [jwkOf('new')];
      const second = changed();
      clock.advance(20 * minute);
      assert.match(await second, /"kid":"new"/);
    } finally {
      stop.abort();
      await fetcher.close();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    }
  });
});

interface TestWorld {
  readonly clock: ReturnType<typeof createFakeClock>;
  /** What a fetch of a URL gives; an Error fails. */
  readonly issuers: Map<string, string | Error>;
  readonly fetched: string[];
  readonly metrics: () => string;
  need(...urls: string[]): Promise<void>;
  drop(url: string): Promise<void>;
  pass(ms: number): Promise<void>;
  set(url: string): string | undefined;
  refresh(url: string): boolean;
  stop(): void;
}

function openWorld(): TestWorld {
  const clock = createFakeClock();
  const graph = createGraph();
  const needed = graph.source<KeyNeed>('needed');
  const keySets = graph.source<KeySet>('key sets');
  const issuers = new Map<string, string | Error>();
  const fetched: string[] = [];
  const registry = new MetricsRegistry({ clock, log: silentLog() });
  const stop = new AbortController();
  const fetcher: JwksFetcher = {
    fetch({ url }) {
      fetched.push(url);
      const answer = issuers.get(url) ?? new Error('connection refused');
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
    close: () => Promise.resolve(),
  };
  const resolver = startJwksResolver({
    needed,
    keySets,
    fetcher,
    clock,
    registry,
    log: silentLog(),
    signal: stop.signal,
  });
  const settle = async (): Promise<void> => {
    graph.flush();
    await resolver.tried();
    // Fetches that timers began end within a few microtasks.
    for (let i = 0; i < 10; i++) await Promise.resolve();
    graph.flush();
  };
  return {
    clock,
    issuers,
    fetched,
    metrics: () => registry.write('text'),
    async need(...urls) {
      for (const url of urls) needed.set(url, { from: 'jwks', url, timeoutMs: 1000 });
      await settle();
    },
    async drop(url) {
      needed.delete(url);
      await settle();
    },
    async pass(ms) {
      clock.advance(ms);
      await settle();
    },
    set(url) {
      const known = keySets.get(url);
      return known && (known.kind === 'jwks' ? known.json : `unavailable: ${known.reason}`);
    },
    refresh: (url) => resolver.refresh(url),
    stop: () => stop.abort(),
  };
}

describe('the key sets that policies need', () => {
  it('are fetched at once, and follow a rotation within 20 minutes', async () => {
    const world = openWorld();
    world.issuers.set('a', 'first');
    await world.need('a');
    assert.equal(world.set('a'), 'first');
    world.issuers.set('a', 'second');
    await world.pass(20 * minute - 1);
    assert.equal(world.set('a'), 'first');
    await world.pass(1);
    assert.equal(world.set('a'), 'second');
    assert.match(world.metrics(), /pilot_jwks_resolver_network_fetch_success_total 2/);
    world.stop();
  });

  it('are unavailable until somebody answers: soon at first, then less and less often', async () => {
    const world = openWorld();
    await world.need('a');
    assert.equal(world.set('a'), 'unavailable: connection refused');
    assert.match(world.metrics(), /ambit_jwks_sets_unavailable 1/);
    for (let i = 0; i < 3; i++) await world.pass(1000);
    assert.equal(world.fetched.length, 4);
    await world.pass(45_000);
    assert.equal(world.fetched.length, 4);
    await world.pass(30_000);
    assert.equal(world.fetched.length, 5);
    const before = world.fetched.length;
    for (let i = 0; i < 24 * 60; i++) await world.pass(minute);
    assert.ok(world.fetched.length - before < 35, `${world.fetched.length - before} fetches a day`);
    world.issuers.set('a', 'set');
    await world.pass(61 * minute);
    assert.equal(world.set('a'), 'set');
    assert.match(world.metrics(), /ambit_jwks_sets_unavailable 0/);
    world.stop();
  });

  it('go on as they were while their issuer fails', async () => {
    const world = openWorld();
    world.issuers.set('a', 'good');
    await world.need('a');
    world.issuers.set('a', new Error('status 500'));
    for (let i = 0; i < 100; i++) await world.pass(20 * minute);
    assert.equal(world.set('a'), 'good');
    assert.ok(world.fetched.length > 10);
    world.stop();
  });

  it('are kept for a week after nobody needs them, without asking, and are there at once for whoever comes', async () => {
    const world = openWorld();
    world.issuers.set('a', 'set');
    await world.need('a', 'b');
    await world.drop('a');
    await world.drop('b');
    assert.equal(world.set('b'), undefined, 'what failed is not kept');
    const before = world.fetched.length;
    await world.pass(6 * day);
    assert.deepEqual([world.set('a'), world.fetched.length], ['set', before]);
    await world.need('a');
    assert.equal(world.fetched.length, before + 1);
    await world.drop('a');
    await world.pass(7 * day);
    assert.equal(world.set('a'), undefined);
    assert.equal(world.clock.pending, 0);
    world.stop();
  });

  it('are fetched early when somebody asks, but not oftener than every five seconds', async () => {
    const world = openWorld();
    world.issuers.set('a', 'first');
    await world.need('a');
    await world.pass(minute);
    world.issuers.set('a', 'second');
    const before = world.fetched.length;
    assert.ok(world.refresh('a') && world.refresh('a'));
    await world.pass(0);
    assert.deepEqual([world.set('a'), world.fetched.length], ['second', before + 1]);
    world.issuers.set('a', 'third');
    assert.ok(world.refresh('a'));
    await world.pass(4999);
    assert.equal(world.set('a'), 'second');
    assert.ok(world.refresh('a'), 'it is due already');
    await world.pass(1);
    assert.deepEqual([world.set('a'), world.fetched.length], ['third', before + 2]);
    await world.pass(20 * minute - 1);
    assert.equal(world.fetched.filter((url) => url === 'a').length, 3);
    await world.pass(1);
    assert.equal(world.fetched.filter((url) => url === 'a').length, 4, 'and as usual after that');
    assert.match(world.metrics(), /ambit_jwks_sets_asked_for_total 2/);
    world.stop();
  });

  it('are fetched seldom for who asks in vain, and soon again after new keys or quiet', async () => {
    const world = openWorld();
    world.issuers.set('a', 'first');
    await world.need('a');
    /** Fetches of ten minutes in which somebody asks each second. */
    const ask = async (): Promise<number> => {
      const before = world.fetched.length;
      for (let i = 0; i < 600; i++) {
        assert.ok(world.refresh('a'));
        await world.pass(1000);
      }
      return world.fetched.length - before;
    };
    const first = await ask();
    assert.ok(first <= 10, `${first} fetches in ten minutes`);
    const second = await ask();
    assert.ok(second <= 8 && second >= 4, `${second} fetches in the next ten minutes`);
    world.issuers.set('a', 'second');
    for (let i = 0; i < 120 && world.set('a') !== 'second'; i++) {
      world.refresh('a');
      await world.pass(1000);
    }
    assert.equal(world.set('a'), 'second', 'a rotation is heard of within two minutes all the same');
    const before = world.fetched.length;
    world.refresh('a');
    await world.pass(5000);
    assert.equal(world.fetched.length, before + 1, 'asking had brought something');
    await ask();
    await world.pass(2 * minute);
    const quiet = world.fetched.length;
    world.refresh('a');
    await world.pass(0);
    assert.equal(world.fetched.length, quiet + 1);
    world.stop();
  });

  it('of an issuer that fails are asked for seldom, and as soon as they would have been without', async () => {
    const world = openWorld();
    world.issuers.set('a', 'good');
    await world.need('a');
    world.issuers.set('a', new Error('status 500'));
    const before = world.fetched.length;
    for (let i = 0; i < 19 * 60; i++) {
      world.refresh('a');
      await world.pass(1000);
    }
    const asked = world.fetched.length - before;
    assert.ok(asked <= 16, `${asked} fetches in 19 minutes`);
    assert.equal(world.set('a'), 'good');
    world.issuers.set('a', 'mended');
    await world.pass(61_000);
    assert.equal(world.set('a'), 'mended', 'it is due 20 minutes after the last good one');
    world.stop();
  });

  it('are not fetched for who asks for what no policy needs', async () => {
    const world = openWorld();
    world.issuers.set('a', 'set');
    await world.need('a');
    await world.drop('a');
    await world.pass(minute);
    const before = world.fetched.length;
    assert.deepEqual([world.refresh('a'), world.refresh('http://elsewhere')], [false, false]);
    await world.pass(minute);
    assert.equal(world.fetched.length, before);
    world.stop();
  });

  it('leave no timer when the control plane ends', async () => {
    const world = openWorld();
    world.issuers.set('a', 'set');
    await world.need('a', 'b');
    assert.equal(world.clock.pending, 2);
    world.stop();
    assert.equal(world.clock.pending, 0);
  });
});
