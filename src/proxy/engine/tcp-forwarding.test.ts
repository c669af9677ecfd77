import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryChannelPair, type ByteChannel } from '../../net/index.ts';
import { read, turns } from '../channel-fixtures.ts';
import { engineBench, testConnection } from './engine-fixtures.ts';
import type { HttpPlace } from './place.ts';
import { forwardTcp } from './tcp-forwarding.ts';
import type { TcpFilter, TcpRefusal, TcpRun } from './tcp-run.ts';

function oops(): never {
  throw new Error('a fault of the filter');
}

/** A connection that waits for `answer` of a filter. */
function openBench(): {
  readonly answer: PromiseWithResolvers<TcpRefusal | undefined>;
  readonly client: ByteChannel;
  readonly application: ByteChannel;
  readonly cut: AbortController;
  readonly served: Promise<void>;
  readonly connects: number;
  readonly finished: TcpRun[];
  /** Counted exceptions of the filter; undefined: none. */
  readonly faults: () => string | undefined;
} {
  const [client, channel] = memoryChannelPair();
  const [upstream, application] = memoryChannelPair();
  const { place, upstreams } = engineBench();
  const { metrics } = place.services;
  const answer = Promise.withResolvers<TcpRefusal | undefined>();
  const cut = new AbortController();
  const finished: TcpRun[] = [];
  const asking: TcpFilter = {
    name: 'asking',
    onConnection: () => answer.promise,
    onFinish: (run) => void finished.push(run),
  };
  let connects = 0;
  const connect = (): Promise<never> => {
    connects++;
    return Promise.resolve({ channel: upstream, host: {} }) as Promise<never>;
  };
  const origin = { kind: 'TCPRoute', namespace: 'shop', name: 'web', generation: 1 };
  const destinations = [{ weight: 1, target: { kind: 'backend', backend: 'web' } as const }];
  const asked: HttpPlace = {
    ...place,
    protocol: 'tcp',
    tcpFilters: [{ name: 'faulty', onFinish: oops }, asking],
    table: { ...place.table, tcp: [{ name: 'tcp', origin, destinationSubnets: [], destinations }] },
    services: { ...place.services, upstreams: Object.assign(upstreams, { connect }) },
  };
  const served = forwardTcp({ channel, connection: testConnection, place: asked, signal: cut.signal });
  return {
    answer,
    client,
    application,
    cut,
    served,
    get connects() {
      return connects;
    },
    finished,
    faults: () =>
      metrics
        .write('text')
        .match(/^ambit_proxy_exceptions_total\{part="asking"\} \d+$/m)?.[0]
        .at(-1),
  };
}

describe('a connection of bytes whose filter has to ask', () => {
  it('sends nothing to anybody before the answer, and everything after it', async () => {
    const bench = openBench();
    bench.client.write(Buffer.from('hello'));
    await turns();
    assert.equal(bench.connects, 0);
    bench.answer.resolve(undefined);
    const atApplication = read(bench.application);
    await turns();
    assert.equal(atApplication.text, 'hello');
    bench.cut.abort(new Error('the test is over'));
    await bench.served;
  });

  it('ends when it is refused, with nobody connected to', async () => {
    const bench = openBench();
    const atClient = read(bench.client);
    bench.answer.resolve({ flag: 'UAEX', details: 'ext_authz_denied', reason: 'authorizer "x" denied it' });
    await bench.served;
    assert.ok(await atClient.closed);
    assert.equal(bench.connects, 0);
    assert.equal(bench.faults(), undefined);
    const [run] = bench.finished;
    assert.deepEqual([[...(run?.flags ?? [])], run?.details], [['UAEX'], 'ext_authz_denied']);
    assert.equal(run?.reason, 'authorizer "x" denied it');
  });

  it('ends when the filter fails', async () => {
    const bench = openBench();
    const atClient = read(bench.client);
    bench.answer.reject(new Error('out of order'));
    await bench.served;
    assert.ok(await atClient.closed);
    assert.equal(bench.connects, 0);
    assert.equal(bench.faults(), '1');
  });

  it('is not let in by an answer that comes after it was cut', async () => {
    const bench = openBench();
    const atClient = read(bench.client);
    bench.cut.abort(new Error('denied meanwhile'));
    bench.answer.resolve(undefined);
    await bench.served;
    assert.ok(await atClient.closed);
    assert.equal(bench.connects, 0);
    assert.equal(bench.finished[0]?.reason, 'denied meanwhile');
  });
});
