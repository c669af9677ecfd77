/** What a waypoint tells of its traffic: metrics, access logs, traces, and what the command line shows of it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { kinds, systemNamespace } from '../../src/api/index.ts';
import { callAdmin } from '../../src/cli/admin-call.ts';
import { connectionPreface, frameFlag, frameType } from '../../src/http/h2/constants.ts';
import { rawFrame } from '../../src/http/h2/raw-peer.ts';
import { decodeSpans, type DecodedSpan } from '../../src/wire/decoded-spans.ts';
import { httpService, openL7Mesh, type HttpAnswer, type HttpRequest, type L7Mesh } from '../support/l7-mesh.ts';
import { documents, namespace, programPod, serviceAccount } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const callerSpan = 'b7ad6b7169203331';

const telemetry = (spec: object): object => ({
  apiVersion: 'telemetry.istio.io/v1',
  kind: 'Telemetry',
  metadata: { name: 'under-test', namespace: 'shop' },
  spec,
});

const extensionProviders = [
  { name: 'by-grpc', opentelemetry: { service: 'collector.obs.svc.cluster.local', port: 4317 } },
  {
    name: 'by-http',
    opentelemetry: { service: 'collector.obs.svc.cluster.local', port: 9411, http: { path: '/v1/traces' } },
  },
  { name: 'zipkin', zipkin: { service: 'collector.obs.svc.cluster.local', port: 9411 } },
  {
    name: 'short',
    envoyFileAccessLog: {
      path: '/dev/stdout',
      logFormat: { labels: { code: '%RESPONSE_CODE%', path: '%REQ(:PATH)%', flags: '%RESPONSE_FLAGS%' } },
    },
  },
];

describe('a waypoint', () => {
  let l7: L7Mesh;
  let pod = '';

  before(async () => {
    l7 = await openL7Mesh({
      manifests: documents(
        namespace('obs'),
        serviceAccount('collector', 'obs'),
        programPod({
          name: 'collector',
          namespace: 'obs',
          node: 'node-2',
          program: 'span-collector.ts',
          args: ['9411', '4317'],
          port: 9411,
        }),
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'collector', namespace: 'obs' },
          spec: {
            selector: { app: 'collector' },
            ports: [
              { name: 'grpc-otlp', port: 4317 },
              { name: 'http-zipkin', port: 9411 },
            ],
          },
        }),
        httpService('app-raw', { group: 'app' }, { name: 'tcp', port: 80, targetPort: 8080 }),
      ),
    });
    const labelSelector = 'gateway.networking.k8s.io/gateway-name=waypoint';
    const { items } = await l7.mesh.client.list(kinds.Pod, { namespace: 'shop', labelSelector });
    pod = items[0]?.metadata.name ?? '';
    await l7.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'istio', namespace: systemNamespace },
      data: { mesh: JSON.stringify({ extensionProviders }) },
    });
  });
  after(() => l7?.[Symbol.asyncDispose]());

  const ask = async (path: string, more: Partial<HttpRequest> = {}, host = 'app.shop'): Promise<HttpAnswer> => {
    const [answer] = await l7.send('front/client', { url: `http://${host}${path}`, ...more });
    assert.ok(answer);
    return answer;
  };

  const scrape = (): Promise<string> =>
    callAdmin(l7.mesh.client, { pod, namespace: 'shop' }, { method: 'GET', path: '/stats/prometheus' }, 15020);

  /** Value of the series of a metric whose labels have all of these; 0: there is none. */
  async function valueOf(metric: string, labels: Readonly<Record<string, string>>): Promise<number> {
    const wanted = Object.entries(labels).map(([name, value]) => `${name}="${value}"`);
    const lines = (await scrape()).split('\n').filter((line) => line.startsWith(`${metric}{`));
    const found = lines.filter((line) => wanted.every((label) => line.includes(label)));
    return found.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  async function log(): Promise<string[]> {
    const { body } = await l7.mesh.client.raw({ method: 'GET', path: `/api/v1/namespaces/shop/pods/${pod}/log` });
    return (await body.text()).split('\n');
  }

  async function conditionOf(name: string): Promise<string | undefined> {
    const { status } = await l7.mesh.client.get(kinds.Telemetry, name, 'shop');
    const condition = status?.conditions?.find(({ type }) => type === 'WaypointAccepted');
    return condition && `${condition.status} ${condition.reason}`;
  }

  async function withTelemetry(spec: object, work: () => Promise<void>): Promise<void> {
    await l7.apply(telemetry(spec));
    try {
      await work();
    } finally {
      await l7.remove({ kind: 'Telemetry', metadata: { name: 'under-test', namespace: 'shop' } });
    }
  }

  it("counts requests with Istio's labels, and promtool has nothing against them", async (context) => {
    const labels = {
      reporter: 'waypoint',
      source_workload: 'client',
      source_principal: 'spiffe://cluster.local/ns/front/sa/client',
      destination_service: 'app.shop.svc.cluster.local',
      destination_service_name: 'app',
      request_protocol: 'http',
      response_code: '404',
      connection_security_policy: 'mutual_tls',
    };
    const before = await valueOf('istio_requests_total', labels);
    assert.equal((await ask('/status/404')).status, 404);
    await eventually(async () => (await valueOf('istio_requests_total', labels)) === before + 1, 'it is counted');
    const { response_code: _, ...common } = labels;
    assert.ok((await valueOf('istio_request_duration_milliseconds_count', common)) > 0);
    assert.ok((await valueOf('istio_response_bytes_sum', common)) > 0);
    assert.match(
      await scrape(),
      /istio_requests_total\{[^}]*destination_workload="app-v[12]"[^}]*destination_principal="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/app-v[12]"/,
    );
    assert.match(await scrape(), /istio_build\{component="proxy",tag="[^"]+"\} 1/);
    const promtool = spawnSync('promtool', ['check', 'metrics'], { input: await scrape(), encoding: 'utf8' });
    if (promtool.error) return context.diagnostic('promtool is not installed');
    const complaints = `${promtool.stdout}${promtool.stderr}`.split('\n').filter((line) => line !== '');
    assert.deepEqual(
      complaints.filter((line) => !line.includes('use base unit "seconds"') && !line.includes('_total" suffix')),
      [],
    );
  });

  it('counts what it carries without looking into it', async () => {
    const labels = { reporter: 'waypoint', destination_service_name: 'app-raw', request_protocol: 'tcp' };
    await l7.until('front/client', { url: 'http://app-raw.shop/' }, ({ status }) => status === 200, 'TCP passes');
    await eventually(async () => (await valueOf('istio_tcp_connections_closed_total', labels)) > 0, 'it is counted');
    assert.ok((await valueOf('istio_tcp_sent_bytes_total', labels)) > 100);
    assert.ok((await valueOf('istio_tcp_received_bytes_total', labels)) > 50);
  });

  it('leaves tags out and sets others, as a Telemetry of one Service says', () =>
    withTelemetry(
      {
        targetRefs: [{ kind: 'Service', group: '', name: 'app-v1' }],
        metrics: [
          {
            providers: [{ name: 'prometheus' }],
            overrides: [
              {
                match: { metric: 'REQUEST_COUNT' },
                tagOverrides: {
                  source_principal: { operation: 'REMOVE' },
                  first: { value: 'request.url_path.split("/")[1]' },
                },
              },
            ],
          },
        ],
      },
      async () => {
        await eventually(async () => (await conditionOf('under-test')) === 'True Accepted', 'the status says it');
        await eventually(async () => {
          await ask('/books/1', {}, 'app-v1.shop');
          return (await valueOf('istio_requests_total', { first: 'books' })) > 0;
        }, 'the tag is there');
        const line = (await scrape()).split('\n').find((one) => one.includes('first="books"')) ?? '';
        assert.ok(!line.includes('source_principal'), line);
        const others = { destination_service_name: 'app', response_code: '418' };
        assert.equal((await ask('/status/418')).status, 418);
        await eventually(
          async () => (await valueOf('istio_requests_total', others)) === 1,
          'another Service is counted',
        );
        assert.equal(await valueOf('istio_requests_total', { ...others, first: 'status' }), 0);
      },
    ));

  it('logs requests as a Telemetry asks for, and says why one failed', () =>
    withTelemetry(
      {
        accessLogging: [
          { providers: [{ name: 'envoy' }], filter: { expression: 'response.code >= 400' } },
          { providers: [{ name: 'short' }] },
        ],
      },
      async () => {
        const marked = (): string => `/status/503?${Math.random()}`;
        let path = '';
        await eventually(async () => {
          path = marked();
          await ask(path);
          return (await log()).some((line) => line.includes(`GET ${path} HTTP`));
        }, 'a line is there');
        const [text, json] = await eventually(async () => {
          const lines = (await log()).filter((line) => line.includes(path));
          const both = ['[', '{"code"'].map((start) => lines.find((line) => line.startsWith(start)) ?? '');
          return both.every((line) => line !== '') && (both as [string, string]);
        }, 'a line in both logs');
        assert.match(
          text,
          /^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "GET \/status\/503\?[\d.]+ HTTP\/1\.1" 503 - via_upstream - "-" 0 \d+ \d+ \d+ "-" "[^"]*" "[0-9a-f-]{36}" "app\.shop" "[\d.]+:8080" inbound-vip\|80\|http\|app\.shop\.svc\.cluster\.local \S+ 10\.96\.\d+\.\d+:80 10\.244\.\d+\.\d+:\d+ - \S+$/,
        );
        assert.deepEqual(JSON.parse(json), { code: 503, path, flags: null });
        const good = `/?${Math.random()}`;
        await ask(good);
        await eventually(async () => (await log()).some((line) => line.includes(good)), 'it is in the short log');
        assert.ok(!(await log()).some((line) => line.startsWith('[') && line.includes(good)));
      },
    ));

  it('logs and counts a client that breaks HTTP/2, which has no request to tell of', () =>
    withTelemetry({ accessLogging: [{ providers: [{ name: 'envoy' }] }] }, async () => {
      const broken = { reporter: 'waypoint', response_code: '0', response_flags: 'DPE' };
      const before = await valueOf('istio_requests_total', broken);
      // A block of heads that nobody can decode.
      const bytes = Buffer.concat([
        connectionPreface,
        rawFrame(frameType.settings, 0, 0),
        rawFrame(frameType.headers, frameFlag.endHeaders, 1, Buffer.alloc(6, 0xff)),
      ]);
      const send = `require('node:net').connect(80, 'app.shop').on('close', () => process.exit()).on('error', () => {})
        .resume().write(Buffer.from('${bytes.toString('base64')}', 'base64'))`;
      const line = await eventually(async () => {
        await l7.mesh.exec('front/client', [process.execPath, '-e', send]);
        return (await log()).find((text) => text.includes('http2.codec_error'));
      }, 'a line is there');
      assert.match(
        line,
        /"- - HTTP\/2" 0 DPE http2\.codec_error - "-" 0 0 .* reason="the connection is not valid HTTP\/2: Cannot decode header block: integer is too large"$/,
      );
      await eventually(async () => (await valueOf('istio_requests_total', broken)) > before, 'it is counted');
      assert.equal((await ask('/')).status, 200);
    }));

  it('leaves a span of each request that is sampled, at any collector', async () => {
    for (const provider of ['by-grpc', 'by-http', 'zipkin']) {
      await withTelemetry(
        {
          tracing: [
            {
              providers: [{ name: provider }],
              randomSamplingPercentage: 0,
              customTags: { shop: { literal: { value: provider } } },
            },
          ],
        },
        async () => {
          const headers = { traceparent: `00-${traceId}-${callerSpan}-01` };
          const found = await eventually(
            async () => {
              const { body } = await ask('/traced', { headers });
              const told = (JSON.parse(body) as { headers: Record<string, string> }).headers;
              const own = told['traceparent']?.split('-')[2];
              if (own === undefined || own === callerSpan) return undefined;
              return eventually(
                async () => (await spans(provider)).find(({ spanId }) => spanId === own),
                'the span came',
              );
            },
            `a span by ${provider}`,
            120_000,
          );
          assert.equal(found.traceId, traceId);
          assert.equal(found.parentSpanId, callerSpan);
          assert.equal(found.name, 'app.shop.svc.cluster.local:80/*');
          assert.equal(found.tags['shop'], provider);
          assert.equal(found.tags['http.status_code'], '200');
          assert.equal(found.tags['istio.source_workload'], 'client');
          assert.equal(found.service, 'waypoint.shop');
        },
      );
    }
  });

  type Found = Pick<DecodedSpan, 'traceId' | 'spanId' | 'parentSpanId' | 'name' | 'tags' | 'service'>;

  /** What the collector was sent by this kind of provider. */
  async function spans(provider: string): Promise<Found[]> {
    const { body } = await ask('/', {}, 'collector.obs:9411');
    const taken = JSON.parse(body) as { path: string; body: string }[];
    return taken.flatMap(({ path, body: sent }): Found[] => {
      const bytes = Buffer.from(sent, 'base64');
      if (path !== '/api/v2/spans') return decodeSpans(bytes).filter(({ tags }) => tags['shop'] === provider);
      const list = JSON.parse(bytes.toString()) as {
        traceId: string;
        id: string;
        parentId: string;
        name: string;
        tags: Record<string, string>;
        localEndpoint: { serviceName: string };
      }[];
      return list.map(({ id, parentId, localEndpoint, ...span }) => {
        return { ...span, spanId: id, parentSpanId: parentId, service: localEndpoint.serviceName };
      });
    });
  }

  it('shows what it holds, and that it is in step', async () => {
    const config = async (...args: readonly string[]): Promise<string> => {
      const { code, stdout, stderr } = await l7.mesh.ambit(['proxy-config', ...args]);
      assert.equal(code, 0, stderr);
      return stdout;
    };
    assert.match(
      await config('listeners', 'waypoint', '-n', 'shop'),
      /mesh +15008 +app\.shop\.svc\.cluster\.local:80 +http /,
    );
    assert.match(
      await config('routes', `${pod}.shop`, '--fqdn', 'app.shop.svc.cluster.local'),
      /inbound-vip\|80\|http\|app/,
    );
    const endpoints = await config(
      'endpoints',
      'deploy/waypoint.shop',
      '--fqdn',
      'app.shop.svc.cluster.local',
      '-o',
      'json',
    );
    assert.equal(
      (JSON.parse(endpoints) as { health: string }[]).filter(({ health }) => health === 'healthy').length,
      2,
    );
    assert.match(await config('secret', 'waypoint.shop'), /default +Cert Chain +AVAILABLE +true +\d+/);
    assert.match(await config('log', 'waypoint.shop', '--level', 'debug'), /current log level is debug/);
    assert.doesNotMatch(await config('all', 'waypoint.shop', '-o', 'json'), /PRIVATE KEY/);
    const waypoint = new RegExp(`${pod}\\.shop +waypoint +shop/waypoint +\\S+ +in step `);
    const ztunnel = /ztunnel-node-1\.istio-system +ztunnel +node-1 +\S+ +in step /;
    await eventually(async () => {
      const { stdout } = await l7.mesh.ambit(['proxy-status']);
      return waypoint.test(stdout) && ztunnel.test(stdout);
    }, 'both are in step');
    const other = await l7.mesh.ambit(['proxy-config', 'routes', 'ztunnel-node-1.istio-system']);
    assert.match(other.stderr, /it is a ztunnel: see 'ambit ztunnel-config'/);
  });
});
