import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Gateway } from '../../api/gateway.ts';
import { namespace, service, waypoint } from '../fixtures.ts';
import { destinationRule, openProxyWorld, type ProxyWorld } from './fixtures.ts';

const eastWest = (listeners: Gateway['spec']['listeners']): Gateway => ({
  metadata: { name: 'ew', namespace: 'infra', generation: 1 },
  spec: { gatewayClassName: 'istio-east-west', listeners },
});
const hbone = { name: 'mesh', port: 15008, protocol: 'HBONE' } as const;
const shared = { labels: { 'istio.io/global': 'true' } };
const web = 'web.shop.svc.cluster.local';

function openShared(): ProxyWorld {
  const world = openProxyWorld();
  world.put(world.sources.namespaces, namespace('shop', { team: 'a' }), namespace('infra'));
  world.put(world.sources.gateways, eastWest([hbone]));
  world.put(world.sources.services, service('web', {}, shared), service('own'));
  return world;
}

describe('a gateway between networks', () => {
  it('is told of Services that are shared with other networks, and where their tunnels end', () => {
    const world = openShared();
    assert.deepEqual(world.names('infra/ew'), [
      `backend/east-west|80||${web}`,
      'listener/east-west',
      `routes/east-west|80||${web}`,
      `service/shop/${web}`,
      'settings/default',
    ]);
    const { type, port } = world.resource('infra/ew', 'listener', 'east-west');
    assert.deepEqual([type, port], ['east-west', 15008]);
    const backend = world.resource('infra/ew', 'backend', `east-west|80||${web}`);
    assert.deepEqual(
      [
        backend.tunnelPort,
        backend.protocol,
        backend.throughWaypoint,
        backend.tls,
        backend.connectionPool.connectTimeoutMs,
      ],
      [15008, 'tcp', false, undefined, 2_500],
    );
  });

  it('carries to the waypoint of a Service, past which only waypoints go', () => {
    const world = openShared();
    world.put(world.sources.gateways, waypoint('wp'));
    const labels = { ...shared.labels, 'istio.io/use-waypoint': 'wp' };
    world.put(world.sources.services, service('web', {}, { labels }));
    assert.deepEqual(world.resource('infra/ew', 'service', `shop/${web}`).ports, [
      {
        port: 80,
        protocol: 'tcp',
        routes: `east-west|80|waypoint|${web}`,
        routesPastWaypoint: `east-west|80||${web}`,
      },
    ]);
    assert.equal(world.resource('infra/ew', 'backend', `east-west|80|waypoint|${web}`).throughWaypoint, true);
    assert.equal(world.resource('infra/ew', 'backend', `east-west|80||${web}`).throughWaypoint, false);
  });

  it('heeds no rules of destinations: what is in the tunnels is for who ends them', () => {
    const world = openShared();
    world.put(
      world.sources.destinationRules,
      destinationRule('web', '{ host: web, trafficPolicy: { tls: { mode: SIMPLE }, proxyProtocol: { version: V2 } } }'),
    );
    const { tls, proxyProtocol } = world.resource('infra/ew', 'backend', `east-west|80||${web}`);
    assert.deepEqual([tls, proxyProtocol], [undefined, undefined]);
  });

  it('goes by serviceScopeConfigs where the mesh has them, and forgets what is shared no longer', () => {
    const world = openShared();
    const told = (): string[] => world.names('infra/ew').filter((name) => name.startsWith('service/'));
    world.configureMesh({
      serviceScopes: [
        { services: {}, namespaces: { matchLabels: { team: 'b' } }, scope: 'global' },
        { services: { matchLabels: { 'istio.io/global': 'true' } }, namespaces: {}, scope: 'local' },
      ],
    });
    assert.deepEqual(told(), []);
    world.configureMesh({
      serviceScopes: [{ services: {}, namespaces: { matchLabels: { team: 'a' } }, scope: 'global' }],
    });
    assert.deepEqual(told(), ['service/shop/own.shop.svc.cluster.local', `service/shop/${web}`]);
    world.put(world.sources.namespaces, namespace('shop', { team: 'b' }));
    assert.deepEqual(told(), []);
    world.configureMesh({});
    assert.deepEqual(told(), [`service/shop/${web}`]);
  });

  it('without a listener for HBONE takes nothing', () => {
    const world = openShared();
    world.put(world.sources.gateways, eastWest([{ name: 'tls', port: 15443, protocol: 'TLS' }]));
    assert.deepEqual(world.names('infra/ew'), ['settings/default']);
  });
});
