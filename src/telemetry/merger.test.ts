import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../lib/log.ts';
import { writeSnapshot } from './exposition.ts';
import { MetricsMerger } from './merger.ts';
import { MetricsRegistry, type MetricGroup } from './metrics.ts';

interface Worker {
  readonly registry: MetricsRegistry;
  readonly hits: MetricGroup<'hits' | 'live'>;
}

const clock = { now: 0, nowMs: () => clock.now, after: () => () => {} };

function worker(): Worker {
  const registry = new MetricsRegistry({ clock, log: silentLog(), expireAfterMs: 1000 });
  const hits = registry.group<'hits' | 'live'>({
    metrics: {
      hits: { name: 'ambit_hits', help: 'Hits', kind: 'counter' },
      live: { name: 'ambit_live', help: 'Live', kind: 'gauge' },
    },
    labelNames: ['who'],
  });
  return { registry, hits };
}

function text(merger: MetricsMerger): string {
  return [...writeSnapshot(merger.snapshot(), 'text')].filter((line) => line !== '').join('');
}

function valueOf(merger: MetricsMerger, line: string): number | undefined {
  const found = text(merger)
    .split('\n')
    .find((candidate) => candidate.startsWith(`${line} `));
  return found === undefined ? undefined : Number(found.split(' ').at(-1));
}

/** As a worker sends it. */
function sent({ registry }: Worker): ReturnType<MetricsRegistry['snapshot']> {
  return structuredClone(registry.snapshot());
}

test('counters and gauges of several threads are added, whatever was sent before', () => {
  const [a, b] = [worker(), worker()];
  a.hits.acquire(['x']).values.hits = 3;
  a.hits.acquire(['only-a']).values.live = 7;
  b.hits.acquire(['x']).values.hits = 4;
  const merger = new MetricsMerger();
  for (let i = 0; i < 3; i++) {
    merger.update('a', sent(a));
    merger.update('b', sent(b));
  }
  assert.equal(valueOf(merger, 'ambit_hits_total{who="x"}'), 7);
  assert.equal(valueOf(merger, 'ambit_live{who="only-a"}'), 7);
});

test('a counter never goes back while any thread has its series, and starts at 0 when all have forgotten it', () => {
  clock.now = 0;
  const [a, b] = [worker(), worker()];
  const merger = new MetricsMerger();
  const update = (): void => {
    merger.update('a', sent(a));
    merger.update('b', sent(b));
  };
  const kept = b.hits.acquire(['x']);
  kept.values.hits = 1;
  a.hits.record(['x'], (values) => void (values.hits = 10));
  update();
  assert.equal(valueOf(merger, 'ambit_hits_total{who="x"}'), 11);
  clock.now = 5000;
  update();
  assert.equal(valueOf(merger, 'ambit_hits_total{who="x"}'), 11);
  // It came again at a between two snapshots, with less than before.
  a.hits.record(['x'], (values) => void (values.hits = 2));
  update();
  assert.equal(valueOf(merger, 'ambit_hits_total{who="x"}'), 13);
  clock.now = 10_000;
  a.registry.snapshot();
  a.hits.record(['x'], (values) => void (values.hits = 20));
  update();
  assert.equal(valueOf(merger, 'ambit_hits_total{who="x"}'), 33);
  b.hits.release(kept);
  clock.now = 20_000;
  update();
  assert.equal(valueOf(merger, 'ambit_hits_total{who="x"}'), undefined);
  a.hits.record(['x'], (values) => void (values.hits = 1));
  update();
  assert.equal(valueOf(merger, 'ambit_hits_total{who="x"}'), 1);
});

test('a thread that is gone leaves what it counted in the series of others, and takes its gauges with it', () => {
  const [a, b] = [worker(), worker()];
  a.hits.acquire(['x']).values.hits = 3;
  b.hits.acquire(['x']).values.hits = 4;
  a.hits.acquire(['x']).values.live = 3;
  a.hits.acquire(['y']).values.hits = 1;
  const merger = new MetricsMerger();
  merger.update('a', sent(a));
  merger.update('b', sent(b));
  merger.remove('a');
  assert.equal(valueOf(merger, 'ambit_hits_total{who="x"}'), 7);
  assert.equal(valueOf(merger, 'ambit_live{who="x"}'), 0);
  assert.equal(valueOf(merger, 'ambit_hits_total{who="y"}'), undefined);
});

test('a gauge that all threads tell of is the largest, and histograms are added bucket by bucket', () => {
  const merger = new MetricsMerger();
  for (const [name, seconds, pods] of [
    ['a', 0.2, 5],
    ['b', 7, 4],
  ] as const) {
    const { registry } = worker();
    registry.gauge('ambit_pods', 'Pods', () => pods, 'max');
    registry
      .histogram({ name: 'ambit_seconds', help: 'Seconds', buckets: [0.1, 1], labelNames: ['who'] })
      .observe(['x'], seconds);
    merger.update(name, structuredClone(registry.snapshot()));
  }
  assert.equal(valueOf(merger, 'ambit_pods'), 5);
  assert.match(
    text(merger),
    /ambit_seconds_bucket\{who="x",le="0\.1"\} 0\nambit_seconds_bucket\{who="x",le="1"\} 1\nambit_seconds_bucket\{who="x",le="\+Inf"\} 2\nambit_seconds_sum\{who="x"\} 7\.2\nambit_seconds_count\{who="x"\} 2\n/,
  );
});
