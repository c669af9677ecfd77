import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Provider, TelemetryPolicy, TracingPolicy } from '../../api/l7/index.ts';
import { serviceKey } from '../../api/names.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { RequestHead } from '../../http/message.ts';
import { decodeSpans } from '../../wire/decoded-spans.ts';
import type { HttpRun } from '../engine/http-run.ts';
import { placeFor } from '../filters/filter-fixtures.ts';
import type { UpstreamReader, Upstreams } from '../upstream/upstream.ts';
import { answeredRun, openBench, type Bench, type PlaceChanges } from './telemetry-fixtures.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const callerSpan = 'b7ad6b7169203331';
const collector = 'outbound|4317||collector.obs.svc.cluster.local';

const otelGrpc: Provider = {
  kind: 'provider',
  name: 'otel',
  backend: collector,
  use: { kind: 'opentelemetry', protocol: 'grpc', path: '', timeoutMs: 0, headers: [['X-Token', 't']] },
};
const otelHttp: Provider = {
  ...otelGrpc,
  use: { kind: 'opentelemetry', protocol: 'http', path: '/v1/traces', timeoutMs: 0, headers: [] },
};
const zipkin: Provider = {
  kind: 'provider',
  name: 'zipkin',
  backend: collector,
  use: { kind: 'zipkin', path: '/api/v2/spans' },
};

interface Sent {
  readonly backend: string;
  readonly head: RequestHead;
  readonly body: Buffer;
}

/** A collector that answers each call. */
function collectorOf(sent: Sent[], answer: (isGrpc: boolean, reader: UpstreamReader) => void = accept): Upstreams {
  return {
    ...placeFor({}).services.upstreams,
    open(backend, { head }, reader) {
      const chunks: Buffer[] = [];
      const isGrpc = head.headers.get('content-type') === 'application/grpc';
      return {
        write(bytes) {
          chunks.push(Buffer.from(bytes));
          return 0;
        },
        end() {
          sent.push({ backend, head, body: Buffer.concat(chunks) });
          queueMicrotask(() => answer(isGrpc, reader));
        },
        credit() {},
        reset() {
          queueMicrotask(() => reader.onClose());
        },
      };
    },
  };
}

function accept(isGrpc: boolean, reader: UpstreamReader): void {
  reader.onResponse({ status: 200, headers: new HeaderList() }, false);
  if (isGrpc) reader.onData(new Uint8Array(5));
  reader.onEnd(isGrpc ? new HeaderList(['grpc-status', '0']) : undefined);
  reader.onClose();
}

function refuse(_: boolean, reader: UpstreamReader): void {
  reader.onResponse({ status: 503, headers: new HeaderList() }, true);
  reader.onClose();
}

function policy(tracing: TracingPolicy, more: Partial<TelemetryPolicy> = {}): TelemetryPolicy {
  return { kind: 'telemetry', name: 'shop/t', scope: 'target', metrics: [], tracing, ...more };
}

function place(bench: Bench, changes: PlaceChanges): ReturnType<Bench['place']> {
  const made = bench.place(changes);
  const backend = {
    kind: 'backend' as const,
    name: collector,
    service: serviceKey('obs', 'collector.obs.svc.cluster.local'),
    hostname: 'collector.obs.svc.cluster.local',
    port: 4317,
    protocol: 'http2' as const,
    throughWaypoint: false,
    loadBalancer: { kind: 'round-robin' as const },
    locality: { enabled: false, distribute: [], failover: [], forced: false },
    connectionPool: { connectTimeoutMs: 1, idleTimeoutMs: 1 },
  };
  return {
    ...made,
    snapshot: {
      ...made.snapshot,
      backends: new Map([[collector, backend]]),
      providers: new Map((changes.providers ?? []).map((one) => [one.name, one])),
    },
  };
}

interface Traced {
  readonly sent: Sent[];
  readonly headers: HeaderList;
  readonly run: HttpRun;
  readonly bench: Bench;
}

async function trace(
  changes: PlaceChanges,
  headers: readonly string[] = [],
  more: { readonly random?: number; readonly run?: Partial<HttpRun>; readonly answer?: typeof accept } = {},
): Promise<Traced> {
  const sent: Sent[] = [];
  const upstreams = collectorOf(sent, more.answer);
  const bench = openBench({ upstreams, random: () => more.random ?? 0.5 });
  const filter = bench.telemetry.filter.build(place(bench, changes));
  const run = answeredRun({
    requestId: '8f2f0f5e-0000-4000-8000-000000000000',
    ...more.run,
    request: { ...answeredRun().request, headers: new HeaderList([...headers]) },
  });
  void filter?.onRequest?.(run);
  filter?.onFinish?.(run);
  bench.clock.advance(5000);
  // The collector answers in microtasks.
  await new Promise((resolve) => setImmediate(resolve));
  return { sent, headers: run.request.headers, run, bench };
}

const all = { providers: ['otel'], samplingPercent: 100 };
const withOtel = { providers: [otelGrpc], policies: [policy(all)] };

test('a sampled request is a span at the collector, and the backend hears of it', async () => {
  const { sent, headers } = await trace(withOtel, [
    'traceparent',
    `00-${traceId}-${callerSpan}-01`,
    'user-agent',
    'curl/8',
  ]);
  const [call] = sent;
  assert.equal(call?.backend, collector);
  assert.equal(call?.head.path, '/opentelemetry.proto.collector.trace.v1.TraceService/Export');
  assert.equal(call?.head.authority, 'collector.obs.svc.cluster.local:4317');
  assert.equal(call?.head.headers.get('x-token'), 't');
  const [span] = decodeSpans(call?.body.subarray(5) ?? new Uint8Array());
  assert.ok(span);
  assert.equal(span.traceId, traceId);
  assert.equal(span.parentSpanId, callerSpan);
  assert.equal(headers.get('traceparent'), `00-${traceId}-${span.spanId}-01`);
  assert.equal(headers.get('x-b3-traceid'), undefined);
  assert.equal(span.name, 'reviews.shop.svc.cluster.local:80/*');
  assert.equal(span.start, 1_700_000_000_123_000_000n);
  assert.equal(span.end - span.start, 25_000_000n);
  assert.equal(span.kind, 2);
  assert.equal(span.isError, false);
  assert.equal(span.service, 'waypoint.shop');
  assert.deepEqual(
    Object.fromEntries(
      [
        'component',
        'http.method',
        'http.url',
        'http.status_code',
        'response_flags',
        'user_agent',
        'upstream_cluster',
        'istio.mesh_id',
        'istio.source_workload',
        'istio.destination_workload',
      ].map((name) => [name, span.tags[name]]),
    ),
    {
      component: 'proxy',
      'http.method': 'GET',
      'http.url': 'http://reviews:80/reviews/1',
      'http.status_code': '200',
      response_flags: '-',
      user_agent: 'curl/8',
      upstream_cluster: 'inbound-vip|80|http|reviews.shop.svc.cluster.local',
      'istio.mesh_id': 'mesh1',
      'istio.source_workload': 'front',
      'istio.destination_workload': 'reviews-v1',
    },
  );
});

test('spans go by HTTP in the same form', async () => {
  const { sent } = await trace({ ...withOtel, providers: [otelHttp] });
  const [call] = sent;
  assert.equal(call?.head.path, '/v1/traces');
  assert.equal(call?.head.headers.get('content-type'), 'application/x-protobuf');
  assert.equal(decodeSpans(call?.body ?? new Uint8Array()).length, 1);
});

test("Zipkin's spans are JSON, and its context travels in B3", async () => {
  const { sent, headers } = await trace({
    providers: [zipkin],
    policies: [policy({ providers: ['zipkin'], samplingPercent: 100 })],
  });
  const [span] = JSON.parse(sent[0]?.body.toString() ?? '') as {
    traceId: string;
    id: string;
    kind: string;
    timestamp: number;
    duration: number;
    localEndpoint: unknown;
  }[];
  assert.equal(headers.get('x-b3-traceid'), span?.traceId);
  assert.equal(headers.get('x-b3-spanid'), span?.id);
  assert.equal(headers.get('x-b3-sampled'), '1');
  assert.equal(headers.get('traceparent'), undefined);
  assert.equal(span?.kind, 'SERVER');
  assert.equal(span?.timestamp, 1_700_000_000_123_000);
  assert.equal(span?.duration, 25_000);
  assert.deepEqual(span?.localEndpoint, { serviceName: 'waypoint.shop', ipv4: '10.244.9.9' });
});

test('who decided before us is obeyed', async () => {
  const off = await trace(withOtel, ['traceparent', `00-${traceId}-${callerSpan}-00`]);
  assert.equal(off.sent.length, 0);
  assert.match(off.headers.get('traceparent') ?? '', new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
  const none = { ...withOtel, policies: [policy({ ...all, samplingPercent: 0 })] };
  const on = await trace(none, ['b3', `${traceId}-${callerSpan}-1`]);
  assert.equal(on.sent.length, 1);
  assert.match(on.headers.get('b3') ?? '', new RegExp(`^${traceId}-[0-9a-f]{16}-1-${callerSpan}$`));
  assert.match(on.headers.get('traceparent') ?? '', new RegExp(`^00-${traceId}-`));
});

test('of the others a share is sampled, and their request id says so', async () => {
  const third = { ...withOtel, policies: [policy({ ...all, samplingPercent: 30 })] };
  const missed = await trace(third, [], { random: 0.3 });
  assert.equal(missed.sent.length, 0);
  assert.equal(missed.run.requestId, '8f2f0f5e-0000-4000-8000-000000000000');
  const hit = await trace(third, [], { random: 0.29 });
  assert.equal(hit.sent.length, 1);
  assert.equal(hit.run.requestId, '8f2f0f5e-0000-9000-8000-000000000000');
  assert.equal(hit.headers.get('x-request-id'), '8f2f0f5e-0000-9000-8000-000000000000');
  const marked = await trace(third, [], { random: 0.9, run: { requestId: '8f2f0f5e-0000-a000-8000-000000000000' } });
  assert.equal(marked.sent.length, 1);
  const ignored = { ...withOtel, policies: [policy({ ...all, samplingPercent: 30, usesRequestId: false })] };
  const unmarked = await trace(ignored, [], {
    random: 0.9,
    run: { requestId: '8f2f0f5e-0000-a000-8000-000000000000' },
  });
  assert.equal(unmarked.sent.length, 0);
});

test('without a provider nothing is touched', async () => {
  const { sent, headers } = await trace({ policies: [policy({ samplingPercent: 100 })] }, ['b3', 'anything']);
  assert.equal(sent.length, 0);
  assert.deepEqual(headers.fields, ['b3', 'anything']);
});

test('narrower policies change what they speak of, and leave the rest', async () => {
  const wide = policy({ ...all, istioTags: false }, { name: 'istio-system/a', scope: 'mesh' });
  const narrow = policy({
    customTags: [
      { name: 'fixed', value: { kind: 'literal', value: 'yes' } },
      { name: 'agent', value: { kind: 'header', name: 'User-Agent', default: '' } },
      { name: 'absent', value: { kind: 'header', name: 'x-none', default: '' } },
      { name: 'given', value: { kind: 'header', name: 'x-none', default: 'd' } },
      { name: 'city', value: { kind: 'environment', name: 'CITY', default: '' } },
      { name: 'said', value: { kind: 'format', template: '%RESPONSE_CODE%/%PROTOCOL%' } },
    ],
  });
  const { sent } = await trace({ providers: [otelGrpc], policies: [wide, narrow] }, ['user-agent', 'curl/8']);
  const [span] = decodeSpans(sent[0]?.body.subarray(5) ?? new Uint8Array());
  assert.equal(span?.tags['istio.mesh_id'], undefined);
  const { fixed, agent, absent, given, city, said } = span?.tags ?? {};
  assert.deepEqual(
    { fixed, agent, absent, given, city, said },
    {
      fixed: 'yes',
      agent: 'curl/8',
      absent: undefined,
      given: 'd',
      city: 'Oslo',
      said: '200/HTTP/1.1',
    },
  );
  const quiet = policy({ disabled: true }, { name: 'shop/quiet' });
  const silent = await trace({ providers: [otelGrpc], policies: [wide, quiet] });
  assert.equal(silent.sent.length, 0);
  assert.ok(silent.headers.has('traceparent'));
});

test('a failed request is a span with an error and its reason', async () => {
  const { sent } = await trace(withOtel, [], {
    run: { responseStatus: 503, flags: new Set(['UH']), reason: 'nobody is there' },
  });
  const [span] = decodeSpans(sent[0]?.body.subarray(5) ?? new Uint8Array());
  assert.equal(span?.isError, true);
  assert.equal(span?.tags['response_flags'], 'UH');
  assert.equal(span?.tags['ambit.reason'], 'nobody is there');
});

test('what a collector never takes is counted as lost', async () => {
  const { bench, sent } = await trace({ ...withOtel, providers: [otelHttp] }, [], { answer: refuse });
  for (let attempt = 0; attempt < 3; attempt++) {
    bench.clock.advance(12_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(sent.length, 3);
  assert.deepEqual(bench.lines('ambit_proxy_spans_dropped_total'), ['ambit_proxy_spans_dropped_total 1']);
});

test("the access log knows the request's trace", async () => {
  const settings = { accessLog: { kind: 'text', template: '%TRACE_ID%' } } as const;
  const { bench } = await trace({ ...withOtel, settings }, ['traceparent', `00-${traceId}-${callerSpan}-00`]);
  assert.deepEqual(await bench.logged(), [`${traceId}\n`]);
});
