import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog, type Log } from '../lib/log.ts';
import type { AccessLogRecord } from './access-line.ts';
import { openAccessLog } from './access-log.ts';
import { registerTcpMetrics, trafficLabelNames } from './istio-tcp.ts';
import { LabelSet, MetricsRegistry } from './metrics.ts';
import { negotiateFormat } from './exposition.ts';
import { createTraceContext, formatTraceparent, tryParseTraceparent } from './trace-context.ts';

function manualClock(): { nowMs(): number; after(): () => void; now: number } {
  const clock = { now: 0, nowMs: () => clock.now, after: () => () => {} };
  return clock;
}

const info = {
  metrics: { hits: { name: 'ambit_hits', help: 'Hits', kind: 'counter' as const } },
  labelNames: ['who'],
};

test('a counter is written with its help, type and escaped labels', () => {
  const registry = new MetricsRegistry({ clock: manualClock(), log: silentLog() });
  const group = registry.group(info);
  group.acquire(['a"b\\c\nd']).values.hits += 2;
  registry.gauge('ambit_up', 'Up', () => 1);
  const body = 'ambit_hits_total{who="a\\"b\\\\c\\nd"} 2\n# HELP ambit_up Up\n# TYPE ambit_up gauge\nambit_up 1\n';
  assert.equal(registry.write('text'), `# HELP ambit_hits_total Hits\n# TYPE ambit_hits_total counter\n${body}`);
  assert.equal(registry.write('openmetrics'), `# HELP ambit_hits Hits\n# TYPE ambit_hits counter\n${body}# EOF\n`);
});

test('equal labels share a series; a series in use never expires, an unused one goes after its time and reappears at zero', () => {
  const clock = manualClock();
  const registry = new MetricsRegistry({ clock, log: silentLog(), expireAfterMs: 1000 });
  const group = registry.group(info);
  const first = group.acquire(['x']);
  const second = group.acquire(['x']);
  assert.equal(first, second);
  first.values.hits = 5;
  group.release(first);
  clock.now = 5000;
  assert.match(registry.write('text'), /ambit_hits_total\{who="x"\} 5/);
  group.release(second);
  clock.now = 5999;
  assert.match(registry.write('text'), /who="x"/);
  clock.now = 6000;
  assert.equal(registry.write('text'), '');
  assert.equal(group.acquire(['x']).values.hits, 0);
});

test('a label set stands for its values, also after their series expired', () => {
  const clock = manualClock();
  const registry = new MetricsRegistry({ clock, log: silentLog(), expireAfterMs: 1000 });
  const group = registry.group(info);
  const labels = new LabelSet(['x']);
  const series = group.acquire(labels);
  series.values.hits = 3;
  assert.equal(group.acquire(['x']), series);
  for (let i = 0; i < 2; i++) group.release(series);
  clock.now = 6000;
  assert.equal(registry.write('text'), '');
  group.acquire(labels).values.hits++;
  assert.match(registry.write('text'), /ambit_hits_total\{who="x"\} 1/);
});

test('beyond the cap of all groups together further label sets are counted in one series a group, with one warning', () => {
  const warnings: string[] = [];
  const log: Log = { ...silentLog(), warn: (message) => void warnings.push(message) };
  const clock = manualClock();
  const registry = new MetricsRegistry({ clock, log, maxSeries: 2, expireAfterMs: 1000 });
  const [hits, others] = [
    registry.group(info),
    registry.group({ ...info, metrics: { hits: { ...info.metrics.hits, name: 'ambit_others' } } }),
  ];
  for (const who of ['a', 'b', 'c', 'd']) hits.record([who], (values) => values.hits++);
  others.acquire(['a']).values.hits++;
  assert.match(registry.write('text'), /ambit_hits_total\{who="overflow"\} 2/);
  assert.match(registry.write('text'), /ambit_others_total\{who="overflow"\} 1/);
  assert.equal(registry.seriesCount, 2);
  assert.equal(warnings.length, 1);
  // What has expired makes room, without a walk over all series for each that is too many.
  clock.now = 60_000;
  hits.record(['e'], (values) => values.hits++);
  assert.equal(registry.seriesCount, 1);
  assert.match(registry.write('text'), /who="e"\} 1/);
});

test('what has a fixed set of labels never expires', () => {
  const clock = manualClock();
  const registry = new MetricsRegistry({ clock, log: silentLog(), expireAfterMs: 1000 });
  registry.group({ ...info, neverExpires: true }).record(['x'], (values) => values.hits++);
  clock.now = 1e9;
  assert.match(registry.write('text'), /who="x"\} 1/);
});

test('TCP metrics have names and label order of Istio', () => {
  const registry = new MetricsRegistry({ clock: manualClock(), log: silentLog() });
  const series = registerTcpMetrics(registry).traffic.acquire(trafficLabelNames.map((_, i) => `v${i}`));
  for (const name of ['opened', 'closed', 'failed', 'sent', 'received'] as const) series.values[name] = 1;
  const text = registry.write('text');
  assert.match(
    text,
    /istio_tcp_connections_opened_total\{reporter="v0",source_workload="v1",.*connection_security_policy="v22"\} 1/,
  );
  for (const name of ['connections_closed', 'connections_failed', 'sent_bytes', 'received_bytes'])
    assert.match(text, new RegExp(`istio_tcp_${name}_total\\{`));
});

test('the format follows the Accept header', () => {
  assert.equal(negotiateFormat('application/openmetrics-text;version=1.0.0,text/plain'), 'openmetrics');
  const prometheus = 'application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
  assert.equal(negotiateFormat(prometheus), 'openmetrics');
  assert.equal(negotiateFormat('application/openmetrics-text;q=0,text/plain'), 'text');
  assert.equal(negotiateFormat('application/openmetrics-text;q=0.3,text/plain;q=0.9'), 'text');
  assert.equal(negotiateFormat(undefined), 'text');
});

const record: AccessLogRecord = {
  source: {
    addr: '10.244.1.2:4000',
    workload: 'curl-1',
    namespace: 'a',
    identity: 'spiffe://cluster.local/ns/a/sa/curl',
  },
  destination: {
    addr: '10.244.2.3:15008',
    hboneAddr: '10.244.2.3:9080',
    service: 'web.b.svc',
    workload: 'web-1',
    namespace: 'b',
    identity: '',
  },
  direction: 'outbound',
  bytesSent: 84,
  bytesReceived: 175,
  durationMs: 4.4,
};

async function linesOf(
  format: 'text' | 'json',
  use: (log: ReturnType<typeof openAccessLog>) => void,
): Promise<string[]> {
  let text = '';
  const log = openAccessLog({
    format,
    nowMs: () => 0,
    write(chunk, done) {
      text += chunk;
      done();
    },
  });
  use(log);
  await log.flush();
  return text.trimEnd().split('\n');
}

test('a text line has the fields in order, and leaves out what is empty', async () => {
  const [line] = await linesOf('text', (log) => log.complete(record));
  assert.equal(
    line,
    '1970-01-01T00:00:00.000000Z\tinfo\taccess\tconnection complete\tsrc.addr=10.244.1.2:4000 src.workload="curl-1" src.namespace="a" ' +
      'src.identity="spiffe://cluster.local/ns/a/sa/curl" dst.addr=10.244.2.3:15008 dst.hbone_addr=10.244.2.3:9080 dst.service="web.b.svc" ' +
      'dst.workload="web-1" dst.namespace="b" direction="outbound" bytes_sent=84 bytes_recv=175 duration="4ms"',
  );
});

test('a failure is an error with its reason last, in JSON too', async () => {
  const lines = await linesOf('json', (log) => {
    log.complete({ ...record, policy: 'b/deny', error: 'explicitly denied by: b/deny' });
    log.failed({ ...record, error: 'x' });
  });
  const complete: unknown = JSON.parse(lines[0] ?? '');
  assert.deepEqual(Object.keys(complete as object).slice(0, 5), ['level', 'time', 'scope', 'message', 'src.addr']);
  assert.deepEqual(Object.entries(complete as object).slice(-2), [
    ['policy', 'b/deny'],
    ['error', 'explicitly denied by: b/deny'],
  ]);
  assert.match(lines[0] ?? '', /^\{"level":"error"/);
  assert.match(lines[1] ?? '', /^\{"level":"warn".*"message":"connection failed"/);
});

test('errors alone, nothing, and everything from the beginning of a connection, changed while it runs', async () => {
  const lines = await linesOf('text', (log) => {
    const use = (): void => {
      log.opened(() => record);
      log.complete(record);
      log.failed({ ...record, error: 'early' });
      log.complete({ ...record, error: 'late' });
    };
    for (const threshold of ['silent', 'error', 'warn', 'debug'] as const) {
      log.threshold = threshold;
      use();
    }
  });
  assert.deepEqual(
    lines.map((line) => line.split('\t').slice(1, 4).join(' ')),
    [
      'error access connection complete',
      'warn access connection failed',
      'error access connection complete',
      'debug access connection opened',
      'info access connection complete',
      'warn access connection failed',
      'error access connection complete',
    ],
  );
  assert.doesNotMatch(lines[3] ?? '', /bytes_|duration|error=/);
});

test('a sample has all failures, and the same connections at both ends', async () => {
  const traces = Array.from({ length: 1000 }, () => createTraceContext().traceId);
  const sample = async (): Promise<string[]> => {
    let text = '';
    const log = openAccessLog({
      format: 'text',
      nowMs: () => 0,
      sampling: 0.25,
      write(chunk, done) {
        text += chunk;
        done();
      },
    });
    for (const traceId of traces) log.complete({ ...record, traceId });
    for (let i = 0; i < 8; i++) log.complete(record);
    log.complete({ ...record, error: 'x' });
    await log.flush();
    return text.trimEnd().split('\n');
  };
  const [one, other] = [await sample(), await sample()];
  assert.deepEqual(one, other);
  const traced = one.filter((line) => line.includes('trace_id=')).length;
  assert.ok(traced > 150 && traced < 350, `${traced} of 1000`);
  assert.equal(one.length - traced, 2 + 1);
});

/** A log whose reader takes a batch when told to. */
function slowLog(nowMs: () => number): {
  log: ReturnType<typeof openAccessLog>;
  chunks: string[];
  read: () => Promise<void>;
} {
  const chunks: string[] = [];
  let release: (() => void) | undefined;
  const log = openAccessLog({
    format: 'text',
    nowMs,
    maxLines: 10,
    write(chunk, done) {
      chunks.push(chunk);
      release = done;
    },
  });
  return {
    log,
    chunks,
    async read() {
      release?.();
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test('whoever waits for room loses no line, however slow the reader', async () => {
  const { log, chunks, read } = slowLog(() => 0);
  let taken = 0;
  const producer = (async () => {
    for (; taken < 100; taken++) {
      await log.room();
      log.complete(record);
    }
  })();
  while (taken < 100) await read();
  await producer;
  const flushed = log.flush();
  for (let i = 0; i < 3; i++) await read();
  await flushed;
  assert.equal(chunks.join('').split('connection complete').length - 1, 100);
  assert.doesNotMatch(chunks.join(''), /dropped/);
});

test('a reader that has stopped costs lines, not memory nor connections, and is told so', async () => {
  const clock = { now: 0 };
  const { log, chunks, read } = slowLog(() => clock.now);
  log.complete(record);
  await read();
  for (let i = 0; i < 20; i++) log.complete(record);
  assert.ok(log.room());
  clock.now = 5000;
  assert.equal(log.room(), undefined);
  const flushed = log.flush();
  for (let i = 0; i < 4; i++) await read();
  await flushed;
  assert.equal(chunks.join('').split('connection complete').length - 1, 11);
  assert.match(chunks.join(''), /access log lines dropped\tcount=10/);
});

test('trace contexts round-trip, and malformed ones are none', () => {
  const context = createTraceContext();
  assert.deepEqual(tryParseTraceparent(formatTraceparent(context)), context);
  assert.notEqual(createTraceContext().traceId, context.traceId);
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
  assert.equal(tryParseTraceparent(`01-${trace}-00f067aa0ba902b7-01-more`)?.sampled, true);
  for (const bad of [
    '',
    `00-${trace}-00f067aa0ba902b7`,
    `ff-${trace}-00f067aa0ba902b7-00`,
    `00-${trace}-0000000000000000-00`,
    `00-${trace}-00f067aa0ba902b7-00-x`,
    trace.toUpperCase(),
    `00-${trace.toUpperCase()}-00f067aa0ba902b7-00`,
    `00-${'0'.repeat(32)}-00f067aa0ba902b7-00`,
    `00_${trace}-00f067aa0ba902b7-00`,
  ]) {
    assert.equal(tryParseTraceparent(bad), undefined);
  }
});
