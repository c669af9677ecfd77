import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import type { EndpointSlice, Service } from '../../api/index.ts';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { nodeScope } from './service-endpoints.ts';
import { ServiceProxy } from './service-proxy.ts';

const service = (name: string, more: Service['spec'] = {}): Service => ({
  metadata: { name, namespace: 'shop' },
  spec: { clusterIP: `10.96.1.${name.length}`, ports: [{ port: 80, protocol: 'UDP' }], ...more },
});
const slice = (ip: string): EndpointSlice => ({
  metadata: {},
  addressType: 'IPv4',
  endpoints: [{ addresses: [ip] }],
  ports: [{ name: '', port: 8080, protocol: 'UDP' }],
});

interface Bench {
  readonly services: Map<string, Service>;
  readonly slices: Map<string, EndpointSlice[]>;
  readonly scripts: string[];
  readonly forgotten: string[];
  readonly proxy: ServiceProxy;
  fails: boolean;
  readonly settle: (ms?: number) => Promise<void>;
}

function bench(): Bench {
  const clock = createFakeClock();
  const services = new Map<string, Service>();
  const slices = new Map<string, EndpointSlice[]>();
  const scripts: string[] = [];
  const forgotten: string[] = [];
  const proxy = new ServiceProxy({
    scope: nodeScope(1, ['IPv4']),
    services,
    slicesOf: (key) => slices.get(key) ?? [],
    clock,
    log: silentLog(),
    apply: async (script) => {
      if (self.fails) throw new Error('no nft');
      scripts.push(script);
    },
    forgetFlows: (targets) => forgotten.push(...targets),
  });
  const self: Bench = {
    services,
    slices,
    scripts,
    forgotten,
    proxy,
    fails: false,
    async settle(ms = 20) {
      clock.advance(ms);
      for (let i = 0; i < 10; i++) await Promise.resolve();
    },
  };
  return self;
}

test('one changed Service among many is one small transaction', async () => {
  const { services, slices, scripts, proxy, settle } = bench();
  for (let i = 0; i < 1000; i++) {
    const { spec } = service('x', { clusterIP: `10.96.${i >> 8}.${i & 255}` });
    services.set(`shop/s${i}`, { metadata: { name: `s${i}`, namespace: 'shop' }, ...(spec && { spec }) });
    slices.set(`shop/s${i}`, [slice('10.244.1.2')]);
  }
  proxy.changed('shop/s1');
  await settle();
  equal(scripts.length, 0, 'nothing before all is known');
  proxy.start();
  await settle();
  equal(scripts[0]?.match(/add element/g)?.length, 1000);
  slices.set('shop/s7', [slice('10.244.2.2')]);
  proxy.changed('shop/s7');
  await settle();
  equal(scripts.length, 2);
  ok((scripts[1] ?? '').length < 400, scripts[1] ?? '');
  proxy.changed('shop/s8');
  await settle();
  equal(scripts.length, 2, 'what did not change is not loaded');
});

test('after a failure the next transaction replaces all', async () => {
  const self = bench();
  const { services, slices, scripts, proxy, settle } = self;
  services.set('shop/a', service('a')).set('shop/bb', service('bb'));
  for (const key of services.keys()) slices.set(key, [slice('10.244.1.2')]);
  proxy.start();
  await settle();
  self.fails = true;
  services.delete('shop/a');
  proxy.changed('shop/a');
  await settle();
  self.fails = false;
  await settle(20_000);
  equal(scripts.length, 2);
  match(scripts[1] ?? '', /delete table inet ambit-services/);
  equal(scripts[1]?.match(/add element/g)?.length, 1);
});

test('of two Services with one external address the first has it, and the other gets it afterwards', async () => {
  const { services, slices, scripts, proxy, settle } = bench();
  for (const name of ['a', 'bb']) {
    services.set(`shop/${name}`, service(name, { clusterIP: 'None', externalIPs: ['192.0.2.1'] }));
    slices.set(`shop/${name}`, [slice(`10.244.1.${name.length + 1}`)]);
  }
  proxy.start();
  await settle();
  equal(scripts[0]?.match(/add element .* 192\.0\.2\.1 /g)?.length, 1);
  services.delete('shop/a');
  proxy.changed('shop/a');
  await settle();
  match(scripts[1] ?? '', /delete element [^\n]* 192\.0\.2\.1 [^]*add element [^\n]* 192\.0\.2\.1 /);
});

test('UDP flows to endpoints that are gone are forgotten', async () => {
  const { services, slices, forgotten, proxy, settle } = bench();
  services.set('shop/a', service('a'));
  slices.set('shop/a', [slice('10.244.1.2'), slice('10.244.1.3')]);
  proxy.start();
  await settle();
  slices.set('shop/a', [slice('10.244.1.3')]);
  proxy.changed('shop/a');
  await settle();
  deepEqual(forgotten, ['10.244.1.2 8080']);
});
