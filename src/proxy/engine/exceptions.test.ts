import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serveHttp1 } from '../../http/h1/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { silentLog, type Log, type LogFields } from '../../lib/log.ts';
import { memoryChannelPair } from '../../net/index.ts';
import { fakeUpstreams } from '../upstream/fake-upstreams.ts';
import type { ActiveRun } from './active-run.ts';
import {
  engineBench,
  FakeExchange,
  forwardRule,
  testConnection,
  type Bench,
  type BenchOptions,
} from './engine-fixtures.ts';
import type { HttpFilter } from './filter.ts';
import { createHttpEntry } from './http-entry.ts';
import type { HttpPlace } from './place.ts';
import { SparingLog } from './sparing-log.ts';

const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

class Oops extends Error {}

function oops(): never {
  throw new Oops('oops');
}

interface Scene extends Bench {
  readonly lines: LogFields[];
  readonly finished: ActiveRun[];
  readonly counted: () => string[];
}

/** A bench whose first filter sees each run's end, as logs and metrics do. */
function scene(options: BenchOptions = {}): Scene {
  const lines: LogFields[] = [];
  const finished: ActiveRun[] = [];
  const log: Log = { ...silentLog(), error: (message, fields) => void lines.push({ message, ...fields }) };
  const witness: HttpFilter = { name: 'witness', onFinish: (run) => void finished.push(run as ActiveRun) };
  const bench = engineBench({ ...options, log, filters: [witness, ...(options.filters ?? [])] });
  const { metrics } = bench.place.services;
  const counted = (): string[] =>
    metrics
      .write('text')
      .split('\n')
      .filter((line) => line.startsWith('ambit_proxy_exceptions_total') && !line.endsWith(' 0'));
  return { ...bench, lines, finished, counted };
}

/** Nothing of any request is left. */
function assertNothingLeft({ upstreams, clock }: Scene): void {
  assert.ok(upstreams.attempts.every(({ wasReset, isAnswered }) => wasReset || isAnswered));
  assert.equal(upstreams.retriesUnderWay, 0);
  assert.equal(clock.pending, 0);
}

/** Another request at the same place is none the wiser. */
async function assertOthersServed({ run, upstreams }: Scene): Promise<void> {
  const exchange = new FakeExchange({ path: '/fine' });
  run(exchange);
  await settle();
  upstreams.last.answer(200, 'fine');
  await settle();
  assert.deepEqual([exchange.head?.status, exchange.body], [200, 'fine']);
  exchange.reader.onClose();
}

/** Throws for the path `/bad` alone. */
function broken(hook: 'onRequest' | 'onResponse' | 'onFinish', isAsync: boolean): HttpFilter {
  const act = (path: string): Promise<undefined> | undefined => {
    if (path !== '/bad') return undefined;
    if (isAsync) return Promise.reject(new Oops('oops'));
    return oops();
  };
  return { name: 'broken', [hook]: (run: ActiveRun) => act(run.originalPath) };
}

describe('a filter that throws', () => {
  for (const isAsync of [false, true]) {
    const how = isAsync ? 'later' : 'at once';
    test(`on the way in, ${how}, refuses its request, which nobody else sees`, async () => {
      const at = scene({ filters: [broken('onRequest', isAsync)] });
      const exchange = new FakeExchange({ path: '/bad' });
      at.run(exchange);
      await settle();
      assert.equal(at.upstreams.attempts.length, 0, 'a policy that breaks lets nobody in');
      assert.equal(exchange.head?.status, 500);
      assert.equal(exchange.head?.headers.get('x-ambit-reason'), 'filter broken failed: oops');
      assert.ok(exchange.ended);
      exchange.reader.onClose();
      const [run] = at.finished;
      assert.deepEqual(
        [run?.responseStatus, run?.responseDetails, run?.reason],
        [500, 'filter_failed{broken}', 'filter broken failed: oops'],
      );
      assert.deepEqual(at.counted(), ['ambit_proxy_exceptions_total{part="broken"} 1']);
      assert.match(String(at.lines[0]?.['stack']), /Oops|oops[\s\S]*exceptions\.test/);
      await assertOthersServed(at);
      assertNothingLeft(at);
    });

    test(`on the way out, ${how}, has its request answered 500, and nothing of the backend's answer goes out`, async () => {
      const at = scene({ filters: [broken('onResponse', isAsync)] });
      const exchange = new FakeExchange({ path: '/bad' });
      at.run(exchange);
      at.upstreams.last.reader.onResponse({ status: 200, headers: new HeaderList(['secret', 'x']) }, false);
      at.upstreams.last.reader.onData(Buffer.from('secret'));
      await settle();
      assert.deepEqual([exchange.head?.status, exchange.head?.headers.get('secret')], [500, undefined]);
      assert.deepEqual([exchange.body, exchange.ended], ['', true]);
      exchange.reader.onClose();
      assert.deepEqual([at.finished[0]?.responseStatus, at.finished[0]?.bytesSent], [500, 0]);
      assert.deepEqual(at.counted(), ['ambit_proxy_exceptions_total{part="broken"} 1']);
      await assertOthersServed(at);
      assertNothingLeft(at);
    });
  }

  test('on the way out of a refusal does not undo it', () => {
    const refuse: HttpFilter = {
      name: 'no',
      onRequest: () => ({ status: 403, flag: '', details: 'rbac', reason: 'denied' }),
      onResponse: oops,
    };
    const at = scene({ filters: [refuse] });
    const exchange = new FakeExchange();
    at.run(exchange);
    assert.equal(exchange.head?.status, 500);
    assert.equal(at.upstreams.attempts.length, 0);
  });

  test('at the end keeps no other from hearing of the end', async () => {
    const heard: string[] = [];
    const after: HttpFilter = { name: 'after', onFinish: () => void heard.push('after') };
    const at = scene({ filters: [broken('onFinish', false), after] });
    const exchange = new FakeExchange({ path: '/bad' });
    at.run(exchange);
    at.upstreams.last.answer(200);
    assert.equal(exchange.head?.status, 200);
    exchange.reader.onClose();
    assert.deepEqual(heard, ['after']);
    assert.deepEqual(at.counted(), ['ambit_proxy_exceptions_total{part="broken"} 1']);
    await assertOthersServed(at);
    assertNothingLeft(at);
  });

  test('after its client has gone is no matter of ours', async () => {
    const gone = Promise.withResolvers<undefined>();
    const at = scene({ filters: [{ name: 'slow', onRequest: () => gone.promise }] });
    const exchange = new FakeExchange();
    at.run(exchange);
    exchange.reader.onClose(new Error('gone'));
    gone.reject(new Oops('cancelled'));
    await settle();
    assert.deepEqual(at.counted(), []);
    assertNothingLeft(at);
  });

  test('when it reviews a tunnel ends it', () => {
    const at = scene({ filters: [{ name: 'guard', review: oops }] });
    const exchange = new FakeExchange({ upgrade: 'websocket' }, 'unknown');
    const run = at.run(exchange);
    at.upstreams.last.reader.onResponse({ status: 101, headers: new HeaderList() }, false);
    run.review(at.place);
    assert.match(String(exchange.resetBy), /filter guard failed: oops/);
    exchange.reader.onClose(exchange.resetBy);
    assert.deepEqual([...(at.finished[0]?.flags ?? [])], [], 'the client did not hang up');
    assertNothingLeft(at);
  });
});

/** What breaks, how the bad request is brought there, and how its client hears of it. */
const faults: readonly {
  readonly name: string;
  readonly options?: BenchOptions;
  readonly outcome: 500 | 'reset';
  readonly provoke: (at: Scene, exchange: FakeExchange) => void;
}[] = [
  {
    name: 'the upstream, when an attempt is opened',
    outcome: 500,
    provoke({ upstreams, run }, exchange) {
      const open = upstreams.open.bind(upstreams);
      upstreams.open = oops;
      run(exchange);
      upstreams.open = open;
    },
  },
  {
    name: 'the upstream, when the body goes on',
    outcome: 500,
    provoke({ upstreams, run }, exchange) {
      run(exchange);
      upstreams.last.write = oops;
      exchange.send('body');
    },
  },
  {
    name: 'the codec, when the head goes out',
    outcome: 'reset',
    provoke({ upstreams, run }, exchange) {
      run(exchange);
      exchange.respond = oops;
      upstreams.last.answer(200);
    },
  },
  {
    name: 'the codec, when the body goes out',
    outcome: 'reset',
    provoke({ upstreams, run }, exchange) {
      run(exchange);
      exchange.write = oops;
      upstreams.last.answer(200, 'body');
    },
  },
  {
    name: 'the codec, when the answer has begun and more comes',
    outcome: 'reset',
    provoke({ upstreams, run }, exchange) {
      run(exchange);
      upstreams.last.reader.onResponse({ status: 200, headers: new HeaderList() }, false);
      upstreams.last.credit = oops;
      exchange.reader.onEnd();
      upstreams.last.reader.onData(Buffer.from('more'));
    },
  },
  {
    name: 'a timeout of the route',
    options: { rules: [forwardRule({ timeoutMs: 100 })] },
    outcome: 500,
    provoke({ upstreams, run, clock }, exchange) {
      run(exchange);
      exchange.reader.onEnd();
      const { last } = upstreams;
      last.reset = () => {
        last.wasReset = true;
        oops();
      };
      clock.advance(100);
    },
  },
  {
    name: 'the next attempt',
    options: {
      rules: [
        forwardRule({
          timeoutMs: 100_000,
          retry: {
            attempts: 2,
            on: ['5xx'],
            statusCodes: [],
            perTryTimeoutMs: 5000,
            backoffBaseMs: 10,
            backoffMaxMs: 10,
            avoidsPreviousHosts: false,
            remoteLocalities: false,
          },
        }),
      ],
    },
    outcome: 500,
    provoke({ upstreams, run, clock }, exchange) {
      run(exchange);
      exchange.reader.onEnd();
      upstreams.last.fail('remote-reset');
      upstreams.last.wasReset = true;
      const open = upstreams.open.bind(upstreams);
      upstreams.open = oops;
      clock.advance(10);
      upstreams.open = open;
    },
  },
];

describe('an exception of', () => {
  for (const { name, options = {}, outcome, provoke } of faults) {
    test(`${name} ends one request and leaves nothing`, async () => {
      const at = scene(options);
      const exchange = new FakeExchange({ method: 'POST', path: '/bad' }, 'unknown');
      provoke(at, exchange);
      await settle();
      if (outcome === 500) assert.deepEqual([exchange.head?.status, exchange.resetBy], [500, undefined]);
      else assert.match(String(exchange.resetBy), /the proxy failed: oops/);
      exchange.reader.onClose(exchange.resetBy);
      assert.equal(at.finished.length, 1);
      assert.equal(at.finished[0]?.reason, 'the proxy failed: oops');
      assert.equal(at.finished[0]?.responseDetails, 'internal_error');
      assert.deepEqual(at.counted(), ['ambit_proxy_exceptions_total{part="engine"} 1']);
      await assertOthersServed(at);
      assertNothingLeft(at);
    });
  }

  test('a copy of a request is none of the request', () => {
    const mirrored = forwardRule({ mirrors: [{ backend: 'shadow', percent: 100 }] });
    const at = scene({ rules: [mirrored] });
    const open = at.upstreams.open.bind(at.upstreams);
    at.upstreams.open = (backend, request, reader) => (backend === 'shadow' ? oops() : open(backend, request, reader));
    const exchange = new FakeExchange();
    at.run(exchange);
    at.upstreams.last.answer(200);
    assert.equal(exchange.head?.status, 200);
    exchange.reader.onClose();
    assert.deepEqual(at.counted(), ['ambit_proxy_exceptions_total{part="mirror"} 1']);
    assertNothingLeft(at);
  });

  test('whoever finds the place is answered 500 too', () => {
    const at = scene();
    let isBroken = false;
    const { listener } = createHttpEntry({
      services: at.place.services,
      connection: testConnection,
      version: 'http/1.1',
      placeOf: (request): HttpPlace => (isBroken && request ? oops() : at.place),
      trust: 'mesh',
      onBadRequest() {},
      onClose() {},
    });
    isBroken = true;
    const exchange = new FakeExchange();
    listener.onRequest(exchange);
    assert.equal(exchange.head?.status, 500);
    exchange.reader.onClose();
    assert.equal(at.finished[0]?.responseStatus, 500);
  });

  test('many requests is written once in a while, and counted each time', () => {
    const at = scene({ filters: [broken('onRequest', false)] });
    for (let i = 0; i < 100; i++) at.run(new FakeExchange({ path: '/bad' }));
    assert.equal(at.lines.length, 1);
    assert.deepEqual(at.counted(), ['ambit_proxy_exceptions_total{part="broken"} 100']);
    at.clock.advance(10_000);
    at.run(new FakeExchange({ path: '/bad' }));
    assert.deepEqual([at.lines.length, at.lines[1]?.['alsoSinceLastLine']], [2, 99]);
  });
});

test('a connection goes on after a request that failed, and the counts of its pool end at 0', async () => {
  const { upstreams, hosts, clock } = fakeUpstreams({ connectionPool: { maxRequests: 2, maxPendingRequests: 2 } });
  const bench = engineBench({ filters: [broken('onResponse', false), broken('onRequest', true)] });
  const place: HttpPlace = { ...bench.place, services: { ...bench.place.services, upstreams, clock } };
  const [client, channel] = memoryChannelPair();
  const { listener } = createHttpEntry({
    services: place.services,
    connection: testConnection,
    version: 'http/1.1',
    placeOf: () => place,
    trust: 'mesh',
    onBadRequest() {},
    onClose() {},
  });
  serveHttp1(channel, { listener, clock, scheme: 'http' });
  let seen = '';
  client.read({
    neverKeeps: true,
    onData(bytes) {
      seen += Buffer.from(bytes).toString('latin1');
      client.credit(bytes.length);
      return false;
    },
    onEnd: () => client.end(),
    onDrain() {},
    onClose() {},
  });
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await settle();
  };
  for (let i = 0; i < 4; i++) {
    for (const path of ['/bad', '/fine']) {
      client.write(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: web\r\n\r\n`));
      await turns();
      for (const exchange of hosts.exchanges) exchange.answer();
      await turns();
    }
  }
  assert.deepEqual(
    [...seen.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status),
    ['500', '200', '500', '200', '500', '200', '500', '200'],
  );
  client.reset();
  await turns();
  const [status] = upstreams.describe();
  assert.deepEqual([status?.activeRequests, status?.pendingRequests], [0, 0]);
  for (const connection of hosts.connections) connection.close();
  await turns();
  assert.equal(upstreams.describe()[0]?.connections, 0);
  upstreams.close();
  assert.equal(clock.pending, 0);
});

test('lines of many kinds share one', () => {
  const lines = new SparingLog(createFakeClock());
  const due = Array.from({ length: 100 }, (_, i) => lines.due(`kind ${i}`)).filter((line) => line !== undefined);
  assert.equal(due.length, 65);
});
