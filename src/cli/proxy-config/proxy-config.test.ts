import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runCli } from '../index.ts';
import { createTestContext } from '../test-context.ts';

const folder = mkdtempSync(join(tmpdir(), 'ambit-pc-'));
after(() => rmSync(folder, { recursive: true }));

const hour = 3600_000;
const times = {
  serialNumber: '255',
  validFrom: new Date(Date.now() - hour).toISOString(),
  expirationTime: new Date(Date.now() + hour).toISOString(),
};
const hostname = 'reviews.shop.svc.cluster.local';
const table = `inbound-vip|80|http|${hostname}`;
const backend = `inbound-vip|80|http|${hostname}`;
const origin = { kind: 'HTTPRoute', namespace: 'shop', name: 'reviews', generation: 1, path: 'spec.rules[0]' };
const to = (name: string): object => ({ target: { kind: 'backend', backend: name } });

const dump = {
  configuration: { resources: [] },
  listeners: [{ name: 'mesh', port: 15008, type: 'waypoint', policies: { authorization: ['shop/deny'] } }],
  services: [
    {
      name: `shop/${hostname}`,
      hostname,
      ports: [
        { port: 80, protocol: 'http', routes: table },
        { port: 9000, protocol: 'tcp', routes: 'other' },
      ],
      policies: { authorization: ['shop/deny', 'shop/allow'], telemetry: ['shop/t'] },
    },
  ],
  routes: [
    {
      name: table,
      hosts: [
        {
          domains: ['*'],
          rules: [
            {
              name: 'shop.reviews.0',
              origin,
              matches: [
                {
                  path: { kind: 'path-prefix', value: '/v2' },
                  headers: [{ name: 'x-user', match: { kind: 'exact', value: 'ann' }, invert: true }],
                },
                { method: { kind: 'exact', value: 'GET' } },
              ],
              action: {
                kind: 'forward',
                destinations: [
                  { weight: 90, ...to(backend) },
                  { weight: 10, ...to('v2') },
                ],
              },
            },
            { name: 'rest', matches: [], action: { kind: 'redirect', status: 301 } },
          ],
        },
      ],
      tls: [],
      tcp: [{ name: 'tcp', destinations: [{ weight: 1, target: { kind: 'invalid', reason: 'no such Service' } }] }],
    },
  ],
  backends: [{ name: backend, hostname, port: 80, protocol: 'auto', loadBalancer: { kind: 'least-request' } }],
  endpoints: [
    {
      name: backend,
      hosts: [
        {
          address: '10.0.0.1:9080',
          workload: 'Kubernetes//Pod/shop/reviews-1',
          health: 'healthy',
          weight: 1,
          priority: 0,
          activeRequests: 2,
          connections: 1,
        },
        {
          address: '10.0.0.2:9080',
          workload: 'c/networking.istio.io/ServiceEntry/shop/vms/10.0.0.2/8',
          health: 'healthy',
        },
        { address: '10.0.0.3:15008', workload: 'NetworkGateway/far/gw/15008', health: 'healthy' },
      ],
    },
  ],
  authorization: [
    { kind: 'authorization', name: 'shop/deny', action: 'deny', dryRun: false, rules: [{}] },
    { kind: 'authorization', name: 'shop/allow', action: 'allow', dryRun: true, rules: [] },
  ],
  telemetry: [{ kind: 'telemetry', name: 'shop/t', metrics: [] }],
  secrets: [{ name: 'shop/cert', certificates: [times, times], caCertificates: 'it cannot be read' }],
  certificates: [
    { identity: 'spiffe://cluster.local/ns/shop/sa/wp', state: 'Available', certChain: [times], rootCerts: [times] },
  ],
};

function file(name: string, content: object): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}
const whole = file('dump.json', dump);

async function run(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const context = createTestContext();
  const code = await runCli(['proxy-config', ...args], context);
  return { code, out: context.stdout(), err: context.stderr() };
}

/** Cells of each line, without the header. */
async function rows(...args: readonly string[]): Promise<string[][]> {
  const { out, code, err } = await run(...args, '--file', whole);
  assert.equal(code, 0, err);
  return out
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/ {2,}/));
}

test('listeners are places where requests come in', async () => {
  assert.deepEqual(await rows('listeners'), [
    ['mesh', '15008', `${hostname}:80`, 'http', table, '3'],
    ['mesh', '15008', `${hostname}:9000`, 'tcp', 'other', '3'],
  ]);
  assert.equal((await rows('l', '--port', '80')).length, 1);
  assert.equal((await rows('l', '--port', '15008')).length, 2);
  assert.equal((await rows('l', '--fqdn', 'nobody')).length, 0);
});

test('routes say what they match, what they do, and where they come from', async () => {
  assert.deepEqual(await rows('routes'), [
    [
      table,
      '*',
      'shop.reviews.0',
      '/v2*, !x-user = ann or method = GET',
      `90 ${backend}, 10 v2`,
      'HTTPRoute shop/reviews spec.rules[0]',
    ],
    [table, '*', 'rest', '*', 'redirect 301', '-'],
    [table, '-', 'tcp', '*', 'nowhere (no such Service)', '-'],
  ]);
  assert.equal((await rows('route', '--name', 'rest')).length, 1);
  assert.equal((await rows('route', '--fqdn', hostname)).length, 3);
});

test('backends and their endpoints', async () => {
  assert.deepEqual(await rows('clusters'), [[hostname, '80', '-', 'auto', 'least-request', '-', '-']]);
  assert.deepEqual(await rows('ep', '--fqdn', hostname), [
    ['10.0.0.1:9080', 'shop/reviews-1', 'healthy', '1', '0', '2', '1', backend],
    ['10.0.0.2:9080', 'shop/vms', 'healthy', '-', '-', '-', '-', backend],
    ['10.0.0.3:15008', 'NetworkGateway/far/gw/15008', 'healthy', '-', '-', '-', '-', backend],
  ]);
  const { out } = await run('endpoints', '--file', whole, '-o', 'json');
  assert.match(out, /"Kubernetes\/\/Pod\/shop\/reviews-1"/, 'which one it is, for programs');
});

test('policies say where they hold', async () => {
  assert.deepEqual(await rows('policies'), [
    ['authorization', 'shop/deny', 'deny', '1', 'false', `listener mesh,${hostname}`],
    ['authorization', 'shop/allow', 'allow', '0', 'true', hostname],
    ['telemetry', 'shop/t', '-', '0', '-', hostname],
  ]);
});

test("secrets are the proxy's own and those it was given", async () => {
  assert.deepEqual(
    (await rows('secret')).map((row) => row.slice(0, 5)),
    [
      ['default', 'Cert Chain', 'AVAILABLE', 'true', 'ff'],
      ['ROOTCA', 'CA', 'AVAILABLE', 'true', 'ff'],
      ['shop/cert', 'Cert Chain', 'ACTIVE', 'true', 'ff'],
      ['shop/cert', 'CA', 'UNREADABLE', 'false', '-'],
    ],
  );
});

test('all of it, as tables or as it is', async () => {
  const { out } = await run('all', '--file', whole);
  for (const title of ['LISTENERS', 'ROUTES', 'BACKENDS', 'ENDPOINTS', 'POLICIES', 'SECRETS']) {
    assert.match(out, new RegExp(`^${title}$`, 'm'));
  }
  const json = await run('all', '--file', whole, '-o', 'json');
  assert.deepEqual(JSON.parse(json.out), [JSON.parse(JSON.stringify(dump))]);
  const yaml = await run('backends', '--file', whole, '-o', 'yaml');
  assert.match(yaml.out, /^- name: inbound-vip\|80/);
});

test('a proxy that refuses what it was told says so', async () => {
  const refused = file('refused.json', { ...dump, configuration: { refusal: 'routes/x: there is no backend "y"' } });
  const { err } = await run('backends', '--file', refused);
  assert.equal(
    err,
    'ambit: the proxy refuses what it was told last, and goes on with what it had: routes/x: there is no backend "y"\n',
  );
});

test('what makes no sense is refused with what does', async () => {
  const usage = async (...args: readonly string[]): Promise<string> => {
    const { code, err } = await run(...args);
    assert.equal(code, 2, err);
    return err;
  };
  assert.match(await usage('nonsense'), /write one of all, backends, endpoints, listeners, log/);
  assert.match(await usage('routes'), /write ambit proxy-config routes POD/);
  assert.match(await usage('routes', 'a', '--level', 'debug'), /write ambit proxy-config log/);
  assert.match(await usage('log', '--file', whole), /Cannot use --file/);
  const { code, err } = await run('routes', '--file', file('other.json', { workloads: [] }));
  assert.equal(code, 1);
  assert.match(err, /it is no dump/);
});
