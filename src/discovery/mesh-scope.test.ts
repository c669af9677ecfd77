import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Namespace, Pod } from '../api/core.ts';
import type { AuthorizationPolicy } from '../api/istio.ts';
import { defaultClusterId } from '../api/names.ts';
import { createGraph } from '../collection/index.ts';
import { createDiscovery, type Discovery } from './discovery.ts';
import { keyOfObject } from './object-key.ts';

function openWorld(revision?: string): Discovery & { flush(): void } {
  const graph = createGraph({
    onError: (collection, key, error) => {
      throw new Error(`${collection} ${key}`, { cause: error });
    },
  });
  return { ...createDiscovery(graph, revision === undefined ? {} : { revision }), flush: () => graph.flush() };
}

const namespace = (name: string, labels: Record<string, string> = {}): Namespace => ({ metadata: { name, labels } });
const pod = (namespaceName: string): Pod => ({
  metadata: { namespace: namespaceName, name: 'p', uid: `uid-${namespaceName}` },
  spec: { nodeName: 'n', containers: [] },
  status: {
    phase: 'Running',
    podIP: `10.0.0.${namespaceName.length}`,
    conditions: [{ type: 'Ready', status: 'True' }],
  },
});
const policy = (namespaceName: string, name: string, labels: Record<string, string> = {}): AuthorizationPolicy => ({
  metadata: { namespace: namespaceName, name, labels, generation: 1 },
  spec: { rules: [{ from: [{ source: { namespaces: ['a'] } }] }] },
});

describe('discovery selectors', () => {
  it('leave out the objects of other namespaces, and take them back in', () => {
    const world = openWorld();
    const { sources } = world;
    const key = (object: { metadata: Pod['metadata'] }): string => keyOfObject(defaultClusterId, object);
    for (const one of [namespace('in', { mesh: 'yes' }), namespace('out'), namespace('istio-system')]) {
      sources.namespaces.set(key(one), one);
    }
    for (const name of ['in', 'out', 'istio-system']) {
      sources.pods.set(key(pod(name)), pod(name));
      sources.authorizationPolicies.set(key(policy(name, 'x')), policy(name, 'x'));
    }
    world.flush();
    assert.equal(world.addresses.size, 3);
    assert.equal(world.authorizations.size, 3);

    sources.meshConfigs.set(defaultClusterId, { discoverySelectors: [{ matchLabels: { mesh: 'yes' } }] });
    world.flush();
    assert.deepEqual([...world.namespaces.entries()].map(([name]) => name).toSorted(), [
      'Kubernetes//in',
      'Kubernetes//istio-system',
    ]);
    assert.deepEqual([...world.addresses.entries()].map(([name]) => name).toSorted(), [
      'Kubernetes//Pod/in/p',
      'Kubernetes//Pod/istio-system/p',
    ]);
    assert.deepEqual([...world.authorizations.entries()].map(([name]) => name).toSorted(), ['in/x', 'istio-system/x']);

    sources.namespaces.set(key(namespace('out')), namespace('out', { mesh: 'yes' }));
    world.flush();
    assert.equal(world.addresses.size, 3);
    sources.meshConfigs.delete(defaultClusterId);
    world.flush();
    assert.equal(world.authorizations.size, 3);
  });
});

describe('revisions', () => {
  it('read configuration without a revision, or with their own', () => {
    const policies = [
      policy('ns', 'unlabelled'),
      policy('ns', 'stable', { 'istio.io/rev': 'default' }),
      policy('ns', 'canary', { 'istio.io/rev': 'canary' }),
    ];
    const seen = (revision?: string): string[] => {
      const world = openWorld(revision);
      for (const one of policies) world.sources.authorizationPolicies.set(keyOfObject(defaultClusterId, one), one);
      world.flush();
      return [...world.authorizations.entries()].map(([name]) => name).toSorted();
    };
    assert.deepEqual(seen(), ['ns/stable', 'ns/unlabelled']);
    assert.deepEqual(seen('canary'), ['ns/canary', 'ns/unlabelled']);
  });
});
