import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { service } from '../fixtures.ts';
import { edgeGateway, httpRoute, openGatewayWorld, toGateway } from './gateway-api-fixtures.ts';

describe('the Gateway API', () => {
  it('binds an HTTPRoute to a Service for all clients', () => {
    const world = openGatewayWorld();
    world.put(world.sources.services, service('web'));
    world.put(world.sources.httpRoutes, httpRoute('r'));
    assert.deepEqual(world.bound('r'), [
      {
        parent: { kind: 'service', service: 'shop/web.shop.svc.cluster.local' },
        hostnames: ['*'],
        http: [
          {
            name: 'shop.r.0',
            origin: { kind: 'HTTPRoute', namespace: 'shop', name: 'r', generation: 3, path: 'spec.rules[0]' },
            matches: [{ path: { kind: 'path-prefix', value: '/' } }],
            action: {
              kind: 'forward',
              destinations: [
                { weight: 1, target: { kind: 'backend', backend: 'outbound|80||web.shop.svc.cluster.local' } },
              ],
            },
          },
        ],
        tls: [],
        tcp: [],
        api: 'gateway',
        route: { kind: 'HTTPRoute', namespace: 'shop', name: 'r' },
        createdAt: '2026-01-01T00:00:00Z',
        backends: [{ service: 'shop/web.shop.svc.cluster.local', hostname: 'web.shop.svc.cluster.local', port: 80 }],
      },
    ]);
  });

  it('opens a port of a Gateway and binds routes to its listener', () => {
    const world = openGatewayWorld();
    world.put(world.sources.services, service('web'));
    world.put(world.sources.gateways, edgeGateway([{ name: 'http', port: 80, protocol: 'HTTP' }]));
    world.put(world.sources.httpRoutes, httpRoute('r', { parents: [toGateway], hostnames: ['shop.example.com'] }));
    const policies = { authorization: [], authentication: [], rateLimits: [], telemetry: [], extensions: [] };
    const origin = { kind: 'Gateway', namespace: 'shop', name: 'edge', generation: 1 };
    assert.deepEqual(world.edge('edge'), [
      {
        kind: 'listener',
        type: 'edge',
        name: 'edge/80',
        port: 80,
        policies,
        servers: [
          {
            name: 'http',
            protocol: 'http',
            hostname: '*',
            routes: 'edge/80/http',
            policies,
            origin: { ...origin, path: 'spec.listeners[0]' },
          },
        ],
        origin,
      },
    ]);
    const [bound] = world.bound('r');
    assert.deepEqual(bound?.parent, { kind: 'listener', gateway: 'shop/edge', listener: 'http' });
    assert.deepEqual(bound?.hostnames, ['shop.example.com']);
    assert.equal(world.listener('edge', 'http')?.attachedRoutes, 1);
  });
});
