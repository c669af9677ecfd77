import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Backend, Provider, RequestAuthentication, TlsSecret } from '../../api/l7/index.ts';
import { serviceKey } from '../../api/names.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { parseCidr } from '../../lib/ip.ts';
import { openLog, silentLog } from '../../lib/log.ts';
import { createLogLevels, Readiness } from '../../telemetry/admin/index.ts';
import { MetricsRegistry } from '../../telemetry/index.ts';
import type { ProxySnapshot } from '../config/snapshot.ts';
import { placeFor } from '../filters/filter-fixtures.ts';
import { createProxyAdmin, type ProxyAdmin } from './proxy-admin.ts';

const origin = { kind: 'Service', namespace: 'shop', name: 'web', generation: 1 };
const pem = readFileSync(new URL('../../net/channel.test.pem', import.meta.url), 'utf8');
const secret: TlsSecret = {
  kind: 'secret',
  name: 'shop/cert',
  certificateChain: pem.slice(pem.indexOf('-----BEGIN CERTIFICATE')),
  privateKey: 'PRIVATE KEY',
};
const backend: Backend = {
  kind: 'backend',
  name: 'outbound|80||web.shop.svc.cluster.local',
  service: serviceKey('shop', 'web.shop.svc.cluster.local'),
  hostname: 'web.shop.svc.cluster.local',
  port: 80,
  protocol: 'auto',
  throughWaypoint: false,
  loadBalancer: { kind: 'round-robin' },
  locality: { enabled: false, distribute: [], failover: [], forced: false },
  connectionPool: { connectTimeoutMs: 1, idleTimeoutMs: 1 },
};
const provider: Provider = {
  kind: 'provider',
  name: 'otel',
  use: { kind: 'opentelemetry', protocol: 'http', path: '/', timeoutMs: 1, headers: [['authorization', 'TOKEN']] },
};
const authentication: RequestAuthentication = {
  kind: 'authentication',
  name: 'shop/jwt',
  origin,
  rules: [
    {
      issuer: 'i',
      audiences: [],
      keys: { kind: 'jwks', json: '{"keys":[{"kty":"oct","kid":"one","k":"SYMMETRIC"}]}' },
      keySet: 'jwks https://me:PASSWORD@idp.example.com/keys?key=APIKEY',
      fromHeaders: [],
      fromParams: [],
      fromCookies: [],
      outputClaimToHeaders: [],
      forwardOriginalToken: false,
      spaceDelimitedClaims: [],
    },
  ],
};

const { snapshot: empty } = placeFor({
  providers: [provider],
  authentication: [authentication],
  authorization: [
    {
      kind: 'authorization',
      name: 'shop/deny',
      origin,
      action: 'deny',
      dryRun: false,
      rules: [
        {
          from: [
            [
              {
                attribute: { kind: 'source-ip' },
                values: [{ kind: 'cidr', cidr: parseCidr('10.0.0.0/8') }],
                notValues: [],
              },
            ],
          ],
          to: [],
          when: [],
        },
      ],
    },
  ],
});
const rule = { name: 'default', origin, matches: [], action: { kind: 'respond', status: 200 } } as const;
const snapshot: ProxySnapshot = {
  ...empty,
  backends: new Map([[backend.name, backend]]),
  secrets: new Map([[secret.name, secret]]),
  routes: new Map([
    [
      'web-80',
      {
        kind: 'routes',
        name: 'web-80',
        hosts: [{ domains: ['*'], rules: [rule] }],
        tls: [],
        tcp: [{ ...rule, destinationSubnets: [], destinations: [] }],
      },
    ],
  ]),
};

describe("the proxy's own ports", () => {
  let admin: ProxyAdmin;
  let quits = 0;
  const readiness = new Readiness(['configuration']);
  const clock = createFakeClock();
  const metrics = new MetricsRegistry({ clock, log: silentLog() });
  metrics.gauge('ambit_up', 'Up', () => 1);

  before(async () => {
    admin = await createProxyAdmin({
      ports: { admin: 0, metrics: 0, readiness: 0 },
      log: silentLog(),
      levels: createLogLevels(openLog({ scope: 'proxy', level: 'debug', write: () => {} }), 'info'),
      version: '1.2.3',
      process: { pod: 'shop/waypoint' },
      startedAtMs: clock.nowMs() - 5000,
      nowMs: () => clock.nowMs(),
      readiness,
      metrics: async () => metrics.snapshot(),
      profiles: async () => [],
      snapshot: () => snapshot,
      status: () => ({
        acceptedAtMs: 1_700_000_000_000,
        refusal: 'routes/x: there is no backend "y"',
        resources: [{ name: 'routes/x', version: 'v', toldAtMs: 1_700_000_000_000, inForce: false }],
      }),
      addresses: () => [{ name: 'connect', port: 15008 }],
      endpoints: async () => [
        {
          name: backend.name,
          hosts: [
            {
              address: '10.244.1.2:8080',
              workload: 'shop/web-1',
              weight: 1,
              priority: 0,
              health: 'ejected',
              activeRequests: 2,
              connections: 3,
              ejections: 1,
            },
          ],
          activeRequests: 2,
          pendingRequests: 0,
          connections: 3,
        },
      ],
      certificates: () => [],
      quit: () => quits++,
    });
  });
  after(() => admin.close());

  async function call(path: string, port: keyof ProxyAdmin['ports'] = 'admin', method = 'GET'): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${admin.ports[port]}${path}`, { method });
    return `${response.status} ${await response.text()}`;
  }

  test('the dump has all of the configuration, and none of its secrets', async () => {
    const text = (await call('/config_dump')).slice('200 '.length);
    for (const word of ['PRIVATE KEY', 'TOKEN', 'SYMMETRIC', 'BEGIN CERTIFICATE', 'PASSWORD', 'APIKEY'])
      assert.ok(!text.includes(word), word);
    const dump = JSON.parse(text) as Record<string, unknown[]> & {
      settings: { gateway: string };
      configuration: unknown;
    };
    assert.equal(dump.settings.gateway, 'shop/waypoint');
    assert.deepEqual(dump['backends'], [backend]);
    assert.deepEqual(dump.configuration, {
      acceptedAt: '2023-11-14T22:13:20.000Z',
      refusal: 'routes/x: there is no backend "y"',
      resources: [{ name: 'routes/x', version: 'v', inForce: false, toldAt: '2023-11-14T22:13:20.000Z' }],
    });
    const [shown] = dump['secrets'] as {
      hasPrivateKey: boolean;
      certificates: { serialNumber: string; subject: string }[];
    }[];
    assert.equal(shown?.hasPrivateKey, true);
    assert.match(shown?.certificates[0]?.serialNumber ?? '', /^\d+$/);
    const [jwt] = dump['authentication'] as { rules: { keys: { keys: unknown }; keySet: string }[] }[];
    assert.deepEqual(jwt?.rules[0]?.keys.keys, [{ kid: 'one', kty: 'oct' }]);
    assert.equal(jwt?.rules[0]?.keySet, 'jwks https://[hidden]@idp.example.com/keys?key=[hidden]');
    assert.match(JSON.stringify(dump['authorization']), /"cidr":"10\.0\.0\.0\/8"/);
    assert.equal(dump['endpoints']?.length, 1);
  });

  test("short pages are in Envoy's words, or JSON", async () => {
    assert.match(await call('/clusters'), /^200 outbound\|80\|\|web\.shop\.svc\.cluster\.local::active_requests::2\n/);
    assert.match(await call('/clusters'), /::10\.244\.1\.2:8080::health_flags::\/failed_outlier_check\n/);
    assert.match(await call('/endpoints?format=json'), /"workload": "shop\/web-1"/);
    assert.equal(await call('/listeners'), '200 connect::[::]:15008 closing\n');
    assert.equal(await call('/routes'), '200 web-80::*::default\nweb-80::tcp::default\n');
    assert.match(await call('/server_info'), /"uptimeSeconds": 5/);
    assert.equal(await call('/stats?filter=ambit'), '200 ambit_up: 1\n');
    assert.match(await call('/stats/prometheus'), /^200 # HELP ambit_up Up\n/);
  });

  test('levels change, and the end is asked for, by POST alone', async () => {
    assert.equal(await call('/logging?level=debug', 'admin', 'POST'), '200 current log level is debug\n');
    assert.match(await call('/quitquitquit'), /^405/);
    assert.match(await call('/quitquitquit', 'admin', 'POST'), /^200/);
    assert.equal(quits, 1);
  });

  test('metrics and readiness have ports of their own', async () => {
    assert.match(await call('/stats/prometheus', 'metrics'), /^200 # HELP ambit_up Up\n/);
    assert.equal(await call('/healthz/ready', 'readiness'), '500 not ready, pending: configuration\n');
    assert.equal(await call('/ready'), '503 PRE_INITIALIZING\n');
    readiness.set('configuration', true);
    assert.equal(await call('/healthz/ready', 'readiness'), '200 ready\n');
    assert.equal(await call('/ready'), '200 LIVE\n');
  });
});
