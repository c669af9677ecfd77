import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { encode } from 'dns-packet';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { dnsId } from '../../net/index.ts';
import { forwardDns, type DnsExchange, type ForwardRequest } from './forwarder.ts';

const query = encode({ type: 'query', id: 99, flags: 0x100, questions: [{ name: 'example.com', type: 'A' }] });

interface Try {
  readonly server: string;
  readonly protocol: string;
  readonly id: number;
  readonly signal: AbortSignal;
  answer(bytes?: Uint8Array): void;
  fail(): void;
}

function setup(more: Partial<ForwardRequest> = {}) {
  const clock = createFakeClock();
  const tries: Try[] = [];
  const exchange: DnsExchange = ({ server, protocol, message, signal }) =>
    new Promise((resolve, reject) => {
      const fail = (): void => reject(new Error(`${server} failed`));
      signal.addEventListener('abort', fail);
      tries.push({ server, protocol, id: dnsId(message), signal, fail, answer: (bytes = message) => resolve(bytes) });
    });
  const stop = new AbortController();
  const result = forwardDns(
    {
      message: query,
      protocol: 'udp',
      servers: ['10.0.0.1', '10.0.0.2'],
      maxUdpBytes: 1232,
      signal: stop.signal,
      ...more,
    },
    { exchange, clock },
  );
  return { clock, tries, result, stop };
}

const truncated = (): Uint8Array => {
  const bytes = Buffer.from(query);
  bytes.writeUInt16BE(0x8380, 2);
  return bytes;
};

describe('a forwarded query', () => {
  test('goes to the first server under an id of its own, and its answer comes back under that of the client', async () => {
    const { clock, tries, result } = setup();
    assert.deepEqual(
      tries.map(({ server, protocol }) => [server, protocol]),
      [['10.0.0.1', 'udp']],
    );
    tries[0]?.answer();
    const answered = await result;
    assert.ok(answered.kind === 'answered' && answered.server === '10.0.0.1');
    assert.equal(dnsId(answered.answer), 99);
    assert.equal(clock.pending, 0);
    assert.ok(tries[0]?.signal.aborted, 'its socket is let go');
  });

  test('has another id each time', () => {
    const ids = new Set(Array.from({ length: 50 }, () => setup().tries[0]?.id));
    assert.ok(ids.size > 40);
  });

  test('goes to the next server at once where one refuses', async () => {
    const { tries, result } = setup();
    tries[0]?.fail();
    await turn();
    assert.equal(tries[1]?.server, '10.0.0.2');
    assert.notEqual(tries[1]?.id, undefined);
    tries[1]?.answer();
    assert.equal((await result).kind, 'answered');
  });

  test('goes to the next server after a while of silence, and the first one may still answer', async () => {
    const { clock, tries, result } = setup();
    clock.advance(1499);
    assert.equal(tries.length, 1);
    clock.advance(1);
    assert.equal(tries[1]?.server, '10.0.0.2');
    tries[0]?.answer();
    const answered = await result;
    assert.ok(answered.kind === 'answered' && answered.server === '10.0.0.1');
    assert.ok(tries[1]?.signal.aborted);
    assert.equal(clock.pending, 0);
  });

  test('is asked again of the only server, a moment after it refused', async () => {
    const { clock, tries, result } = setup({ servers: ['10.0.0.1'] });
    tries[0]?.fail();
    await turn();
    assert.equal(tries.length, 1);
    clock.advance(250);
    tries[1]?.answer();
    assert.equal((await result).kind, 'answered');
  });

  test('fails once all tries failed, saying why, and three are enough', async () => {
    const { clock, tries, result } = setup();
    for (let i = 0; i < 3; i++) {
      tries[i]?.fail();
      await turn();
    }
    assert.deepEqual(await result, {
      kind: 'failed',
      reason: 'no name server could be asked; 10.0.0.1 failed; 10.0.0.2 failed; 10.0.0.1 failed',
    });
    assert.equal(tries.length, 3);
    assert.equal(clock.pending, 0);
  });

  test('fails at the deadline when nobody says anything', async () => {
    const { clock, tries, result } = setup();
    clock.advance(4499);
    assert.equal(tries.length, 3);
    clock.advance(1);
    assert.deepEqual(await result, { kind: 'failed', reason: 'no answer within 4500 ms' });
    assert.ok(tries.every(({ signal }) => signal.aborted));
    assert.equal(clock.pending, 0);
  });

  test('fails at once without servers, and when the pod leaves', async () => {
    assert.deepEqual(await setup({ servers: [] }).result, { kind: 'failed', reason: 'no name server is known' });
    const { clock, stop, result } = setup();
    stop.abort();
    assert.deepEqual(await result, { kind: 'failed', reason: 'the pod left' });
    assert.equal(clock.pending, 0);
  });
});

describe('a cut answer', () => {
  test('is asked for again over TCP, and given whole where the client takes it', async () => {
    const { clock, tries, result } = setup();
    tries[0]?.answer(truncated());
    await turn();
    assert.deepEqual([tries[1]?.server, tries[1]?.protocol], ['10.0.0.1', 'tcp']);
    const whole = Buffer.concat([query, Buffer.alloc(1000)]);
    tries[1]?.answer(whole);
    const answered = await result;
    assert.equal(answered.kind === 'answered' && answered.answer.length, whole.length);
    assert.equal(clock.pending, 0);
  });

  test('is given as it is where the whole one is too long, TCP fails or takes too long, or the client takes no more', async () => {
    const cut = async (end: (setup_: ReturnType<typeof setup>) => void): Promise<void> => {
      const started = setup();
      started.tries[0]?.answer(truncated());
      await turn();
      end(started);
      const answered = await started.result;
      assert.equal(answered.kind === 'answered' && answered.answer.length, query.length);
    };
    await cut(({ tries }) => tries[1]?.answer(Buffer.alloc(1233)));
    await cut(({ tries }) => tries[1]?.fail());
    await cut(({ clock }) => clock.advance(1000));
    const { tries, result } = setup({ maxUdpBytes: 512 });
    tries[0]?.answer(truncated());
    assert.equal((await result).kind, 'answered');
    assert.equal(tries.length, 1);
  });

  test('over TCP is what it is', async () => {
    const { tries, result } = setup({ protocol: 'tcp' });
    tries[0]?.answer(truncated());
    assert.equal((await result).kind, 'answered');
    assert.equal(tries.length, 1);
  });
});
