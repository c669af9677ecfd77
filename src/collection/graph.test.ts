import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createGraph, type Graph } from './graph.ts';
import type { Changes, Collection, Index, Source } from './model.ts';

interface Pod {
  readonly labels: readonly string[];
  readonly node: string;
}

interface World {
  graph: Graph;
  pods: Source<Pod>;
  services: Source<{ label: string }>;
  nodes: Source<string>;
  workloads: Collection<{ services: string[]; zone: string | undefined }>;
  endpoints: Collection<string>;
  all: Collection<unknown>;
  byNode: Index<Pod>;
}

/** A small mesh: pods belong to services by label, and take the zone of their node; services list their pods. */
function build(): World {
  const graph = createGraph({
    onError: (name, key, error) => {
      throw new Error(`${name} ${key}`, { cause: error });
    },
  });
  const pods = graph.source<Pod>('pods');
  const services = graph.source<{ label: string }>('services');
  const nodes = graph.source<string>('nodes');
  const servicesByLabel = graph.index('services by label', services, (service) => [service.label]);
  const podsByLabel = graph.index('pods by label', pods, (pod) => pod.labels);
  const byNode = graph.index('pods by node', pods, (pod) => [pod.node]);
  const workloads = graph.map('workloads', pods, (pod, _, read) => ({
    services: pod.labels.flatMap((label) => [...read.lookup(servicesByLabel, label).keys()]).toSorted(),
    zone: read.get(nodes, pod.node),
  }));
  const endpoints = graph.flatMap('endpoints', services, (service, name, read) =>
    [...read.lookup(podsByLabel, service.label).keys()].map((pod) => [`${pod}`, name] as const),
  );
  const all = graph.join<unknown>('all', [workloads, endpoints]);
  return { graph, pods, services, nodes, workloads, endpoints, all, byNode };
}

type Step =
  | { on: 'pods'; key: string; value: Pod | undefined }
  | { on: 'services'; key: string; value: { label: string } | undefined }
  | { on: 'nodes'; key: string; value: string | undefined }
  | { on: 'flush' };

const name = fc.constantFrom('a', 'b', 'c', 'd');
const label = fc.constantFrom('x', 'y', 'z');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    on: fc.constant('pods' as const),
    key: name,
    value: fc.option(fc.record({ labels: fc.uniqueArray(label, { maxLength: 2 }), node: name }), { nil: undefined }),
  }),
  fc.record({
    on: fc.constant('services' as const),
    key: name,
    value: fc.option(fc.record({ label }), { nil: undefined }),
  }),
  fc.record({ on: fc.constant('nodes' as const), key: name, value: fc.option(label, { nil: undefined }) }),
  fc.record({ on: fc.constant('flush' as const) }),
);

function apply<V>(source: Source<V>, key: string, value: V | undefined): void {
  if (value === undefined) source.delete(key);
  else source.set(key, value);
}

function sorted(collection: Collection<unknown>): unknown[] {
  return [...collection.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

describe('a graph of collections', () => {
  it('holds after any history what a new graph computes from the same sources', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const world = build();
        const mirror = new Map<string, unknown>();
        world.all.subscribe((changes) => {
          for (const [key, { before, after }] of changes) {
            assert.deepEqual(mirror.get(key), before);
            if (after === undefined) mirror.delete(key);
            else mirror.set(key, after);
          }
        });
        for (const one of [...steps, { on: 'flush' } as const]) {
          if (one.on === 'flush') world.graph.flush();
          else if (one.on === 'pods') apply(world.pods, one.key, one.value);
          else if (one.on === 'services') apply(world.services, one.key, one.value);
          else apply(world.nodes, one.key, one.value);
        }
        const fresh = build();
        for (const [key, value] of world.pods.entries()) fresh.pods.set(key, value);
        for (const [key, value] of world.services.entries()) fresh.services.set(key, value);
        for (const [key, value] of world.nodes.entries()) fresh.nodes.set(key, value);
        fresh.graph.flush();
        for (const part of ['workloads', 'endpoints', 'all'] as const) {
          assert.deepEqual(sorted(world[part]), sorted(fresh[part]), part);
        }
        for (const node of ['a', 'b', 'c', 'd']) {
          assert.deepEqual([...world.byNode.lookup(node)], [...fresh.byNode.lookup(node)]);
        }
        assert.deepEqual(
          [...mirror].toSorted(([a], [b]) => (a < b ? -1 : 1)),
          sorted(world.all),
        );
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  it('computes only what read something that changed', () => {
    const graph = createGraph();
    const pods = graph.source<string>('pods');
    const nodes = graph.source<string>('nodes');
    const computed: string[] = [];
    graph.map('workloads', pods, (node, key, read) => {
      computed.push(key);
      return read.get(nodes, node);
    });
    pods.set('a', 'n1');
    pods.set('b', 'n2');
    graph.flush();
    computed.length = 0;
    nodes.set('n2', 'zone');
    graph.flush();
    assert.deepEqual(computed, ['b']);
  });

  it('is silent when an output comes out equal', () => {
    const graph = createGraph();
    const nodes = graph.source<{ beat: number; zone: string }>('nodes');
    const zones = graph.map('zones', nodes, (node) => ({ zone: node.zone }));
    const heard: Changes<unknown>[] = [];
    zones.subscribe((changes) => heard.push(changes));
    nodes.set('n', { beat: 1, zone: 'z' });
    graph.flush();
    nodes.set('n', { beat: 2, zone: 'z' });
    graph.flush();
    assert.equal(heard.length, 1);
  });

  it('keeps the last output of a derivation that throws, and says so', () => {
    const failed: string[] = [];
    const graph = createGraph({ onError: (collection, key) => failed.push(`${collection}/${key}`) });
    const source = graph.source<number>('numbers');
    const derived = graph.map('odd', source, (value) => {
      if (value % 2 === 0) throw new Error('even');
      return value;
    });
    source.set('k', 1);
    graph.flush();
    source.set('k', 2);
    graph.flush();
    assert.equal(derived.get('k'), 1);
    assert.deepEqual(failed, ['odd/k']);
    source.set('k', 3);
    graph.flush();
    assert.equal(derived.get('k'), 3);
  });
});
