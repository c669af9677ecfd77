/** The contract of `ByteChannel` as a test suite: every implementation runs it (tests only). */
import { createHash, randomFillSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { deepEqual, equal, ok } from 'node:assert/strict';
import { writeResult, type ByteChannel, type ChannelReader } from './channel.ts';
import { pump, type PumpResult } from './pump.ts';

/** Two joined ends, and what closes whatever carries them. */
export interface ChannelPair {
  readonly a: ByteChannel;
  readonly b: ByteChannel;
  readonly dispose?: () => void | Promise<void>;
}

export interface ContractOptions {
  /** Bytes each way in the integrity tests; default 8 MiB. */
  readonly bulkBytes?: number;
  /** Most bytes the channel may swallow while nobody reads; default 64 MiB (kernel buffers count). */
  readonly bufferBoundBytes?: number;
}

/** Declares the suite. `openPair` opens a fresh pair per test. */
export function describeChannelContract(
  name: string,
  openPair: () => Promise<ChannelPair> | ChannelPair,
  options: ContractOptions = {},
): void {
  const bulkBytes = options.bulkBytes ?? 8 * 1024 * 1024;
  const bufferBoundBytes = options.bufferBoundBytes ?? 64 * 1024 * 1024;
  const withPair = async (use: (pair: ChannelPair) => Promise<void>): Promise<void> => {
    const pair = await openPair();
    try {
      await use(pair);
    } finally {
      pair.a.reset();
      pair.b.reset();
      await pair.dispose?.();
    }
  };

  describe(`${name} channel`, { timeout: 60_000 }, () => {
    test('carries random data both ways at once, to readers that copy at once', () =>
      withPair(async ({ a, b }) => {
        const results = await Promise.all([
          exchange(a, b, bulkBytes, { keep: 'never', slow: false }),
          exchange(b, a, bulkBytes, { keep: 'never', slow: false }, true),
        ]);
        for (const { sent, received } of results) deepEqual(received, sent);
      }));

    test('carries random data to slow readers that keep some of the memory and look at it later', () =>
      withPair(async ({ a, b }) => {
        const results = await Promise.all([
          exchange(a, b, bulkBytes, { keep: 'sometimes', slow: true }),
          exchange(b, a, bulkBytes, { keep: 'sometimes', slow: true }, true),
        ]);
        for (const { sent, received } of results) deepEqual(received, sent);
      }));

    test('delivers what was written before anybody read', () =>
      withPair(async ({ a, b }) => {
        a.write(Buffer.from('early'));
        a.end();
        await turns(20);
        const reader = collect(b);
        await reader.ended;
        equal(reader.text(), 'early');
      }));

    test('never calls the reader from inside read', () =>
      withPair(async ({ a, b }) => {
        a.write(Buffer.from('x'));
        a.end();
        await turns(20);
        let inside = true;
        let calls = 0;
        const called = new Promise<void>((resolve) => {
          const onCall = (): void => {
            equal(inside, false);
            calls++;
            resolve();
          };
          b.read({ onData: () => (onCall(), false), onEnd: onCall, onDrain: onCall, onClose: onCall });
        });
        inside = false;
        await called;
        ok(calls > 0);
      }));

    test('half-closes each direction on its own, then closes both ends without error, once and last', () =>
      withPair(async ({ a, b }) => {
        const atA = collect(a);
        const atB = collect(b);
        a.write(Buffer.from('question'));
        a.end();
        a.end();
        await atB.ended;
        equal(atB.text(), 'question');
        equal(atA.closedWith, undefined);
        b.write(Buffer.from('late '));
        await turns(5);
        b.write(Buffer.from('answer'));
        b.end();
        await atA.ended;
        equal(atA.text(), 'late answer');
        deepEqual([await atA.closed, await atB.closed], [undefined, undefined]);
        await turns(5);
        deepEqual([...atA.events], ['data', 'end', 'close']);
        deepEqual([...atB.events], ['data', 'end', 'close']);
      }));

    test('drops what is written after end', () =>
      withPair(async ({ a, b }) => {
        const atB = collect(b);
        collect(a);
        a.write(Buffer.from('kept'));
        a.end();
        equal(a.write(Buffer.from('dropped')), writeResult.done);
        await atB.ended;
        equal(atB.text(), 'kept');
      }));

    test('delivers all that was written before end, however much', () =>
      withPair(async ({ a, b }) => {
        collect(a);
        const bytes = randomFillSync(new Uint8Array(3_000_000));
        equal(typeof a.write(bytes), 'number');
        a.end();
        await turns(3);
        const atB = collect(b);
        await atB.ended;
        equal(sha256(atB.bytes()), sha256(bytes));
      }));

    test('tells both ends of a reset, with an error, once', () =>
      withPair(async ({ a, b }) => {
        const atA = collect(a);
        const atB = collect(b);
        a.write(Buffer.from('x'));
        await turns(5);
        const error = new Error('given up');
        a.reset(error);
        a.reset();
        equal(await atA.closed, error);
        ok((await atB.closed) instanceof Error);
        equal(a.write(Buffer.from('y')), writeResult.done);
        await turns(5);
        equal(atA.events.at(-1), 'close');
        equal(atA.events.filter((event) => event === 'close').length, 1);
      }));

    test('tells a reader of a reset that came first', () =>
      withPair(async ({ a, b }) => {
        a.reset();
        await turns(20);
        ok((await collect(b).closed) instanceof Error);
        ok((await collect(a).closed) instanceof Error);
      }));

    test('is full at some point when nobody reads, and drains once somebody does', () =>
      withPair(async ({ a, b }) => {
        let drains = 0;
        let onDrained: () => void = () => {};
        const drained = new Promise<void>((resolve) => (onDrained = resolve));
        a.read({ onData: () => false, onEnd() {}, onDrain: () => (drains++, onDrained()), onClose() {} });
        const chunk = new Uint8Array(32 * 1024);
        let written = 0;
        for (;;) {
          const result = a.write(chunk);
          written += chunk.length;
          if (result !== writeResult.done) break;
          ok(written < bufferBoundBytes, `swallowed ${written} bytes`);
          await turns(1);
        }
        await turns(5);
        equal(drains, 0);
        const atB = collect(b);
        await drained;
        a.end();
        await atB.ended;
        equal(atB.bytes().length, written);
        equal(drains, 1);
      }));

    test('stops delivering after pause and goes on after resume', () =>
      withPair(async ({ a, b }) => {
        collect(a);
        const atB = collect(b);
        a.write(Buffer.from('one'));
        await atB.until(3);
        b.pause();
        await turns(20);
        a.write(Buffer.from('two'));
        await turns(20);
        const paused = atB.bytes().length;
        b.resume();
        await atB.until(6);
        equal(atB.text(), 'onetwo');
        ok(paused === 3 || paused === 6);
      }));

    test('joined to another by a pump loses no byte and counts them', () =>
      withPair((near) =>
        withPair(async (far) => {
          let onEnd: (result: PumpResult) => void = () => {};
          const ended = new Promise<PumpResult>((resolve) => (onEnd = resolve));
          pump(near.b, far.a, { onEnd });
          const results = await Promise.all([
            exchange(near.a, far.b, bulkBytes, { keep: 'sometimes', slow: true }),
            exchange(far.b, near.a, bulkBytes, { keep: 'never', slow: true }, true),
          ]);
          for (const { sent, received } of results) deepEqual(received, sent);
          deepEqual(await ended, { bytesAtoB: bulkBytes, bytesBtoA: bulkBytes });
        }),
      ));
  });
}

/** Lets `count` turns of the event loop pass. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

interface Collector {
  readonly events: string[];
  closedWith: Error | undefined;
  readonly ended: Promise<void>;
  readonly closed: Promise<Error | undefined>;
  bytes(): Uint8Array;
  text(): string;
  until(byteCount: number): Promise<void>;
}

/** A reader that copies all it gets. Events in a row of the same kind count once. */
function collect(channel: ByteChannel): Collector {
  const chunks: Buffer[] = [];
  const events: string[] = [];
  const waiting: { byteCount: number; done: () => void }[] = [];
  let length = 0;
  let onEnded: () => void = () => {};
  let onClosed: (error: Error | undefined) => void = () => {};
  const note = (event: string): void => {
    if (events.at(-1) !== event || event === 'close') events.push(event);
  };
  const collector: Collector = {
    events,
    closedWith: undefined,
    ended: new Promise((resolve) => (onEnded = resolve)),
    closed: new Promise((resolve) => (onClosed = resolve)),
    bytes: () => Buffer.concat(chunks),
    text: () => Buffer.concat(chunks).toString(),
    until: (byteCount) =>
      new Promise((resolve) => (length >= byteCount ? resolve() : waiting.push({ byteCount, done: resolve }))),
  };
  channel.read({
    neverKeeps: true,
    onData(bytes) {
      note('data');
      chunks.push(Buffer.from(bytes));
      length += bytes.length;
      channel.credit(bytes.length);
      for (const waiter of waiting) if (length >= waiter.byteCount) waiter.done();
      return false;
    },
    onEnd() {
      note('end');
      onEnded();
    },
    onDrain() {},
    onClose(error) {
      note('close');
      collector.closedWith = error;
      onClosed(error);
    },
  });
  return collector;
}

interface Exchange {
  readonly sent: { bytes: number; sha256: string };
  readonly received: { bytes: number; sha256: string };
}

interface ReadingHabit {
  readonly keep: 'never' | 'sometimes';
  readonly slow: boolean;
}

/** Both directions of a test share one reader per channel, so the halves of a duplex exchange meet here. */
const duplexReaders = new WeakMap<ByteChannel, { onDrain: () => void; sink: Partial<ChannelReader> }>();

/**
 * Sends `byteCount` random bytes from `from` to `to` in writes of random size out of memory that is overwritten as soon
 * as the contract allows. The second exchange of a pair of opposite ones says `attachReaders`.
 */
function exchange(
  from: ByteChannel,
  to: ByteChannel,
  byteCount: number,
  habit: ReadingHabit,
  attachReaders = false,
): Promise<Exchange> {
  const state = (channel: ByteChannel): { onDrain: () => void; sink: Partial<ChannelReader> } => {
    let found = duplexReaders.get(channel);
    if (!found) duplexReaders.set(channel, (found = { onDrain() {}, sink: {} }));
    return found;
  };
  const random = sizes(byteCount ^ (attachReaders ? 7 : 3));
  const sentHash = createHash('sha256');
  const receivedHash = createHash('sha256');
  let received = 0;

  const result = new Promise<Exchange>((resolve, reject) => {
    const kept: { bytes: Uint8Array; sum: Uint8Array }[] = [];
    const flush = (): void => {
      // What was kept must still be what it was, however much was read since.
      for (const { bytes, sum } of kept.splice(0)) {
        if (Buffer.compare(bytes, sum) !== 0) return reject(new Error('Kept memory was written to'));
      }
    };
    state(to).sink = {
      neverKeeps: habit.keep === 'never',
      onData(bytes) {
        received += bytes.length;
        receivedHash.update(bytes);
        const { length } = bytes;
        const keep = habit.keep === 'sometimes' && random(3) === 0;
        if (keep) kept.push({ bytes, sum: Uint8Array.from(bytes) });
        if (kept.length > 16) flush();
        if (habit.slow && random(4) === 0) {
          to.pause();
          setImmediate(() => {
            setImmediate(() => {
              to.credit(length);
              to.resume();
            });
          });
        } else {
          to.credit(length);
        }
        return keep;
      },
      onEnd() {
        flush();
        resolve({
          sent: { bytes: byteCount, sha256: sentHash.digest('hex') },
          received: { bytes: received, sha256: receivedHash.digest('hex') },
        });
      },
      onClose(error) {
        if (error) reject(error);
      },
    };
  });

  let scratch = new Uint8Array(300_000);
  let left = byteCount;
  const send = (): void => {
    for (let burst = 0; burst < 8 && left > 0; burst++) {
      const size = Math.min(left, 1 + (random(4) === 0 ? random(300_000) : random(3000)));
      const bytes = scratch.subarray(0, size);
      randomFillSync(bytes);
      sentHash.update(bytes);
      left -= size;
      const outcome = from.write(bytes);
      if (outcome === writeResult.kept) scratch = new Uint8Array(300_000);
      // Whatever still refers to the memory shows as corruption.
      else bytes.fill(0xee);
      if (outcome !== writeResult.done) return;
    }
    if (left > 0) setImmediate(send);
    else from.end();
  };
  state(from).onDrain = () => (left > 0 ? send() : from.end());

  setImmediate(send);
  if (attachReaders) {
    for (const channel of [from, to]) {
      const { sink } = state(channel);
      channel.read({
        neverKeeps: sink.neverKeeps === true,
        onData: (bytes) => sink.onData?.(bytes) ?? false,
        onEnd: () => sink.onEnd?.(),
        onDrain: () => state(channel).onDrain(),
        onClose: (error) => sink.onClose?.(error),
      });
    }
  }
  return result;
}

/** Pseudo-random integers below a bound, the same in every run. */
function sizes(seed: number): (below: number) => number {
  let x = seed | 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}
