import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ExtensionProvider } from '../../api/extension-provider.ts';
import type { Provider } from '../../api/l7/index.ts';
import { service, waypoint } from '../fixtures.ts';
import { openProxyWorld, type ProxyWorld } from './fixtures.ts';

const at = { service: 'auth.shop.svc.cluster.local', port: 9000 };
const backend = 'outbound|9000||auth.shop.svc.cluster.local';

function openShop(...extensionProviders: ExtensionProvider[]): ProxyWorld {
  const world = openProxyWorld();
  world.put(world.sources.gateways, waypoint('wp'));
  world.put(world.sources.services, service('auth', { ports: [{ name: 'grpc', port: 9000 }] }));
  world.configureMesh({ extensionProviders });
  return world;
}

const told = (provider: ExtensionProvider): Provider =>
  openShop(provider).resource('shop/wp', 'provider', provider.name);

describe('the providers of proxies', () => {
  it('are those of the mesh configuration, with the backends that they need', () => {
    const world = openShop({ name: 'ask', kind: 'envoyExtAuthzGrpc', ...at, failOpen: false });
    assert.equal(world.resource('shop/wp', 'provider', 'ask').backend, backend);
    assert.equal(world.resource('shop/wp', 'backend', backend).service, 'shop/auth.shop.svc.cluster.local');
    world.configureMesh({ extensionProviders: [] });
    assert.deepEqual(
      world.names('shop/wp').filter((name) => /^(provider|backend)/.test(name)),
      [],
    );
  });

  it('have no backend where their service or its port is not there, until it comes', () => {
    const world = openShop(
      { name: 'a', kind: 'envoyExtAuthzGrpc', service: 'gone.shop.svc.cluster.local', port: 9000, failOpen: false },
      { name: 'b', kind: 'envoyExtAuthzGrpc', service: at.service, port: 1, failOpen: false },
      {
        name: 'c',
        kind: 'envoyExtAuthzGrpc',
        service: 'other/auth.shop.svc.cluster.local',
        port: 9000,
        failOpen: false,
      },
      {
        name: 'd',
        kind: 'envoyExtAuthzGrpc',
        service: 'shop/auth.shop.svc.cluster.local',
        port: 9000,
        failOpen: false,
      },
    );
    const backendOf = (name: string): string | undefined => world.resource('shop/wp', 'provider', name).backend;
    assert.deepEqual(['a', 'b', 'c', 'd'].map(backendOf), [undefined, undefined, undefined, backend]);
    world.put(
      world.sources.services,
      service('gone', { clusterIP: '10.96.0.77', ports: [{ name: 'grpc', port: 9000 }] }),
    );
    assert.equal(backendOf('a'), 'outbound|9000||gone.shop.svc.cluster.local');
  });

  it('keep what they are asked with, and the defaults of Istio', () => {
    assert.deepEqual(told({ name: 'g', kind: 'envoyExtAuthzGrpc', ...at, failOpen: true }).use, {
      kind: 'ext-authz-grpc',
      timeoutMs: 600_000,
      failOpen: true,
      statusOnError: 403,
      pathPrefix: '',
      includeHeaders: [],
      addHeaders: [],
      headersToUpstreamOnAllow: [],
      headersToDownstreamOnDeny: [],
      headersToDownstreamOnAllow: [],
    });
    const http = told({
      name: 'h',
      kind: 'envoyExtAuthzHttp',
      ...at,
      failOpen: false,
      timeoutMs: 250,
      statusOnError: 503,
      body: { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: false },
      pathPrefix: '/check',
      includeRequestHeadersInCheck: ['x-*'],
      includeAdditionalHeadersInCheck: { 'x-a': '1' },
      headersToUpstreamOnAllow: ['x-user'],
      headersToDownstreamOnDeny: ['x-why'],
      headersToDownstreamOnAllow: ['x-set'],
    });
    assert.deepEqual(http.use, {
      kind: 'ext-authz-http',
      timeoutMs: 250,
      failOpen: false,
      statusOnError: 503,
      body: { maxBytes: 10, allowPartial: true, packAsBytes: false },
      pathPrefix: '/check',
      includeHeaders: ['x-*'],
      addHeaders: [['x-a', '1']],
      headersToUpstreamOnAllow: ['x-user'],
      headersToDownstreamOnDeny: ['x-why'],
      headersToDownstreamOnAllow: ['x-set'],
    });
    assert.deepEqual(told({ name: 'o', kind: 'opentelemetry', ...at }).use, {
      kind: 'opentelemetry',
      protocol: 'grpc',
      path: '',
      timeoutMs: 10_000,
      headers: [],
    });
    assert.deepEqual(told({ name: 'z', kind: 'zipkin', ...at, path: '/spans' }).use, {
      kind: 'zipkin',
      path: '/spans',
    });
    assert.deepEqual(told({ name: 'f', kind: 'envoyFileAccessLog', path: '/dev/stdout' }), {
      kind: 'provider',
      name: 'f',
      use: { kind: 'access-log-file', path: '/dev/stdout', format: { kind: 'text', template: '' } },
    });
  });

  it('do not include those that no proxy of ours can call', () => {
    const world = openShop({ name: 's', kind: 'unsupported', type: 'skywalking' }, { name: 'p', kind: 'prometheus' });
    assert.ok(!world.names('shop/wp').some((name) => name.startsWith('provider/')));
  });
});
