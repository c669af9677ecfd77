import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MetricOverride, TelemetryPolicy } from '../../api/l7/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import { meshWorkload } from '../../mesh/fixtures.ts';
import type { HttpFilter } from '../engine/filter.ts';
import type { HttpRun } from '../engine/http-run.ts';
import type { TcpRun } from '../engine/tcp-run.ts';
import {
  answeredRun,
  connection,
  openBench,
  reviewsService,
  type Bench,
  type PlaceChanges,
} from './telemetry-fixtures.ts';

function filterOf(bench: Bench, changes: PlaceChanges = {}): HttpFilter {
  const filter = bench.telemetry.filter.build(bench.place(changes));
  assert.ok(filter);
  return filter;
}

function policy(metrics: readonly MetricOverride[], more: Partial<TelemetryPolicy> = {}): TelemetryPolicy {
  return { kind: 'telemetry', name: 'shop/t', scope: 'target', metrics, ...more };
}

function finish(filter: HttpFilter, run: HttpRun): void {
  void filter.onRequest?.(run);
  filter.onFinish?.(run);
}

const peers =
  'reporter="waypoint",source_workload="front",source_canonical_service="front",source_canonical_revision="v2",' +
  'source_workload_namespace="web",source_principal="spiffe://cluster.local/ns/web/sa/front",source_app="front",' +
  'source_version="v2",source_cluster="Kubernetes",destination_workload="reviews-v1",' +
  'destination_workload_namespace="shop",destination_principal="spiffe://cluster.local/ns/shop/sa/reviews",' +
  'destination_app="reviews",destination_version="latest",destination_service="reviews.shop.svc.cluster.local",' +
  'destination_canonical_service="reviews",destination_canonical_revision="latest",' +
  'destination_service_name="reviews",destination_service_namespace="shop",destination_cluster="Kubernetes"';
const answered = `${peers},request_protocol="http",response_code="200",grpc_response_status="",response_flags="-",connection_security_policy="mutual_tls"`;

test("a request is counted with Istio's labels in their order", () => {
  const bench = openBench();
  const filter = filterOf(bench);
  finish(filter, answeredRun());
  finish(filter, answeredRun());
  assert.deepEqual(bench.lines('istio_requests_total'), [`istio_requests_total{${answered}} 2`]);
  const duration = bench.lines('istio_request_duration_milliseconds');
  assert.ok(duration.includes(`istio_request_duration_milliseconds_bucket{${answered},le="25"} 2`));
  assert.ok(duration.includes(`istio_request_duration_milliseconds_bucket{${answered},le="10"} 0`));
  assert.ok(duration.includes(`istio_request_duration_milliseconds_sum{${answered}} 50`));
});

test('sizes are those of heads and bodies', () => {
  const bench = openBench();
  finish(filterOf(bench), answeredRun());
  const run = answeredRun();
  const fields = (headers: HeaderList): number => headers.fields.join('').length;
  const request = ':method:scheme:path:authority' + 'GET' + 'http' + '/reviews/1?full=true' + 'reviews:80';
  const sent = request.length + fields(run.request.headers) + 10;
  const received = ':status200'.length + fields(run.responseHead?.headers ?? new HeaderList()) + 2000;
  assert.deepEqual(bench.lines('istio_request_bytes_sum'), [`istio_request_bytes_sum{${answered}} ${sent}`]);
  assert.deepEqual(bench.lines('istio_response_bytes_sum'), [`istio_response_bytes_sum{${answered}} ${received}`]);
});

test('what is not known of a peer is unknown, and an answer of the proxy has its flag', () => {
  const bench = openBench();
  finish(
    filterOf(bench),
    answeredRun({
      connection: { ...connection, sourceWorkload: undefined, sourceIdentity: undefined },
      host: undefined,
      backend: undefined,
      responseStatus: 503,
      flags: new Set(['UH']),
    }),
  );
  const [line = ''] = bench.lines('istio_requests_total');
  for (const label of [
    'source_workload="unknown"',
    'source_canonical_revision="latest"',
    'source_principal="unknown"',
    'destination_workload="unknown"',
    'destination_principal="unknown"',
    'destination_service="reviews.shop.svc.cluster.local"',
    'destination_service_name="reviews"',
    'response_code="503"',
    'response_flags="UH"',
    'connection_security_policy="none"',
  ]) {
    assert.ok(line.includes(label), `${label} in ${line}`);
  }
});

test('the service is that of the backend that was chosen, not the one that was asked for', () => {
  const bench = openBench();
  finish(filterOf(bench), answeredRun({ backend: 'outbound|80|v2|ratings.shop.svc.cluster.local' }));
  assert.match(
    bench.lines('istio_requests_total')[0] ?? '',
    /destination_service="ratings.shop.svc.cluster.local".*destination_service_name="ratings"/,
  );
});

test('a gateway reports as the source, of what it sends itself', () => {
  const own = meshWorkload({ namespace: 'ingress', name: 'gateway', serviceAccount: 'gateway' });
  const bench = openBench({ own: () => ({ workload: own, identity: undefined }) });
  const filter = filterOf(bench, { settings: { role: 'gateway' } });
  finish(filter, answeredRun());
  const [line = ''] = bench.lines('istio_requests_total');
  assert.match(line, /reporter="source",source_workload="gateway".*connection_security_policy="unknown"/);
});

test('a gRPC stream is counted with its status, and its messages while it lasts', () => {
  const bench = openBench();
  const filter = filterOf(bench);
  const requestMessages = { count: 3 };
  const responseMessages = { count: 1 };
  const run = answeredRun({ isGrpc: true, grpcStatus: '14', requestMessages, responseMessages });
  void filter.onRequest?.(run);
  bench.clock.advance(5000);
  assert.deepEqual(bench.lines('istio_request_messages_total'), [`istio_request_messages_total{${peers}} 3`]);
  requestMessages.count = 8;
  filter.onFinish?.(run);
  assert.deepEqual(bench.lines('istio_request_messages_total'), [`istio_request_messages_total{${peers}} 8`]);
  assert.deepEqual(bench.lines('istio_response_messages_total'), [`istio_response_messages_total{${peers}} 1`]);
  assert.match(bench.lines('istio_requests_total')[0] ?? '', /request_protocol="grpc".*grpc_response_status="14"/);
  bench.clock.advance(5000);
  assert.equal(bench.clock.pending, 0);
});

test('what a server says as its gRPC status makes no series of its own, unless it is one', () => {
  const bench = openBench();
  const filter = filterOf(bench);
  for (const status of ['0', '99', 'x'.repeat(100), undefined]) {
    finish(filter, answeredRun({ isGrpc: true, grpcStatus: status }));
  }
  const statuses = bench.lines('istio_requests_total').map((line) => /grpc_response_status="([^"]*)"/.exec(line)?.[1]);
  assert.deepEqual(statuses, ['0', 'unknown', '']);
});

test('a metric is left out, and tags are removed and set, where a policy says so', () => {
  const bench = openBench();
  const changes = [
    { metric: 'REQUEST_SIZE', disabled: true, tags: [] },
    {
      metric: 'REQUEST_COUNT',
      tags: [
        { name: 'source_principal', change: { kind: 'remove' } },
        { name: 'method', change: { kind: 'set', expression: 'request.method' } },
        { name: 'response_code', change: { kind: 'set', expression: 'response.code < 400 ? "good" : "bad"' } },
        { name: 'absent', change: { kind: 'set', expression: 'request.headers["x-none"]' } },
      ],
    },
  ] as const satisfies readonly MetricOverride[];
  const filter = filterOf(bench, { policies: [policy(changes)] });
  finish(filter, answeredRun());
  finish(filter, answeredRun({ request: { ...answeredRun().request, method: 'POST' } }));
  const lines = bench.lines('istio_requests_total');
  assert.equal(lines.length, 2);
  assert.ok(lines.every((line) => !line.includes('source_principal')));
  assert.match(lines[0] ?? '', /response_code="good".*method="GET",absent="unknown"\} 1$/);
  assert.match(lines[1] ?? '', /method="POST"/);
  assert.deepEqual(bench.lines('istio_request_bytes'), []);
  assert.ok(bench.lines('istio_request_duration_milliseconds_count')[0]?.includes('source_principal'));
});

test('changes add up from the widest scope to the narrowest', () => {
  const bench = openBench();
  const off = { metric: 'ALL_METRICS', disabled: true, tags: [] };
  const on = { metric: 'REQUEST_COUNT', disabled: false, tags: [] };
  const filter = filterOf(bench, {
    policies: [
      policy([on], { name: 'shop/a', scope: 'target' }),
      policy([off], { name: 'istio-system/b', scope: 'mesh' }),
    ],
  });
  finish(filter, answeredRun());
  assert.equal(bench.lines('istio_requests_total').length, 1);
  assert.equal(bench.lines('istio_response_bytes').length, 0);
});

test('an expression that cannot be read refuses the configuration and names the policy', () => {
  const bench = openBench();
  const tags = [{ name: 'a', change: { kind: 'set', expression: 'request.' } }] as const;
  assert.throws(() => filterOf(bench, { policies: [policy([{ metric: 'ALL_METRICS', tags }])] }), {
    code: 'proxy.bad-config',
    message: /^telemetry\/shop\/t: Cannot compile the expression "request."/,
  });
});

test('series expire, and count again from nothing when they are used again', () => {
  const bench = openBench();
  const filter = filterOf(bench);
  const at = (startMs: number): HttpRun => answeredRun({ times: { ...answeredRun().times, startMs } });
  finish(filter, at(bench.clock.nowMs()));
  bench.clock.advance(16 * 60_000);
  assert.equal(bench.lines('istio_requests_total').length, 0);
  finish(filter, at(bench.clock.nowMs()));
  assert.match(bench.lines('istio_requests_total')[0] ?? '', /\} 1$/);
});

test('a TCP connection is counted from its host on, with its bytes while it lasts', () => {
  const bench = openBench();
  const filter = bench.telemetry.filter.buildTcp?.(bench.place());
  assert.ok(filter);
  const { host, backend, times } = answeredRun();
  const run = {
    connection,
    service: reviewsService,
    times,
    routeName: 'tcp',
    host: undefined as TcpRun['host'],
    backend,
    failure: undefined,
    bytesReceived: 0,
    bytesSent: 0,
    flags: new Set<string>(),
    details: '',
    reason: '',
  };
  void filter.onConnection?.(run, new AbortController().signal);
  bench.clock.advance(5000);
  assert.deepEqual(bench.lines('istio_tcp'), []);
  run.host = host;
  run.bytesReceived = 100;
  bench.clock.advance(5000);
  const labels = `{${peers},request_protocol="tcp",response_flags="-",connection_security_policy="mutual_tls"}`;
  assert.deepEqual(bench.lines('istio_tcp'), [
    `istio_tcp_connections_opened_total${labels} 1`,
    `istio_tcp_received_bytes_total${labels} 100`,
  ]);
  run.bytesSent = 7;
  filter.onFinish?.(run);
  assert.deepEqual(bench.lines('istio_tcp'), [
    `istio_tcp_connections_opened_total${labels} 1`,
    `istio_tcp_connections_closed_total${labels} 1`,
    `istio_tcp_sent_bytes_total${labels} 7`,
    `istio_tcp_received_bytes_total${labels} 100`,
  ]);
});
