import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, describe, test } from 'node:test';
import type { Extension } from '../../../api/l7/index.ts';
import { HeaderList } from '../../../http/header-list.ts';
import { systemClock } from '../../../lib/clock.ts';
import { engineBench, FakeExchange, type Bench } from '../../engine/engine-fixtures.ts';
import type { FilterPlace, HttpFilter } from '../../engine/filter.ts';
import { placeFor } from '../filter-fixtures.ts';
import { extensionFilter } from './filter.ts';

const open: HttpFilter[] = [];
after(() => {
  for (const filter of open) filter.close?.();
});

function extension(source: string, more: Partial<Extension> = {}): Extension {
  return {
    kind: 'extension',
    name: 'shop/mine',
    origin: { kind: 'ProxyExtension', namespace: 'shop', name: 'mine', generation: 1 },
    source,
    sha256: createHash('sha256').update(source).digest('hex'),
    config: '',
    phase: 'last',
    priority: 0,
    failOpen: false,
    // A process has to start within it, on a busy machine too.
    timeoutMs: 60_000,
    memoryMb: 64,
    maxBodyBytes: 0,
    ...more,
  };
}

function placeOf(...extensions: Extension[]): FilterPlace {
  const place = placeFor({}, { clock: systemClock });
  const named = new Map(extensions.map((each, i) => [`${each.name}${i}`, { ...each, name: `${each.name}${i}` }]));
  return {
    ...place,
    policies: { ...place.policies, extensions: [...named.keys()] },
    snapshot: { ...place.snapshot, policies: { ...place.snapshot.policies, extension: named } },
  };
}

function benchWith(...extensions: Extension[]): Bench {
  const filter = extensionFilter('last').build(placeOf(...extensions));
  assert.ok(filter);
  open.push(filter);
  return engineBench({ filters: [filter] });
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 12_000 && !condition(); tries++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(condition(), 'it did not come about');
}

/** Sends a request and waits until it was answered, or reached the backend, which answers 200. */
async function send({ run, upstreams }: Bench, exchange: FakeExchange): Promise<FakeExchange> {
  const before = upstreams.attempts.length;
  run(exchange);
  await until(() => exchange.answered || upstreams.attempts.length > before);
  if (!exchange.answered) upstreams.last.answer(200, 'from the backend');
  await until(() => exchange.answered);
  return exchange;
}

describe('an extension', () => {
  test('sees headers whose names every object has', async () => {
    const bench = benchWith(
      extension(`export default () => ({
        onRequest: ({ headers }) => ({ respond: { status: 299, body: Object.entries(headers).flat().join('|') } }),
      });`),
    );
    const headers = new HeaderList(['constructor', 'a', '__proto__', 'b']);
    const { body } = await send(bench, new FakeExchange({ headers }));
    assert.ok(body.startsWith('constructor|a|__proto__|b|'), body);
  });

  test('sees requests and answers, and changes them; TypeScript is taken as it is', async () => {
    const bench = benchWith(
      extension(
        `interface Request { readonly headers: Record<string, string>; readonly path: string; readonly source: { address: string } }
         export default (config: { name: string }) => ({
           onRequest: ({ headers, path, source }: Request) => ({
             headers: { 'X-Seen': config.name + ' ' + path + ' ' + source.address + ' ' + headers['x-in'], 'x-gone': null, host: 'other' },
             path: '/a/../new?q',
           }),
           onResponse: (response: { status: number }) => ({ status: response.status + 1, headers: { 'x-out': 'yes' } }),
         });`,
        { config: '{"name":"mine"}' },
      ),
    );
    const exchange = await send(
      bench,
      new FakeExchange({ path: '/old', headers: new HeaderList(['x-in', '1', 'x-in', '2', 'x-gone', '3']) }),
    );
    const { head } = bench.upstreams.last.request;
    assert.equal(head.headers.get('x-seen'), 'mine /old 10.1.1.1 1,2');
    assert.equal(head.headers.has('x-gone'), false);
    assert.deepEqual([head.authority, head.path], ['other', '/new?q']);
    assert.deepEqual([exchange.head?.status, exchange.head?.headers.get('x-out')], [201, 'yes']);
  });

  test('may answer in place of the backend, and read the body first', async () => {
    const bench = benchWith(
      extension(
        `export default () => ({ onRequest({ body }) {
           const text = new TextDecoder().decode(body?.bytes);
           return text.includes('bad') ? { respond: { status: 422, body: 'no: ' + text + body.whole, headers: { 'content-type': 'text/x' } } } : undefined;
         } });`,
        { maxBodyBytes: 100 },
      ),
    );
    const refused = new FakeExchange({ method: 'POST' }, 'unknown');
    bench.run(refused);
    refused.send('so bad');
    refused.reader.onEnd();
    await until(() => refused.answered);
    assert.deepEqual(
      [refused.head?.status, refused.body, refused.head?.headers.get('content-type')],
      [422, 'no: so badtrue', 'text/x'],
    );
    const fine = new FakeExchange({ method: 'POST' }, 'unknown');
    bench.run(fine);
    fine.send('good');
    fine.reader.onEnd();
    await until(() => bench.upstreams.attempts.length === 1);
    assert.equal(bench.upstreams.last.body, 'good');
  });

  test('has no files, network, processes, environment nor arguments of the proxy', async () => {
    const bench = benchWith(
      extension(
        `const tried = async (name, work) => { try { await work(); return name + ' allowed'; } catch (error) { return error.code ?? String(error); } };
         export default () => ({ async onRequest() {
           const net = await import('node:net');
           const results = [
             await tried('read', async () => (await import('node:fs')).readFileSync('/etc/hostname')),
             await tried('write', async () => (await import('node:fs')).writeFileSync('/tmp/x', '')),
             await tried('exec', async () => (await import('node:child_process')).execSync('id')),
             await tried('worker', async () => new (await import('node:worker_threads')).Worker('1', { eval: true })),
             await tried('connect', () => new Promise((resolve, reject) => net.connect(1, '127.0.0.1').on('connect', resolve).on('error', reject))),
             await tried('listen', () => new Promise((resolve, reject) => net.createServer().on('error', reject).listen(0, resolve))),
             await tried('fetch', () => fetch('http://127.0.0.1:8080/').catch((error) => { throw error.cause ?? error; })),
             await tried('addon', async () => process.dlopen({ exports: {} }, '/x')),
             JSON.stringify(process.env),
           ];
           return { respond: { status: 200, body: results.join(' ') } };
         } });`,
      ),
    );
    const { body } = await send(bench, new FakeExchange());
    assert.match(body, /^(ERR_ACCESS_DENIED |ERR_DLOPEN_DISABLED ){8}\{\}$/);
  });

  test('that fails, is slow, or cannot be loaded refuses the request, or lets it pass, as it is declared', async () => {
    const sources = {
      throws: `export default () => ({ onRequest() { throw new Error('oops'); } });`,
      slow: `export default () => ({ onRequest: () => new Promise(() => {}) });`,
      broken: `export default 7;`,
      'no code': `this is not code (`,
      'bad header': `export default () => ({ onRequest: () => ({ headers: { 'a b': 'c' } }) });`,
      smuggles: `export default () => ({ onRequest: () => ({ headers: { x: 'a\\r\\nb: c' } }) });`,
    };
    for (const [what, source] of Object.entries(sources)) {
      const more = what === 'slow' ? { timeoutMs: 300 } : {};
      const closed = await send(benchWith(extension(source, more)), new FakeExchange());
      assert.equal(closed.head?.status, 500, what);
      assert.match(
        closed.head?.headers.get('x-ambit-reason') ?? '',
        /shop\/mine0|no name of a header|cannot be sent/,
        what,
      );
      const passed = await send(benchWith(extension(source, { ...more, failOpen: true })), new FakeExchange());
      assert.equal(passed.body, 'from the backend', what);
    }
  });

  test('that is stuck in a loop, or takes too much memory, is ended and starts again', async () => {
    for (const trap of ['for (;;);', 'const all = []; for (;;) all.push(new Array(1e6).fill(1));']) {
      const bench = benchWith(
        extension(`export default () => ({ onRequest({ path }) { if (path === '/trap') { ${trap} } } });`, {
          timeoutMs: 500,
          memoryMb: 32,
        }),
      );
      const passes = async (): Promise<void> => {
        // Each is waited for no longer than it takes the filter to give up.
        for (let tries = 0; tries < 120; tries++) {
          if ((await send(bench, new FakeExchange())).body === 'from the backend') return;
        }
        assert.fail('no request passes');
      };
      await passes();
      const trapped = await send(bench, new FakeExchange({ path: '/trap' }));
      assert.equal(trapped.head?.status, 500);
      await passes();
    }
  });

  test('whose source is not the one that was meant is refused with its name', () => {
    const place = placeOf(extension('export default () => ({});', { sha256: '0'.repeat(64) }));
    assert.throws(() => extensionFilter('last').build(place), /extension\/shop\/mine0: its source has the SHA-256/);
    assert.equal(extensionFilter('authorization').build(place), undefined);
  });
});
