import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessLogPolicy, Provider, ProxySettings, TelemetryPolicy } from '../../api/l7/index.ts';
import { HeaderList } from '../../http/header-list.ts';
import type { LogFields } from '../../lib/log.ts';
import { silentLog } from '../../lib/log.ts';
import type { HttpRun } from '../engine/http-run.ts';
import {
  answeredRun,
  connection,
  openBench,
  reviewsService,
  type Bench,
  type PlaceChanges,
} from './telemetry-fixtures.ts';

const textLog: Partial<ProxySettings> = { accessLog: { kind: 'text', template: '' } };
const jsonLog: Partial<ProxySettings> = { accessLog: { kind: 'json', template: '' } };

async function logged(changes: PlaceChanges, runs: readonly HttpRun[], bench: Bench = openBench()): Promise<string> {
  const filter = bench.telemetry.filter.build(bench.place(changes));
  for (const run of runs) filter?.onFinish?.(run);
  return (await bench.logged()).join('');
}

function policy(accessLogs: readonly AccessLogPolicy[], more: Partial<TelemetryPolicy> = {}): TelemetryPolicy {
  return { kind: 'telemetry', name: 'shop/t', scope: 'target', metrics: [], accessLogs, ...more };
}

function formatted(template: string): Partial<ProxySettings> {
  return { accessLog: { kind: 'text', template } };
}

test("the usual text line is Istio's, to the byte", async () => {
  const run = answeredRun({
    route: { ...(answeredRun().route as NonNullable<HttpRun['route']>), name: 'shop.reviews.0' },
  });
  assert.equal(
    await logged({ settings: textLog }, [run]),
    '[2023-11-14T22:13:20.123Z] "GET /reviews/1?full=true HTTP/1.1" 200 - via_upstream - "-" 10 2000 25 20 "-" "curl/8" ' +
      '"a-b-c" "reviews:80" "10.244.2.7:9080" inbound-vip|80|http|reviews.shop.svc.cluster.local 10.244.9.9:33333 ' +
      '10.96.0.9:80 10.244.1.5:40000 - shop.reviews.0\n',
  );
});

test('a failed request says its flags, and at the end its reason', async () => {
  const run = answeredRun({
    responseStatus: 503,
    responseHead: { status: 503, headers: new HeaderList() },
    responseDetails: 'upstream_reset_before_response_started{connection_failure}',
    flags: new Set(['UF', 'URX']),
    reason: 'no connection to 10.244.2.7:15008:\nrefused',
    failure: { kind: 'connect-failure', flag: 'UF', message: 'refused', sent: 'no' },
    route: undefined,
  });
  assert.equal(
    await logged({ settings: textLog }, [run]),
    '[2023-11-14T22:13:20.123Z] "GET /reviews/1?full=true HTTP/1.1" 503 UF,URX ' +
      'upstream_reset_before_response_started{connection_failure} - "refused" 10 2000 25 - "-" "curl/8" ' +
      '"a-b-c" "reviews:80" "10.244.2.7:9080" inbound-vip|80|http|reviews.shop.svc.cluster.local 10.244.9.9:33333 ' +
      '10.96.0.9:80 10.244.1.5:40000 - - reason="no connection to 10.244.2.7:15008:?refused"\n',
  );
});

test("the usual JSON line has Istio's keys in their order", async () => {
  assert.equal(
    await logged({ settings: jsonLog }, [answeredRun()]),
    '{"start_time":"2023-11-14T22:13:20.123Z","route_name":"default","method":"GET","path":"/reviews/1?full=true",' +
      '"protocol":"HTTP/1.1","response_code":200,"response_flags":null,"response_code_details":"via_upstream",' +
      '"connection_termination_details":null,"bytes_received":10,"bytes_sent":2000,"duration":25,' +
      '"upstream_service_time":"20","x_forwarded_for":null,"user_agent":"curl/8","request_id":"a-b-c",' +
      '"authority":"reviews:80","upstream_host":"10.244.2.7:9080",' +
      '"upstream_cluster":"inbound-vip|80|http|reviews.shop.svc.cluster.local",' +
      '"upstream_local_address":"10.244.9.9:33333","downstream_local_address":"10.96.0.9:80",' +
      '"downstream_remote_address":"10.244.1.5:40000","requested_server_name":null,' +
      '"upstream_transport_failure_reason":null}\n',
  );
});

test("operators of a format of one's own", async () => {
  const run = answeredRun({
    request: {
      ...answeredRun().request,
      headers: new HeaderList(['x-a', '1', 'x-a', '2', 'x-envoy-original-path', '/old']),
    },
    isGrpc: true,
    grpcStatus: '14',
    remoteAddress: '203.0.113.7',
    attempts: 3,
  });
  const template =
    '%START_TIME(%Y/%m/%d %H:%M:%S)% %REQ(X-A)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH):3% %RESP(:STATUS)% %RESP(CONTENT-TYPE)% ' +
    '%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER% %TRAILER(GRPC-STATUS)% %DOWNSTREAM_REMOTE_ADDRESS% ' +
    '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %ENVIRONMENT(CITY)% %ENVIRONMENT(NONE)% %UPSTREAM_PEER_URI_SAN% ' +
    '%DOWNSTREAM_PEER_URI_SAN% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %RESPONSE_DURATION% %RESPONSE_TX_DURATION% ' +
    '%DYNAMIC_METADATA(a:b)% 100%%';
  assert.equal(
    await logged({ settings: formatted(template) }, [run]),
    '2023/11/14 22:13:20 1,2 /ol 200 text/plain Unavailable UNAVAILABLE 14 14 203.0.113.7:0 10.244.1.5:40000 Oslo - ' +
      'spiffe://cluster.local/ns/shop/sa/reviews spiffe://cluster.local/ns/web/sa/front 3 24 1 - 100%\n',
  );
});

test('what a client sends cannot begin a line of its own', async () => {
  const request = { ...answeredRun().request, headers: new HeaderList(['x-a', 'one\r\ntwo\u0000']) };
  assert.equal(await logged({ settings: formatted('%REQ(X-A)%') }, [answeredRun({ request })]), 'one??two?\n');
});

test('secrets of a request are in the line only where the format asks for them', async () => {
  const headers = new HeaderList(['authorization', 'Bearer secret', 'cookie', 'session=secret']);
  const run = answeredRun({ request: { ...answeredRun().request, headers } });
  for (const settings of [textLog, jsonLog]) assert.doesNotMatch(await logged({ settings }, [run]), /secret/);
  assert.equal(await logged({ settings: formatted('%REQ(COOKIE)%') }, [run]), 'session=secret\n');
});

test('a format that cannot be read gives way to the usual one, and is told of', async () => {
  const warnings: LogFields[] = [];
  const log = { ...silentLog(), warn: (_: string, fields: LogFields = {}) => void warnings.push(fields) };
  const line = await logged({ settings: formatted('%NOPE%') }, [answeredRun()], openBench({ log }));
  assert.match(line, /^\[2023-/);
  assert.match(String(warnings[0]?.['error']), /there is no operator "NOPE"/);
});

test('nothing is logged where nobody asks for it', async () => {
  assert.equal(await logged({}, [answeredRun()]), '');
});

test('the narrowest policy that speaks of logs decides, with its filter', async () => {
  const policies = [
    policy([{ disabled: false, filter: 'response.code >= 500 || request.headers["x-log"] == "1"' }], {
      name: 'shop/narrow',
    }),
    policy([{ disabled: true }], { name: 'istio-system/wide', scope: 'mesh' }),
    { kind: 'telemetry', name: 'shop/silent', scope: 'target', metrics: [] } as const,
  ];
  const settings = formatted('%RESPONSE_CODE%');
  const runs = [answeredRun(), answeredRun({ responseStatus: 503 })];
  assert.equal(await logged({ settings, policies }, runs), '503\n');
  assert.equal(await logged({ settings, policies: [policy([{ disabled: true }])] }, runs), '');
  assert.equal(await logged({ settings, policies: [policy([{ side: 'client', disabled: false }])] }, runs), '');
});

test('a provider has its own file and format', async () => {
  const provider = (name: string, path: string, format: object): Provider =>
    ({ kind: 'provider', name, use: { kind: 'access-log-file', path, format } }) as Provider;
  const providers = [
    provider('short', '/dev/stdout', { kind: 'text', template: '%RESPONSE_CODE%\n' }),
    provider('file', '/tmp/a.log', {
      kind: 'json',
      fields: { code: '%RESPONSE_CODE%', city: 'in %ENVIRONMENT(CITY)%' },
    }),
  ];
  const policies = [policy(providers.map(({ name }) => ({ provider: name, disabled: false })))];
  assert.equal(
    await logged({ policies, providers }, [answeredRun()]),
    '200\n/tmp/a.log: {"code":200,"city":"in Oslo"}\n',
  );
});

test('a provider that is no log, and a filter that cannot be read, refuse the configuration', async () => {
  const zipkin: Provider = { kind: 'provider', name: 'z', use: { kind: 'zipkin', path: '/' } };
  await assert.rejects(logged({ policies: [policy([{ provider: 'z', disabled: false }])], providers: [zipkin] }, []), {
    message: 'telemetry/shop/t: Cannot log to the provider "z": it is no file for access logs',
  });
  await assert.rejects(logged({ policies: [policy([{ disabled: false, filter: 'metadata.a == 1' }])] }, []), {
    code: 'proxy.bad-config',
    message: /there is no "metadata" in this proxy/,
  });
});

test('a TCP connection has a line too', async () => {
  const bench = openBench();
  const filter = bench.telemetry.filter.buildTcp?.(bench.place({ settings: textLog }));
  const { host, backend, times } = answeredRun();
  filter?.onFinish?.({
    connection: { ...connection, sni: 'a.example' },
    service: reviewsService,
    times,
    routeName: 'tcp',
    host,
    backend,
    failure: undefined,
    bytesReceived: 5,
    bytesSent: 6,
    flags: new Set(['UF']),
    details: 'upstream_closed',
    reason: '',
  });
  assert.equal(
    (await bench.logged()).join(''),
    '[2023-11-14T22:13:20.123Z] "- - -" 0 UF - upstream_closed "-" 5 6 25 - "-" "-" "-" "-" "10.244.2.7:9080" ' +
      'inbound-vip|80|http|reviews.shop.svc.cluster.local 10.244.9.9:33333 10.96.0.9:80 10.244.1.5:40000 a.example tcp\n',
  );
});
