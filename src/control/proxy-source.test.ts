import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ProxyResource } from '../api/l7/index.ts';
import type { ServiceKey } from '../api/names.ts';
import { createGraph } from '../collection/index.ts';
import type { ProxyResourceOf } from '../discovery/l7/contracts.ts';
import { createFakeClock } from '../lib/fake-clock.ts';
import { silentLog } from '../lib/log.ts';
import { createProxySources } from './proxy-source.ts';

const secret = (name: string, privateKey: string): ProxyResource => ({ kind: 'secret', name, privateKey });

describe('resources of L7 proxies', () => {
  const open = (encode: (resource: ProxyResource) => Uint8Array = (one) => Buffer.from(JSON.stringify(one))) => {
    const graph = createGraph();
    const collection = graph.source<ProxyResourceOf>('proxy resources');
    const clock = createFakeClock(0);
    const sources = createProxySources({ collection, encode, clock, log: silentLog() });
    return {
      names: (gateway: string): string[] => [...sources.of(gateway).snapshot().keys()],
      versions: (gateway: string): string[] => [...sources.of(gateway).snapshot().values()].map((one) => one.version),
      sources,
      clock,
      change(...changes: [gateway: string, name: string, resource: ProxyResource | undefined][]): void {
        for (const [gateway, name, resource] of changes) {
          const key = `${gateway}|${name.includes('svc') ? 'service' : 'secret'}/${name}`;
          if (resource) collection.set(key, { gateway, resource });
          else collection.delete(key);
        }
        graph.flush();
        sources.publish();
      },
    };
  };

  it('are told to their own Gateway alone, also when they come and go', () => {
    const world = open();
    const heard: string[] = [];
    world.sources.of('shop/wp').subscribe((names) => heard.push(...(names ?? [])));
    world.change(['shop/wp', 'shop/a', secret('shop/a', '1')], ['edge/gw', 'edge/b', secret('edge/b', '2')]);
    assert.deepEqual(world.names('shop/wp'), ['secret/shop/a']);
    assert.deepEqual(world.names('edge/gw'), ['secret/edge/b']);
    assert.deepEqual(world.names('nobody/here'), []);
    world.change(['shop/wp', 'shop/a', undefined]);
    assert.deepEqual(world.names('shop/wp'), []);
    assert.deepEqual(world.names('edge/gw'), ['secret/edge/b']);
    assert.deepEqual(heard, ['secret/shop/a', 'secret/shop/a']);
  });

  it('are encoded once, whoever gets them', () => {
    let count = 0;
    const world = open((one) => (count++, Buffer.from(one.name)));
    const shared = secret('shop/a', '1');
    world.change(['shop/wp', 'shop/a', shared], ['shop/two', 'shop/a', shared]);
    assert.equal(count, 1);
    assert.deepEqual(world.names('shop/two'), ['secret/shop/a']);
  });

  it('linger for a minute with a Service that leaves, which is said of it', () => {
    const world = open();
    const service: ProxyResource = {
      kind: 'service',
      name: 'shop/web.shop.svc' as ServiceKey,
      namespace: 'shop',
      hostname: 'web.shop.svc',
      ports: [],
      policies: { authorization: [], authentication: [], rateLimits: [], telemetry: [], extensions: [] },
      origin: { kind: 'Service', namespace: 'shop', name: 'web', generation: 0 },
    };
    const put = (resource: ProxyResource | undefined, ...more: string[]): void =>
      world.change(
        ['shop/wp', service.name, resource],
        ...more.map((name): [string, string, ProxyResource | undefined] => [
          'shop/wp',
          name,
          resource && secret(name, '1'),
        ]),
      );
    const told = (): string[] =>
      [...world.sources.of('shop/wp').snapshot()].map(([name, { body }]) =>
        Buffer.from(body).includes('"leaving":true') ? `${name} leaving` : name,
      );
    put(service, 'shop/a', 'shop/b');
    put(undefined, 'shop/a');
    assert.deepEqual(told(), ['service/shop/web.shop.svc leaving', 'secret/shop/a', 'secret/shop/b']);
    world.clock.advance(59_000);
    assert.equal(told().length, 3);
    world.clock.advance(1000);
    assert.deepEqual(told(), ['secret/shop/b']);
    // Who comes back in time stays.
    put(service, 'shop/a');
    put(undefined, 'shop/a');
    world.clock.advance(30_000);
    put(service);
    world.clock.advance(60_000);
    assert.deepEqual(told(), ['secret/shop/b', 'service/shop/web.shop.svc']);
  });

  it('stay as they were when a new one cannot be encoded', () => {
    const world = open((one) => {
      if (one.kind === 'secret' && one.privateKey === 'bad') throw new Error('cannot');
      return Buffer.from(JSON.stringify(one));
    });
    world.change(['shop/wp', 'shop/a', secret('shop/a', 'good')]);
    const before = world.versions('shop/wp');
    world.change(['shop/wp', 'shop/a', secret('shop/a', 'bad')]);
    assert.deepEqual(world.versions('shop/wp'), before);
  });
});
