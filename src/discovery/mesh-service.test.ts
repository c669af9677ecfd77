import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EndpointSlice } from '../api/discovery.ts';
import { openWorld, pod, service } from './fixtures.ts';

const key = 'shop/web.shop.svc.cluster.local';

describe('a Service', () => {
  it('has every address that it was given, in both families, or none', () => {
    const world = openWorld();
    const { services } = world.sources;
    const ips = (): string[] => (world.service(key)?.addresses ?? []).map(({ ip }) => ip);
    const clusterIPs = ['10.96.0.9', 'FD00:0::9'];
    world.put(services, service('web', { clusterIPs, ipFamilies: ['IPv4', 'IPv6'] }));
    assert.deepEqual(ips(), ['10.96.0.9', 'fd00::9']);
    assert.equal(world.service(key)?.ipFamilies, 'dual');
    world.put(services, service('web', { clusterIP: 'None', clusterIPs: ['None'] }));
    assert.deepEqual(ips(), []);
    world.put(services, service('web', { type: 'ExternalName', externalName: 'x.example.com' }));
    assert.equal(world.addresses.size, 0);
  });

  it('says how near its endpoints are to be', () => {
    const world = openWorld();
    const balance = (spec: object, annotations: Record<string, string> = {}): unknown => {
      world.put(world.sources.services, service('web', spec, { annotations }));
      const { routingPreference, mode } = world.service(key)?.loadBalancing ?? {};
      return mode && [mode, routingPreference?.join()];
    };
    const annotation = 'networking.istio.io/traffic-distribution';
    assert.equal(balance({}), undefined);
    assert.deepEqual(balance({ internalTrafficPolicy: 'Local', trafficDistribution: 'PreferClose' }), [
      'strict',
      'node',
    ]);
    assert.deepEqual(balance({ trafficDistribution: 'PreferClose' }), ['failover', 'network,region,zone']);
    assert.deepEqual(balance({ trafficDistribution: 'PreferSameZone' }), ['failover', 'network,region,zone']);
    assert.deepEqual(balance({}, { [annotation]: 'PreferSameNode' }), ['failover', 'network,region,zone,subzone,node']);
    assert.equal(balance({}, { [annotation]: 'Any' }), undefined);
  });

  it('that publishes what is not ready does so for itself alone', () => {
    const world = openWorld();
    world.put(
      world.sources.services,
      service('web', { publishNotReadyAddresses: true }),
      service('other', { selector: { app: 'web' } }),
    );
    world.put(world.sources.pods, { ...pod('web'), status: { phase: 'Running', podIP: '10.244.1.2' } });
    assert.equal(world.service(key)?.loadBalancing?.healthPolicy, 'allow-all');
    assert.equal(world.service('shop/other.shop.svc.cluster.local')?.loadBalancing, undefined);
    assert.equal(world.workload('web')?.status, 'unhealthy');
    assert.equal(world.workload('web')?.services.size, 2);
  });

  it('is exported as its annotation says', () => {
    const world = openWorld();
    const exported = (text: string): unknown => {
      const annotations = { 'networking.istio.io/exportTo': text };
      world.put(world.sources.services, service('web', {}, { annotations }));
      const found = world.service(key);
      return found && [found.visibility, found.exportTo];
    };
    assert.deepEqual(exported('.'), ['namespace', undefined]);
    assert.deepEqual(exported('a, b'), ['public', ['a', 'b']]);
    assert.deepEqual(exported('*'), ['public', undefined]);
    assert.equal(exported('~'), undefined);
  });

  it('takes no endpoints from slices of names, nor a pod that is on its way out for healthy', () => {
    const world = openWorld();
    const { selector: _, ...spec } = service('web').spec ?? {};
    world.put(world.sources.services, { ...service('web'), spec });
    const slice: EndpointSlice = {
      metadata: { name: 's', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'FQDN',
      endpoints: [{ addresses: ['x.example.com'] }, { addresses: ['y'], targetRef: { kind: 'Pod', name: 'web' } }],
      ports: [{ name: 'http', port: 80 }],
    };
    world.put(world.sources.pods, pod('web', { deletionTimestamp: '2026-01-01T00:00:00Z' }));
    world.put(world.sources.endpointSlices, slice);
    assert.equal(world.addresses.size, 2);
    assert.equal(world.workload('web')?.services.size, 0);
    assert.equal(world.workload('web')?.status, 'unhealthy');
  });

  it('whose status, labels or annotations change recomputes none of its pods', () => {
    const world = openWorld();
    world.put(world.sources.services, service('web'));
    world.put(world.sources.pods, ...Array.from({ length: 20 }, (_, i) => pod(`p-${i}`, { labels: { app: 'web' } })));
    let reads = 0;
    const watched = pod('watched', { labels: { app: 'web' } });
    const { status = {} } = watched;
    Object.defineProperty(watched, 'status', { get: () => (reads++, status) });
    world.put(world.sources.pods, watched);
    assert.ok(reads > 0);
    reads = 0;
    world.changes();
    const conditions = [{ type: 'x', status: 'True' as const, reason: '', message: '', lastTransitionTime: '' }];
    world.put(world.sources.services, { ...service('web', {}, { annotations: { a: 'b' } }), status: { conditions } });
    assert.deepEqual(world.changes(), []);
    assert.equal(reads, 0);
  });
});
