import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RetryPolicy } from '../../api/l7/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { ActiveRun } from './active-run.ts';
import { engineBench, FakeExchange, forwardRule } from './engine-fixtures.ts';
import type { HttpFilter } from './filter.ts';

const retryTwice: RetryPolicy = {
  attempts: 2,
  on: ['5xx', 'connect-failure'],
  statusCodes: [],
  backoffBaseMs: 100,
  backoffMaxMs: 1000,
  avoidsPreviousHosts: true,
  remoteLocalities: false,
};

const fields = (list: HeaderList | undefined): Record<string, string> => Object.fromEntries(list ?? []);

/** Promises of filters are settled. */
const settle = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

describe('a request', () => {
  test('goes to the backend of its rule, and its answer comes back with what proxies add', () => {
    const { run, upstreams } = engineBench();
    const exchange = new FakeExchange({ headers: new HeaderList(['a', 'b']) });
    const active = run(exchange);
    assert.equal(upstreams.last.backend, 'web');
    assert.equal(upstreams.last.ended, true);
    assert.match(upstreams.last.request.head.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/);
    upstreams.last.answer(200, 'hello', { x: 'y', server: 'app' });
    assert.equal(exchange.head?.status, 200);
    assert.equal(exchange.body, 'hello');
    assert.equal(exchange.ended, true);
    assert.equal(exchange.head?.headers.get('server'), 'istio-envoy');
    assert.match(exchange.head?.headers.get('x-envoy-upstream-service-time') ?? '', /^\d+$/);
    assert.equal(upstreams.last.credited, 5);
    assert.equal(active.responseStatus, 200);
    assert.equal(active.responseDetails, 'via_upstream');
  });

  test('that no rule takes is answered 404, and callers in the mesh are told why', () => {
    const { run } = engineBench({ rules: [forwardRule({ matches: [{ port: 1 }] })] });
    const exchange = new FakeExchange();
    const active = run(exchange);
    assert.equal(exchange.head?.status, 404);
    assert.equal(exchange.head?.headers.get('x-ambit-reason'), 'no route matches the request');
    assert.ok(active.flags.has('NR'));
  });

  test('is redirected, answered, rewritten and given headers as its rule says', () => {
    const rules = [
      forwardRule({
        matches: [{ path: { kind: 'prefix', value: '/old' } }],
        action: { kind: 'redirect', status: 302, path: { kind: 'prefix', value: '/new', bySegments: false } },
      }),
      forwardRule({
        matches: [{ path: { kind: 'exact', value: '/teapot' } }],
        action: { kind: 'respond', status: 418, body: 'short' },
      }),
      forwardRule({
        matches: [{ path: { kind: 'path-prefix', value: '/v1' } }],
        requestHeaders: {
          set: [
            ['host', 'inner'],
            ['x', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% 100%%'],
          ],
          add: [['y', '2']],
          remove: ['gone'],
        },
        responseHeaders: { set: [['z', '%ROUTE_NAME%']], add: [], remove: ['secret'] },
        action: {
          kind: 'forward',
          destinations: [{ weight: 1, target: { kind: 'backend', backend: 'web' } }],
          rewrite: { path: { kind: 'prefix', value: '/v2', bySegments: true } },
        },
      }),
    ];
    const { run, upstreams } = engineBench({ rules });
    const redirected = new FakeExchange({ path: '/old/x?q' });
    run(redirected);
    assert.equal(redirected.head?.headers.get('location'), 'http://web/new/x?q');
    const answered = new FakeExchange({ path: '/teapot' });
    run(answered);
    assert.deepEqual([answered.head?.status, answered.body], [418, 'short']);
    const changed = new FakeExchange({ path: '/v1/a?b', headers: new HeaderList(['gone', '1', 'y', '1']) });
    run(changed);
    const { head } = upstreams.last.request;
    assert.deepEqual([head.authority, head.path], ['inner', '/v2/a?b']);
    assert.deepEqual(
      { ...fields(head.headers), 'x-request-id': '' },
      { y: '2', x: '10.1.1.1 100%', 'x-envoy-original-path': '/v1/a?b', 'x-request-id': '' },
    );
    assert.deepEqual(head.headers.getAll('y'), ['1', '2']);
    upstreams.last.answer(200, 'x', { secret: 's' });
    assert.deepEqual([changed.head?.headers.get('z'), changed.head?.headers.has('secret')], ['default', false]);
  });

  test('whose destination is invalid, or has no weight, is answered 500', () => {
    const invalid = { kind: 'invalid', status: 500, reason: 'Service shop/none does not exist' } as const;
    const { run } = engineBench({
      rules: [forwardRule({ action: { kind: 'forward', destinations: [{ weight: 1, target: invalid }] } })],
    });
    const exchange = new FakeExchange();
    assert.equal(run(exchange).reason, 'Service shop/none does not exist');
    assert.equal(exchange.head?.status, 500);
    const nowhere = engineBench({ rules: [forwardRule({ action: { kind: 'forward', destinations: [] } })] });
    const second = new FakeExchange();
    nowhere.run(second);
    assert.equal(second.head?.status, 500);
  });

  test('of a gRPC client is refused as a status in trailers', () => {
    const { run } = engineBench({ rules: [] });
    const exchange = new FakeExchange({ headers: new HeaderList(['content-type', 'application/grpc']) });
    run(exchange);
    assert.equal(exchange.head?.status, 200);
    assert.equal(exchange.ended, true);
    assert.equal(exchange.head?.headers.get('grpc-status'), '12');
    assert.equal(exchange.head?.headers.get('grpc-message'), 'no route matches the request');
  });

  test('of a stranger is not told the reasons, neither ours nor those of proxies behind us', () => {
    const { run, place, upstreams } = engineBench();
    Object.assign(place, { tellsReason: false });
    const exchange = new FakeExchange();
    run(exchange);
    upstreams.last.answer(403, '', { 'x-ambit-reason': 'policy shop/secret denies it' });
    assert.deepEqual([exchange.head?.status, exchange.head?.headers.has('x-ambit-reason')], [403, false]);
    const refused = new FakeExchange({ headers: new HeaderList(['content-type', 'application/grpc']) });
    run(refused);
    upstreams.last.fail('no-backend');
    assert.equal(refused.head?.headers.get('grpc-status'), '14');
    assert.equal(refused.head?.headers.has('grpc-message'), false);
  });

  test('streams its body, and takes no more than the backend does', () => {
    const { run, upstreams } = engineBench();
    const exchange = new FakeExchange({ method: 'POST' }, 'unknown');
    run(exchange);
    exchange.send('one');
    assert.equal(exchange.credited, 3);
    upstreams.last.full = true;
    exchange.send('two!');
    assert.equal(exchange.credited, 3);
    upstreams.last.full = false;
    upstreams.last.reader.onDrain();
    assert.equal(exchange.credited, 7);
    exchange.reader.onEnd();
    assert.deepEqual([upstreams.last.body, upstreams.last.ended], ['onetwo!', true]);
  });

  test('has its answer held back while the client takes none', () => {
    const { run, upstreams } = engineBench();
    const exchange = new FakeExchange();
    run(exchange);
    exchange.full = true;
    upstreams.last.reader.onResponse({ status: 200, headers: new HeaderList() }, false);
    upstreams.last.reader.onData(Buffer.from('12345'));
    assert.equal(upstreams.last.credited, 0);
    exchange.reader.onDrain();
    assert.equal(upstreams.last.credited, 5);
  });

  test('that the client gives up ends its attempt, and the flag says so', () => {
    const { run, upstreams } = engineBench();
    const exchange = new FakeExchange();
    const active = run(exchange);
    exchange.reader.onClose(new Error('reset by peer'));
    assert.equal(upstreams.last.wasReset, true);
    assert.ok(active.flags.has('DC'));
  });

  test('may become a websocket, and nothing else', () => {
    const { run, upstreams } = engineBench();
    const exchange = new FakeExchange({ upgrade: 'websocket' }, 'unknown');
    run(exchange);
    upstreams.last.reader.onResponse({ status: 101, headers: new HeaderList() }, false);
    exchange.send('ping');
    upstreams.last.reader.onData(Buffer.from('pong'));
    assert.deepEqual([exchange.head?.status, upstreams.last.body, exchange.body], [101, 'ping', 'pong']);
    const other = new FakeExchange({ upgrade: 'h2c' });
    run(other);
    assert.equal(other.head?.status, 403);
    const connect = new FakeExchange({ method: 'CONNECT', path: '' });
    run(connect);
    assert.equal(connect.head?.status, 404);
  });

  test('is mirrored, and nobody waits for the copy', () => {
    const { run, upstreams } = engineBench({
      rules: [
        forwardRule({
          mirrors: [
            { backend: 'shadow', percent: 100 },
            { backend: 'never', percent: 50 },
          ],
        }),
      ],
    });
    const exchange = new FakeExchange({ method: 'PUT' }, 'unknown');
    run(exchange);
    const [shadow, main] = upstreams.attempts;
    assert.deepEqual([shadow?.backend, main?.backend, upstreams.attempts.length], ['shadow', 'web', 2]);
    exchange.send('body');
    exchange.reader.onEnd();
    assert.deepEqual([shadow?.body, shadow?.ended, main?.body], ['body', true, 'body']);
    shadow?.answer(500, 'ignored');
    main?.answer(200, 'fine');
    assert.equal(exchange.body, 'fine');
  });
});

describe('a copy', () => {
  test('that is never answered ends all the same', () => {
    const { run, upstreams, clock } = engineBench({
      rules: [forwardRule({ mirrors: [{ backend: 'shadow', percent: 100 }] })],
    });
    const exchange = new FakeExchange();
    run(exchange);
    const [shadow] = upstreams.attempts;
    upstreams.last.answer(200, 'fine');
    exchange.reader.onClose();
    clock.advance(59_000);
    assert.equal(shadow?.wasReset, false);
    clock.advance(1000);
    assert.equal(shadow?.wasReset, true);
    assert.equal(clock.pending, 0);
  });
});

describe('an attempt that fails', () => {
  test('is followed by others as the policy says, at other hosts, with the body again', () => {
    const { run, upstreams, clock } = engineBench({ rules: [forwardRule({ retry: retryTwice })] });
    const exchange = new FakeExchange({ method: 'POST' }, 'unknown');
    const active = run(exchange);
    exchange.send('part');
    upstreams.last.fail('connect-failure', 'no');
    assert.equal(upstreams.attempts.length, 1, 'backs off');
    exchange.send('ial');
    clock.advance(50);
    assert.equal(upstreams.attempts.length, 2);
    assert.equal(upstreams.last.body, 'partial');
    assert.equal(upstreams.last.request.isRetry, true);
    assert.equal(upstreams.last.request.avoid?.size, 1);
    exchange.reader.onEnd();
    upstreams.last.answer(503, 'busy');
    clock.advance(500);
    assert.equal(upstreams.attempts.length, 3);
    assert.deepEqual([upstreams.last.body, upstreams.last.ended], ['partial', true]);
    upstreams.last.answer(200, 'ok');
    assert.equal(exchange.body, 'ok');
    assert.equal(active.attempts, 3);
    assert.equal(upstreams.retriesUnderWay, 0);
  });

  test('gives the last answer when there are no more attempts', () => {
    const { run, upstreams, clock } = engineBench({ rules: [forwardRule({ retry: { ...retryTwice, attempts: 1 } })] });
    const exchange = new FakeExchange();
    const active = run(exchange);
    upstreams.last.fail('connect-failure', 'no');
    clock.advance(1000);
    upstreams.last.fail('connect-failure', 'no');
    assert.equal(exchange.head?.status, 503);
    assert.match(exchange.body, /reset reason: connection failure/);
    assert.ok(active.flags.has('URX'));
  });

  test('has no successor where the body is too long to keep, a limit forbids it, or it was not the sort', () => {
    const rules = [forwardRule({ retry: retryTwice })];
    const long = engineBench({ rules });
    const exchange = new FakeExchange({ method: 'POST' }, 'unknown');
    long.run(exchange);
    exchange.reader.onData(Buffer.alloc(70_000));
    long.upstreams.last.fail('connect-failure', 'no');
    assert.equal(exchange.head?.status, 503);
    const limited = engineBench({ rules });
    limited.upstreams.allowsRetries = false;
    const second = new FakeExchange();
    limited.run(second);
    limited.upstreams.last.fail('connect-failure', 'no');
    assert.equal(second.head?.status, 503);
    const other = engineBench({ rules });
    const third = new FakeExchange();
    other.run(third);
    other.upstreams.last.answer(404);
    assert.equal(third.head?.status, 404);
  });

  test('after the answer has begun breaks the answer off', () => {
    const { run, upstreams } = engineBench({ rules: [forwardRule({ retry: retryTwice })] });
    const exchange = new FakeExchange();
    const active = run(exchange);
    upstreams.last.reader.onResponse({ status: 200, headers: new HeaderList() }, false);
    upstreams.last.fail('connection-termination');
    assert.ok(exchange.resetBy);
    assert.equal(active.responseDetails, 'upstream_reset_after_response_started');
  });
});

describe('a timeout', () => {
  test('of the route runs once the client has sent everything, and counts for the whole answer', () => {
    const { run, upstreams, clock } = engineBench({ rules: [forwardRule({ timeoutMs: 1000 })] });
    const exchange = new FakeExchange({ method: 'POST' }, 'unknown');
    const active = run(exchange);
    clock.advance(5000);
    assert.equal(exchange.answered, false);
    exchange.reader.onEnd();
    clock.advance(1000);
    assert.deepEqual([exchange.head?.status, exchange.body], [504, 'upstream request timeout']);
    assert.ok(active.flags.has('UT'));
    assert.ok(upstreams.last.wasReset);
  });

  test('of one attempt leads to the next one', () => {
    const retry = { ...retryTwice, perTryTimeoutMs: 100 };
    const { run, upstreams, clock } = engineBench({ rules: [forwardRule({ retry })] });
    const exchange = new FakeExchange();
    run(exchange);
    clock.advance(100);
    assert.ok(upstreams.attempts[0]?.wasReset);
    clock.advance(99);
    assert.equal(upstreams.attempts.length, 2);
    upstreams.last.answer(200, 'late');
    assert.equal(exchange.body, 'late');
    clock.advance(10_000);
    assert.equal(exchange.resetBy, undefined);
    assert.equal(clock.pending, 0);
  });

  test('of a gRPC client counts where it is shorter', () => {
    const { run, clock } = engineBench({ rules: [forwardRule({ timeoutMs: 10_000 })] });
    const headers = new HeaderList(['content-type', 'application/grpc+proto', 'grpc-timeout', '200m']);
    const exchange = new FakeExchange({ headers });
    run(exchange);
    clock.advance(200);
    assert.equal(exchange.head?.headers.get('grpc-status'), '14');
  });
});

describe('filters', () => {
  test('run in order, and in reverse for the answer; the first refusal decides', async () => {
    const seen: string[] = [];
    const filter = (name: string, isSlow: boolean): HttpFilter => ({
      name,
      onRequest() {
        seen.push(`>${name}`);
        return isSlow ? Promise.resolve(undefined) : undefined;
      },
      onResponse(_, head) {
        seen.push(`<${name}`);
        head.headers.add('by', name);
        return isSlow ? Promise.resolve() : undefined;
      },
      onFinish: () => void seen.push(`.${name}`),
    });
    const { run, upstreams } = engineBench({ filters: [filter('a', false), filter('b', true), filter('c', false)] });
    const exchange = new FakeExchange({ method: 'POST' }, 'unknown');
    run(exchange);
    exchange.send('early');
    await settle();
    assert.equal(upstreams.last.body, 'early');
    upstreams.last.answer(200, 'body');
    assert.equal(exchange.answered, false, 'waits for the filter');
    await settle();
    assert.deepEqual(exchange.head?.headers.getAll('by'), ['c', 'b', 'a']);
    assert.equal(exchange.body, 'body');
    exchange.reader.onClose();
    assert.deepEqual(seen, ['>a', '>b', '>c', '<c', '<b', '<a', '.a', '.b', '.c']);
  });

  test('that refuse keep the request from the backend', () => {
    const refuse: HttpFilter = {
      name: 'no',
      onRequest: () => ({
        status: 403,
        body: 'RBAC: access denied',
        flag: '',
        details: 'rbac',
        reason: 'denied by shop/no',
      }),
    };
    const { run, upstreams } = engineBench({ filters: [refuse] });
    const exchange = new FakeExchange();
    const active = run(exchange);
    assert.deepEqual([exchange.head?.status, exchange.body], [403, 'RBAC: access denied']);
    assert.equal(upstreams.attempts.length, 0);
    assert.equal(active.responseDetails, 'rbac');
  });

  test('that fail refuse the request', async () => {
    const broken: HttpFilter = { name: 'broken', onRequest: () => Promise.reject(new Error('oops')) };
    const { run, upstreams } = engineBench({ filters: [broken] });
    const exchange = new FakeExchange();
    run(exchange);
    await settle();
    assert.equal(exchange.head?.status, 500);
    assert.equal(upstreams.attempts.length, 0);
  });

  test('may read the body before the backend has it, as far as they say, and may choose the route again', async () => {
    let read: { bytes: Uint8Array; whole: boolean } | undefined;
    const reader: HttpFilter = {
      name: 'reader',
      async onRequest(run) {
        read = await run.bufferBody(5);
        run.request.path = '/b';
        run.reroute();
        return undefined;
      },
    };
    const b = forwardRule({
      matches: [{ path: { kind: 'exact', value: '/b' } }],
      action: { kind: 'forward', destinations: [{ weight: 1, target: { kind: 'backend', backend: 'b' } }] },
    });
    const { run, upstreams } = engineBench({ filters: [reader], rules: [b, forwardRule()] });
    const exchange = new FakeExchange(
      { method: 'POST', headers: new HeaderList(['expect', '100-continue']) },
      'unknown',
    );
    run(exchange);
    assert.deepEqual(exchange.informational, [100]);
    exchange.send('abc');
    exchange.send('defg');
    await settle();
    assert.deepEqual([Buffer.from(read?.bytes ?? []).toString(), read?.whole], ['abcde', false]);
    assert.deepEqual([upstreams.last.backend, upstreams.last.body], ['b', 'abcdefg']);
    const whole = new FakeExchange({ method: 'POST' }, 3);
    run(whole);
    whole.send('xyz');
    whole.reader.onEnd();
    await settle();
    assert.equal(read?.whole, true);
    assert.deepEqual([upstreams.last.body, upstreams.last.ended], ['xyz', true]);
  });

  test('that wait for a client who gives up do not wait for ever', async () => {
    let done = false;
    const reader: HttpFilter = {
      name: 'reader',
      async onRequest(run) {
        await run.bufferBody(5);
        done = true;
        return undefined;
      },
    };
    const { run, upstreams } = engineBench({ filters: [reader] });
    const exchange = new FakeExchange({ method: 'POST' }, 'unknown');
    const active: ActiveRun = run(exchange);
    exchange.reader.onClose(new Error('gone'));
    await settle();
    assert.ok(done);
    assert.equal(upstreams.attempts.length, 0);
    assert.ok(active.flags.has('DC'));
  });
});
