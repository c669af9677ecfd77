import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { createFakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { labelText, MetricsRegistry, observe, registerProxyMetrics } from './index.ts';

const clock = createFakeClock();
const open = (maxSeries = 100): MetricsRegistry => new MetricsRegistry({ clock, log: silentLog(), maxSeries });

test('counters and histograms of one series have a line each once they counted', () => {
  const registry = open();
  const { http } = registerProxyMetrics(registry);
  const [requests = 0, duration = 0] = http.offsets;
  const { cells } = http.series(labelText(['reporter', 'response_code'], ['waypoint', '200']));
  cells[requests] = 2;
  observe(cells, duration, 0.5);
  observe(cells, duration, 7);
  observe(cells, duration, 4_000_000);
  const lines = registry.write('text').split('\n');
  assert.deepEqual(
    lines.filter((line) => /requests_total|le="(0.5|5|10|3600000|\+Inf)"|_sum|_count/.test(line)),
    [
      '# HELP istio_requests_total The total number of requests',
      '# TYPE istio_requests_total counter',
      'istio_requests_total{reporter="waypoint",response_code="200"} 2',
      'istio_request_duration_milliseconds_bucket{reporter="waypoint",response_code="200",le="0.5"} 1',
      'istio_request_duration_milliseconds_bucket{reporter="waypoint",response_code="200",le="5"} 1',
      'istio_request_duration_milliseconds_bucket{reporter="waypoint",response_code="200",le="10"} 2',
      'istio_request_duration_milliseconds_bucket{reporter="waypoint",response_code="200",le="3600000"} 2',
      'istio_request_duration_milliseconds_bucket{reporter="waypoint",response_code="200",le="+Inf"} 3',
      'istio_request_duration_milliseconds_sum{reporter="waypoint",response_code="200"} 4000007.5',
      'istio_request_duration_milliseconds_count{reporter="waypoint",response_code="200"} 3',
    ],
  );
  assert.ok(!lines.some((line) => line.includes('istio_request_bytes')));
});

test('every value falls into the bucket that a plain search finds', () => {
  const { http } = registerProxyMetrics(open());
  const bounds = http.snapshot().metrics[1]?.buckets ?? [];
  assert.equal(bounds.length, 19);
  for (const value of [0, ...bounds.flatMap((bound) => [bound - 0.25, bound, bound + 0.25])]) {
    const cells = new Float64Array(64);
    observe(cells, 1, value);
    const found = bounds.findIndex((bound) => value <= bound);
    assert.equal(cells[1 + (found < 0 ? bounds.length : found)], 1, String(value));
  }
});

test('a series without use expires, says so, and begins again at nothing', () => {
  const registry = open();
  const { tcp } = registerProxyMetrics(registry);
  const series = tcp.series('{a="b"}');
  series.cells[0] = 5;
  clock.advance(14 * 60_000);
  series.lastUsedMs = clock.nowMs();
  clock.advance(14 * 60_000);
  registry.snapshot();
  assert.equal(series.isExpired, false);
  clock.advance(2 * 60_000);
  registry.snapshot();
  assert.equal(series.isExpired, true);
  assert.equal(tcp.series('{a="b"}').cells[0], 0);
  assert.equal(registry.seriesCount, 1);
});

test('series beyond the limit are counted as one, until there is room again', () => {
  const registry = open(2);
  const { grpc } = registerProxyMetrics(registry);
  grpc.series('{a="1"}');
  grpc.series('{a="2"}');
  const beyond = grpc.series('{a="3"}');
  assert.equal(beyond, grpc.series('{a="4"}'));
  beyond.cells[0] = 7;
  assert.match(registry.write('text'), /istio_request_messages_total\{reporter="overflow",.*\} 7/);
  clock.advance(16 * 60_000);
  registry.snapshot();
  assert.equal(beyond.isExpired, true);
  assert.notEqual(grpc.series('{a="3"}'), beyond);
  assert.match(registry.write('text'), /reporter="overflow",.*\} 7/);
});

test("promtool finds nothing but a unit that is in Istio's own name", (context) => {
  const registry = open();
  const { http, tcp } = registerProxyMetrics(registry);
  const { cells } = http.series(labelText(['reporter', 'path'], ['waypoint', 'a "quoted" \\ path\n']));
  for (const [i, offset] of http.offsets.entries()) {
    if (i === 0) cells[offset] = 1;
    else observe(cells, offset, 12);
  }
  tcp.series('{reporter="waypoint"}').cells.fill(3);
  const run = spawnSync('promtool', ['check', 'metrics'], { input: registry.write('text'), encoding: 'utf8' });
  if (run.error) return context.skip('promtool is not installed');
  assert.equal(
    `${run.stdout}${run.stderr}`,
    'istio_request_duration_milliseconds use base unit "seconds" instead of "milliseconds"\n',
  );
});
