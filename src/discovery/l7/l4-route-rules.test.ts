import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TCPRoute, TLSRoute } from '../../api/gateway.ts';
import { service } from '../fixtures.ts';
import { edgeGateway, openGatewayWorld, toGateway, toWeb, webBackend } from './gateway-api-fixtures.ts';

const metadata = { name: 'r', namespace: 'shop', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' };
const web = { kind: 'backend', backend: 'outbound|80||web.shop.svc.cluster.local' };

function tls(parent: object, hostnames: string[], ...backendRefs: TLSRoute['spec']['rules'][number]['backendRefs']) {
  const route: TLSRoute = {
    metadata,
    spec: { parentRefs: [parent as typeof toWeb], hostnames, rules: [{ backendRefs }] },
  };
  return route;
}

function tcp(parent: object, ...backendRefs: TCPRoute['spec']['rules'][number]['backendRefs']): TCPRoute {
  return { metadata, spec: { parentRefs: [parent as typeof toWeb], rules: [{ backendRefs }] } };
}

describe('TLSRoute and TCPRoute', () => {
  it('send connections to backends by weight', () => {
    const world = openGatewayWorld();
    world.put(world.sources.services, service('web'));
    const gone = { name: 'gone', port: 80 };
    world.put(world.sources.tcpRoutes, tcp(toWeb, { ...webBackend, weight: 3 }, gone, { ...webBackend, weight: 0 }));
    assert.deepEqual(world.bound('r')[0]?.tcp, [
      {
        name: 'shop.r.0',
        origin: { kind: 'TCPRoute', namespace: 'shop', name: 'r', generation: 1, path: 'spec.rules[0]' },
        destinationSubnets: [],
        destinations: [
          { weight: 3, target: web },
          { weight: 1, target: { kind: 'invalid', status: 500, reason: 'Service shop/gone does not exist' } },
        ],
      },
    ]);
    assert.ok(world.faults('TCPRoute', 'r').includes('ResolvedRefs=BackendNotFound'));
  });

  it('at a Service go by the server names of the route', () => {
    const world = openGatewayWorld();
    world.put(world.sources.services, service('web'));
    world.put(world.sources.tlsRoutes, tls(toWeb, ['A.example.com', '*.b.example.com'], webBackend));
    const [bound] = world.bound('r');
    assert.deepEqual(bound?.tls[0]?.sniHosts, ['a.example.com', '*.b.example.com']);
    assert.deepEqual(bound.tls[0].destinations, [{ weight: 1, target: web }]);
  });

  it('at a listener go by the server names that both have', () => {
    const world = openGatewayWorld();
    world.put(world.sources.services, service('web'));
    const listener = { name: 'tls', port: 443, protocol: 'TLS', hostname: '*.example.com' };
    world.put(world.sources.gateways, edgeGateway([{ ...listener, tls: { mode: 'Passthrough' } }]));
    world.put(world.sources.tlsRoutes, tls(toGateway, ['a.example.com', 'b.example.org'], webBackend));
    const [bound] = world.bound('r');
    assert.deepEqual(bound?.tls[0]?.sniHosts, ['a.example.com']);
    assert.deepEqual(bound.parent, { kind: 'listener', gateway: 'shop/edge', listener: 'tls' });
    world.put(world.sources.tlsRoutes, tls(toGateway, ['b.example.org'], webBackend));
    assert.deepEqual(world.faults('TLSRoute', 'r'), ['Accepted=NoMatchingListenerHostname']);
    assert.deepEqual(world.bound('r'), []);
  });

  it('attach to listeners that serve their kind', () => {
    const world = openGatewayWorld();
    world.put(world.sources.services, service('web'));
    world.put(world.sources.tcpRoutes, tcp(toGateway, webBackend));
    const accepts = (listener: { protocol: string; tls?: { mode: 'Passthrough' } }): boolean => {
      world.put(world.sources.gateways, edgeGateway([{ name: 'l', port: 9000, ...listener }]));
      return world.faults('TCPRoute', 'r').length === 0;
    };
    assert.ok(accepts({ protocol: 'TCP' }));
    assert.ok(!accepts({ protocol: 'HTTP' }));
    assert.ok(!accepts({ protocol: 'TLS', tls: { mode: 'Passthrough' } }));
    assert.deepEqual(world.faults('TCPRoute', 'r'), ['Accepted=NotAllowedByListeners']);
  });
});
