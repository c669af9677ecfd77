import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { namespace, openWorld, pod, sidecar, workloadEntry } from './fixtures.ts';

const only = { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } } as const;
const any = { outboundTrafficPolicy: { mode: 'ALLOW_ANY' } } as const;

describe('outboundTrafficPolicy', () => {
  it('is that of the mesh, of the root namespace, of the namespace or of what a Sidecar selects', () => {
    const world = openWorld();
    const { namespaces, pods, sidecars, workloadEntries } = world.sources;
    const mode = (): string | undefined => world.workload('web')?.outboundMode;
    world.put(namespaces, namespace('istio-system'), namespace('shop'));
    world.put(pods, pod('web'));
    world.put(workloadEntries, workloadEntry('vm', { address: '10.7.7.7', labels: { app: 'vm' } }));
    assert.equal(mode(), undefined);
    world.setOutbound('registry-only');
    assert.equal(mode(), 'registry-only');
    world.put(sidecars, sidecar('mesh', any, { namespace: 'istio-system' }));
    assert.equal(mode(), undefined, 'the root namespace speaks for all');
    world.put(sidecars, sidecar('all', only));
    assert.equal(mode(), 'registry-only', 'the namespace speaks for itself');
    world.put(sidecars, sidecar('web', { ...any, workloadSelector: { labels: { app: 'web' } } }));
    assert.equal(mode(), undefined, 'what is selected is an exception');
    const vm = 'Kubernetes/networking.istio.io/WorkloadEntry/shop/vm';
    assert.equal(world.workload(vm)?.outboundMode, 'registry-only');
    world.remove(sidecars, sidecar('web', undefined));
    assert.equal(mode(), 'registry-only');
    // It says nothing of it, and yet takes the place of the root namespace's.
    world.put(sidecars, sidecar('mesh', only, { namespace: 'istio-system' }), sidecar('all', {}));
    world.setOutbound('allow-any');
    assert.equal(mode(), undefined);
  });

  it('is that of the oldest Sidecar, and strict where it does not say', () => {
    const world = openWorld();
    world.put(world.sources.namespaces, namespace('shop'));
    world.put(world.sources.pods, pod('web'));
    world.put(
      world.sources.sidecars,
      sidecar('a', any, { creationTimestamp: '2026-02-01T00:00:00Z' }),
      sidecar('b', { outboundTrafficPolicy: {} }, { creationTimestamp: '2026-01-01T00:00:00Z' }),
    );
    assert.equal(world.workload('web')?.outboundMode, 'registry-only');
  });

  it('holds for a pod whose namespace has not come yet', () => {
    const world = openWorld();
    world.setOutbound('registry-only');
    world.put(world.sources.pods, pod('web'));
    assert.equal(world.workload('web')?.outboundMode, 'registry-only');
  });

  it('of one namespace changes no other', () => {
    const world = openWorld();
    world.put(world.sources.namespaces, namespace('shop'), namespace('other'));
    world.put(world.sources.pods, pod('web'), pod('web', { namespace: 'other', ip: '10.244.1.3' }));
    world.changes();
    world.put(world.sources.sidecars, sidecar('all', only));
    assert.deepEqual(world.changes(), ['Kubernetes//Pod/shop/web']);
  });
});
