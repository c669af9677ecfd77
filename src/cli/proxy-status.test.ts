import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../api/index.ts';
import { connected, only, withAbsent } from './proxy-status.ts';
import type { ClientStatus } from './proxy-status-replicas.ts';

function client(proxy: string, connectedAt: string): ClientStatus {
  return {
    proxy,
    namespace: proxy.split('.')[1] ?? '',
    type: 'waypoint',
    gateway: 'shop/wp',
    node: 'node-1',
    version: '1',
    address: '10.0.0.1:1',
    connectedAt,
    inStep: true,
    types: [],
  };
}

test('a proxy that changes replicas is listed once, where it came last', () => {
  const rows = connected([
    { replica: 'a', clients: [client('wp.shop', '2026-01-01T00:00:02Z'), client('x.shop', '2026-01-01T00:00:00Z')] },
    { replica: 'b', clients: [client('wp.shop', '2026-01-01T00:00:01Z')] },
  ]);
  assert.deepEqual(
    rows.map(({ proxy, replica }) => [proxy, replica]),
    [
      ['wp.shop', 'a'],
      ['x.shop', 'a'],
    ],
  );
});

test('proxies that run and that no replica knows are listed as such', () => {
  const pod = (name: string, namespace: string, labels: Record<string, string>): Pod =>
    ({ metadata: { name, namespace, labels }, spec: { nodeName: 'node-2' } }) as unknown as Pod;
  const labels = {
    'gateway.networking.k8s.io/gateway-name': 'wp',
    'gateway.networking.k8s.io/gateway-class-name': 'istio-waypoint',
  };
  const rows = withAbsent(connected([{ replica: 'a', clients: [client('wp-1.shop', '2026-01-01T00:00:00Z')] }]), [
    pod('wp-1', 'shop', labels),
    pod('wp-2', 'shop', labels),
    pod('ztunnel-a', 'istio-system', {}),
    pod('gw-1', 'shop', { ...labels, 'gateway.networking.k8s.io/gateway-class-name': 'istio' }),
  ]);
  assert.deepEqual(
    rows.map(({ proxy, type, gateway = '', inStep }) => [proxy, type, gateway, inStep]),
    [
      ['gw-1.shop', 'gateway', 'shop/wp', undefined],
      ['wp-1.shop', 'waypoint', 'shop/wp', true],
      ['wp-2.shop', 'waypoint', 'shop/wp', undefined],
      ['ztunnel-a.istio-system', 'ztunnel', '', undefined],
    ],
  );
});

test('a proxy is meant by the name of its pod or of its Gateway', () => {
  const rows = connected([
    {
      replica: 'a',
      clients: [client('wp-1.shop', '2026-01-01T00:00:00Z'), client('wp-2.shop', '2026-01-01T00:00:00Z')],
    },
  ]);
  const meant = (word: string): string[] => only(rows, word).map(({ proxy }) => proxy);
  assert.deepEqual(meant('wp-1'), ['wp-1.shop']);
  assert.deepEqual(meant('wp-1.shop'), ['wp-1.shop']);
  assert.deepEqual(meant('wp'), ['wp-1.shop', 'wp-2.shop']);
  assert.deepEqual(meant('wp.shop'), ['wp-1.shop', 'wp-2.shop']);
  assert.throws(() => meant('wp.other'), /No proxy "wp.other"/);
});
