import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ServiceEntry } from '../api/istio.ts';
import { kinds } from '../api/kinds.ts';
import type { KubeObject } from '../api/meta.ts';
import { defaultClusterId } from '../api/names.ts';
import { createGraph, type Source } from '../collection/index.ts';
import { createDiscovery, keyOfObject } from '../discovery/index.ts';
import { resourceNameOf } from './replica-report.ts';
import { followStatus, statusKinds } from './status-kinds.ts';
import type { Judged } from './status-writer.ts';

function openWorld(options: { readonly hasIstioClasses?: boolean } = {}) {
  const graph = createGraph();
  const discovery = createDiscovery(graph, options);
  const entries = statusKinds(discovery, defaultClusterId);
  const asked: string[] = [];
  followStatus(discovery, {
    changed: (kind, name) => void asked.push(`${kind.kind} ${name}`),
    progressed() {},
    lead() {},
  });
  return {
    discovery,
    asked,
    put: <T extends KubeObject>(source: Source<T>, object: T): void => {
      source.set(keyOfObject(defaultClusterId, object), object);
      graph.flush();
    },
    judged: (kind: { readonly kind: string }, name: string): Judged | undefined =>
      entries.find((entry) => entry.kind.kind === kind.kind)?.judged(name),
  };
}

const reasons = (judged: Judged | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(judged?.conditions ?? {}).map(([type, { reason }]) => [type, reason]));

describe('the statuses that the control plane writes', () => {
  it('are asked for Services that have to do with waypoints, and for no others', () => {
    const { discovery, put, asked, judged } = openWorld();
    const plain = { metadata: { namespace: 'shop', name: 'plain' }, spec: { clusterIP: '10.96.0.1' } };
    put(discovery.sources.services, plain);
    assert.equal(asked.length, 0);
    const labels = { 'istio.io/use-waypoint': 'wp' };
    put(discovery.sources.services, { ...plain, metadata: { ...plain.metadata, labels } });
    assert.ok(asked.includes('Service shop/plain'));
    assert.deepEqual(reasons(judged(kinds.Service, 'shop/plain')), { 'istio.io/WaypointBound': 'WaypointIsNotReady' });
    const condition = {
      type: 'istio.io/WaypointBound',
      status: 'False' as const,
      reason: '',
      message: '',
      lastTransitionTime: '',
    };
    put(discovery.sources.services, { ...plain, status: { conditions: [condition] } });
    asked.length = 0;
    put(discovery.sources.services, { ...plain, status: { conditions: [condition] } });
    assert.deepEqual(asked, ['Service shop/plain'], 'a condition that is left over is taken away');
    assert.deepEqual(judged(kinds.Service, 'shop/plain')?.conditions, {});
  });

  it('say of VirtualServices and DestinationRules whether a waypoint can do them', () => {
    const { discovery, put, asked, judged } = openWorld();
    const metadata = { namespace: 'shop', name: 'rule', generation: 4 };
    const http = [{ route: [{ destination: { host: 'web' } }] }];
    put(discovery.sources.virtualServices, { metadata, spec: { hosts: ['web'], http } });
    put(discovery.sources.destinationRules, { metadata, spec: { host: 'web' } });
    assert.ok(asked.includes('VirtualService shop/rule') && asked.includes('DestinationRule shop/rule'));
    assert.deepEqual(reasons(judged(kinds.VirtualService, 'shop/rule')), { WaypointAccepted: 'HostNotFound' });
    assert.equal(judged(kinds.DestinationRule, 'shop/rule')?.generation, 4);
    put(discovery.sources.services, { metadata: { namespace: 'shop', name: 'web' }, spec: { clusterIP: '10.96.0.1' } });
    assert.deepEqual(reasons(judged(kinds.VirtualService, 'shop/rule')), { WaypointAccepted: 'AncestorNotBound' });
    assert.deepEqual(reasons(judged(kinds.DestinationRule, 'shop/rule')), { WaypointAccepted: 'Accepted' });
  });

  it('of a ServiceEntry tell addresses, and what a waypoint alone can do', () => {
    const { discovery, put, judged } = openWorld();
    const entry = (spec: Partial<ServiceEntry['spec']>, labels: Record<string, string> = {}): void =>
      put(discovery.sources.serviceEntries, {
        metadata: { namespace: 'shop', name: 'e', generation: 2, labels },
        spec: { hosts: ['*.example.com'], ...spec },
      });
    entry({ resolution: 'DYNAMIC_DNS' });
    assert.deepEqual(reasons(judged(kinds.ServiceEntry, 'shop/e')), {
      ZtunnelAccepted: 'Accepted',
      'istio.io/WaypointMissing': 'NoWaypointForWildcardService',
    });
    entry({ resolution: 'DYNAMIC_DNS' }, { 'istio.io/use-waypoint': 'wp' });
    assert.deepEqual(reasons(judged(kinds.ServiceEntry, 'shop/e')), {
      ZtunnelAccepted: 'Accepted',
      'istio.io/WaypointBound': 'WaypointIsNotReady',
    });
    const wide = judged(kinds.ServiceEntry, 'shop/e')?.fields?.['addresses'];
    assert.ok(Array.isArray(wide) && wide.length === 2, 'clients need an address to come by');
    entry({ resolution: 'DYNAMIC_DNS', hosts: ['*'] }, { 'istio.io/use-waypoint': 'wp' });
    assert.equal(reasons(judged(kinds.ServiceEntry, 'shop/e'))['ZtunnelAccepted'], 'UnsupportedValue');
    entry({ resolution: 'DNS', hosts: ['a.example.com'] });
    const told = judged(kinds.ServiceEntry, 'shop/e');
    assert.equal(told?.generation, 2);
    const addresses = told.fields?.['addresses'];
    assert.ok(Array.isArray(addresses) && addresses.length === 2);
    entry({ resolution: 'NONE' });
    assert.equal(judged(kinds.ServiceEntry, 'shop/e')?.fields, undefined, 'addresses that others gave are left alone');
  });

  it('of kinds that nothing acts on say so, but not beside an istiod, whose they may be', () => {
    const filter = { metadata: { namespace: 'shop', name: 'lua', generation: 2 }, spec: {} };
    const own = openWorld();
    own.put(own.discovery.sources.envoyFilters, filter);
    assert.ok(own.asked.includes('EnvoyFilter shop/lua'));
    const judged = own.judged(kinds.EnvoyFilter, 'shop/lua');
    assert.deepEqual([judged?.generation, reasons(judged)], [2, { WaypointAccepted: 'UnsupportedKind' }]);
    assert.match(judged?.conditions['WaypointAccepted']?.message ?? '', /no effect: .* RateLimit or ProxyExtension/);
    const beside = openWorld({ hasIstioClasses: false });
    beside.put(beside.discovery.sources.envoyFilters, filter);
    assert.equal(beside.judged(kinds.EnvoyFilter, 'shop/lua'), undefined);
    assert.ok(!beside.asked.includes('EnvoyFilter shop/lua'));
  });

  it('are told apart by group and plural', () => {
    const names = statusKinds(createDiscovery(createGraph()), defaultClusterId).map(({ kind }) => resourceNameOf(kind));
    assert.equal(new Set(names).size, names.length);
  });

  it('of what is gone are none', () => {
    const { judged } = openWorld();
    for (const kind of [kinds.Service, kinds.ServiceEntry, kinds.WorkloadEntry, kinds.PeerAuthentication]) {
      assert.equal(judged(kind, 'shop/gone'), undefined);
    }
  });
});
