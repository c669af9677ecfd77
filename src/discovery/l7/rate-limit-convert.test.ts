import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RateLimitPolicy } from '../../api/ambit.ts';
import type { RateLimit } from '../../api/l7/index.ts';
import type { MeshConfig } from '../../api/mesh-config.ts';
import { service, waypoint } from '../fixtures.ts';
import { openProxyWorld, type ProxyWorld } from './fixtures.ts';

type Limit = RateLimitPolicy['spec']['limits'][number];

const web = 'shop/web.shop.svc.cluster.local';
const target = { group: '', kind: 'Service', name: 'web' };

function openShop(): ProxyWorld {
  const world = openProxyWorld();
  world.put(world.sources.gateways, waypoint('wp'));
  world.put(world.sources.services, service('web', {}, { labels: { 'istio.io/use-waypoint': 'wp' } }));
  return world;
}

function policy(limits: Limit[], more: Partial<RateLimitPolicy['spec']> = {}): RateLimitPolicy {
  return {
    metadata: { name: 'limits', namespace: 'shop', generation: 2 },
    spec: { targetRefs: [target], limits, ...more },
  };
}

function derive(...limits: Limit[]): RateLimit {
  const world = openShop();
  world.put(world.sources.rateLimits, policy(limits));
  return world.resource('shop/wp', 'rate-limit', 'shop/limits');
}

const providers: NonNullable<MeshConfig['extensionProviders']> = [
  { name: 'counter', kind: 'envoyRateLimitGrpc', service: 'web.shop.svc.cluster.local', port: 80 },
];

function verdict(world: ProxyWorld): string | undefined {
  const found = world.statuses.rateLimitAttachments.get('Kubernetes/shop/limits')?.verdict;
  return found && `${found.status} ${found.reason}: ${found.message}`;
}

describe('a RateLimit', () => {
  it('binds its targets, and is accepted', () => {
    const world = openShop();
    const gateway = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'wp' };
    const local = { requests: 1, unit: 'Second' } as const;
    world.put(world.sources.rateLimits, policy([{ name: 'a', local }], { targetRefs: [target, gateway] }));
    assert.deepEqual(world.resource('shop/wp', 'service', web).policies.rateLimits, ['shop/limits']);
    assert.deepEqual(world.resource('shop/wp', 'listener', 'mesh').policies.rateLimits, ['shop/limits']);
    assert.equal(verdict(world), 'True Accepted: bound to Service:shop/web, Gateway.gateway.networking.k8s.io:shop/wp');
  });

  it('counts by each proxy in an interval, with a burst', () => {
    const { limits } = derive(
      { name: 'a', local: { requests: 10, unit: 'Minute' } },
      { name: 'b', local: { requests: 10, interval: '1m30s', burst: 50 }, statusCode: 503, dryRun: true },
    );
    assert.deepEqual(
      limits.map(({ enforcement, status, dryRun }) => [enforcement, status, dryRun]),
      [
        [{ kind: 'local', burst: 10, tokens: 10, intervalMs: 60_000 }, 429, false],
        [{ kind: 'local', burst: 50, tokens: 10, intervalMs: 90_000 }, 503, true],
      ],
    );
  });

  it('demands of requests what it says, and no path where it says none', () => {
    const [limit] = derive({
      name: 'a',
      local: { requests: 1, unit: 'Second' },
      matches: [
        { method: 'POST', path: { type: 'PathPrefix', value: '/api' }, headers: [{ name: 'X-Plan', value: 'free' }] },
        {
          claims: [{ path: ['role'], type: 'RegularExpression', value: 'a.*' }],
          queryParams: [{ name: 'q', value: '1' }],
        },
      ],
    }).limits;
    assert.deepEqual(limit?.matches, [
      {
        path: { kind: 'path-prefix', value: '/api' },
        method: { kind: 'exact', value: 'POST' },
        headers: [{ name: 'x-plan', match: { kind: 'exact', value: 'free' }, invert: false }],
      },
      {
        query: [{ name: 'q', match: { kind: 'exact', value: '1' }, invert: false }],
        claims: [{ path: ['role'], match: { kind: 'regex', value: 'a.*' }, invert: false }],
      },
    ]);
  });

  it('tells requests apart, under the keys of descriptors', () => {
    const [limit] = derive({
      name: 'a',
      local: { requests: 1, unit: 'Second' },
      by: [
        { type: 'Header', name: 'X-User' },
        { type: 'Header', name: 'X-User', key: 'user' },
        { type: 'QueryParam', name: 'q' },
        { type: 'Claim', path: ['realm', 'role'] },
        { type: 'RemoteIP' },
        { type: 'SourcePrincipal' },
        { type: 'Value', key: 'kind', value: 'api' },
      ],
    }).limits;
    assert.deepEqual(limit?.by, [
      { kind: 'header', name: 'x-user', key: 'x-user' },
      { kind: 'header', name: 'x-user', key: 'user' },
      { kind: 'query', name: 'q', key: 'q' },
      { kind: 'claim', path: ['realm', 'role'], key: 'realm.role' },
      { kind: 'remote-ip', key: 'remote_address' },
      { kind: 'source-principal', key: 'source_principal' },
      { kind: 'value', key: 'kind', value: 'api' },
    ]);
  });

  it('asks a service of the mesh configuration', () => {
    const world = openShop();
    world.configureMesh({ extensionProviders: providers });
    const global = { provider: 'counter', domain: 'shop', timeout: '50ms', failureMode: 'FailClosed' } as const;
    world.put(world.sources.rateLimits, policy([{ name: 'a', global }]));
    assert.deepEqual(world.resource('shop/wp', 'rate-limit', 'shop/limits').limits[0]?.enforcement, {
      kind: 'global',
      provider: 'counter',
      domain: 'shop',
      timeoutMs: 50,
      failOpen: false,
    });
    const name = 'outbound|80||web.shop.svc.cluster.local';
    assert.deepEqual(world.resource('shop/wp', 'provider', 'counter'), {
      kind: 'provider',
      name: 'counter',
      use: { kind: 'rate-limit' },
      backend: name,
    });
    assert.equal(world.resource('shop/wp', 'backend', name).port, 80);
    assert.match(verdict(world) ?? '', /^True/);
  });

  it('that asks a service that is not configured tells proxies of one that nobody reaches', () => {
    const world = openShop();
    world.put(world.sources.rateLimits, policy([{ name: 'a', global: { provider: 'gone', domain: 'shop' } }]));
    assert.deepEqual(world.resource('shop/wp', 'provider', 'gone'), {
      kind: 'provider',
      name: 'gone',
      use: { kind: 'rate-limit' },
    });
    assert.match(
      verdict(world) ?? '',
      /^False Invalid: limits\[a\]: .* no rate limit service "gone": it limits nothing/,
    );
  });

  it('leaves a limit out that no proxy could run', () => {
    const world = openShop();
    const local = { requests: 1, unit: 'Second' } as const;
    const matches = [{ path: { type: 'RegularExpression', value: '(' } as const }];
    world.put(
      world.sources.rateLimits,
      policy([
        { name: 'a', local, matches },
        { name: 'b', local },
      ]),
    );
    assert.deepEqual(
      world.resource('shop/wp', 'rate-limit', 'shop/limits').limits.map(({ name }) => name),
      ['b'],
    );
    assert.match(verdict(world) ?? '', /^False Invalid: limits\[a\] is left out: .*RE2/);
  });
});
