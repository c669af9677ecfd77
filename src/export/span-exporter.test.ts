import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock, type FakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import type { Span } from '../telemetry/index.ts';
import { createSpanExporter, type SpanExporter, type SpanExporterOptions } from './span-exporter.ts';

const span = (name: string): Span => ({
  traceId: '1'.repeat(32),
  spanId: '2'.repeat(16),
  parentSpanId: undefined,
  traceState: undefined,
  name,
  kind: 'server',
  startMs: 0,
  durationMs: 1,
  tags: [],
  isError: false,
});

interface Bench {
  readonly clock: FakeClock;
  readonly exporter: SpanExporter;
  /** Names in each batch. */
  readonly sent: string[][];
  /** Ends the batch that is under way. */
  answer(error?: Error): Promise<void>;
  dropped(): number;
}

function open(more: Partial<SpanExporterOptions> = {}): Bench {
  const clock = createFakeClock();
  const sent: string[][] = [];
  let dropped = 0;
  let answers = Promise.withResolvers<void>();
  const exporter = createSpanExporter({
    clock,
    log: silentLog(),
    onDropped: (count) => void (dropped += count),
    maxQueue: 4,
    maxBatch: 2,
    send(spans) {
      sent.push(spans.map(({ name }) => name));
      answers = Promise.withResolvers();
      return answers.promise;
    },
    ...more,
  });
  return {
    clock,
    exporter,
    sent,
    async answer(error) {
      if (error) answers.reject(error);
      else answers.resolve();
      await new Promise((resolve) => setImmediate(resolve));
    },
    dropped: () => dropped,
  };
}

test('spans wait for others, and go together when they are enough or the time is over', () => {
  const { clock, exporter, sent } = open();
  exporter.add(span('a'));
  assert.deepEqual(sent, []);
  clock.advance(5000);
  assert.deepEqual(sent, [['a']]);
  const other = open();
  other.exporter.add(span('a'));
  other.exporter.add(span('b'));
  assert.deepEqual(other.sent, [['a', 'b']]);
});

test('while a batch is under way spans wait, up to a bound, and what is beyond is counted', async () => {
  const bench = open();
  for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) bench.exporter.add(span(name));
  assert.deepEqual(bench.sent, [['a', 'b']]);
  assert.equal(bench.dropped(), 2);
  await bench.answer();
  assert.deepEqual(bench.sent[1], ['c', 'd']);
});

test('a batch that is refused is tried again, and lost in the end', async () => {
  const bench = open();
  bench.exporter.add(span('a'));
  bench.exporter.add(span('b'));
  for (let attempt = 0; attempt < 3; attempt++) {
    await bench.answer(new Error('no'));
    bench.clock.advance(15_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(bench.sent, [
    ['a', 'b'],
    ['a', 'b'],
    ['a', 'b'],
  ]);
  assert.equal(bench.dropped(), 2);
});

test('at the end what waits is sent at once', async () => {
  const bench = open();
  bench.exporter.add(span('a'));
  const flushed = bench.exporter.flush();
  assert.deepEqual(bench.sent, [['a']]);
  await bench.answer();
  await flushed;
});
