import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Gateway, HTTPRoute } from '../api/gateway.ts';
import { kinds } from '../api/kinds.ts';
import type { Condition, KubeObject } from '../api/meta.ts';
import { defaultClusterId } from '../api/names.ts';
import { createGraph, type Source } from '../collection/index.ts';
import { createDiscovery, keyOfObject } from '../discovery/index.ts';
import type { DeployedGateway } from './gateway-api-status.ts';
import { mergeListeners, mergeParents } from './gateway-api-status-merge.ts';
import { followStatus, statusKinds } from './status-kinds.ts';
import type { StatusKind } from './status-writer.ts';

const about = {
  generation: 2,
  nowMs: Date.parse('2026-03-01T00:00:00Z'),
  isOwn: (name: string): boolean => name.startsWith('istio.io/'),
};

function openWorld() {
  const graph = createGraph();
  const discovery = createDiscovery(graph);
  const deployed = new Map<string, DeployedGateway>();
  const entries = statusKinds(discovery, defaultClusterId, (name) => deployed.get(name));
  const asked: string[] = [];
  followStatus(discovery, {
    changed: (kind, name) => void asked.push(`${kind.kind} ${name}`),
    progressed() {},
    lead() {},
  });
  return {
    sources: discovery.sources,
    asked,
    deployed,
    put<T extends KubeObject>(source: Source<T>, object: T): void {
      source.set(keyOfObject(defaultClusterId, object), object);
      graph.flush();
    },
    of(kind: { readonly kind: string }): StatusKind {
      const found = entries.find((entry) => entry.kind.kind === kind.kind);
      assert.ok(found);
      return found;
    },
    /** The fields that would be written into the status. */
    written(kind: { readonly kind: string }, name: string): Record<string, unknown> {
      const entry = this.of(kind);
      const judged = entry.judged(name);
      const current = entry.current(name);
      return { ...judged?.fields, ...judged?.merged?.({ ...current?.status }, about) };
    },
  };
}

const condition = (type: string, status: 'True' | 'False', reason: string): Condition => ({
  type,
  status,
  reason,
  message: '',
  lastTransitionTime: '2026-01-01T00:00:00Z',
  observedGeneration: 1,
});
const route = (parents: HTTPRoute['spec']['parentRefs'], status?: HTTPRoute['status']): HTTPRoute => ({
  metadata: { namespace: 'shop', name: 'r', generation: 2 },
  spec: { parentRefs: parents ?? [], rules: [] },
  ...(status ? { status } : {}),
});
const web = { group: '', kind: 'Service', name: 'web' };
const ours = 'istio.io/mesh-controller';
const theirs = 'example.com/gateway';
const gateway = (className: string): Gateway => ({
  metadata: { namespace: 'shop', name: 'edge', generation: 2 },
  spec: { gatewayClassName: className, listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] },
});

describe('the statuses of the Gateway API', () => {
  it('tell of a route what became of it at each parent', () => {
    const world = openWorld();
    world.put(world.sources.httpRoutes, route([web]));
    assert.ok(world.asked.includes('HTTPRoute shop/r'));
    assert.equal(world.of(kinds.HTTPRoute).judged('shop/r')?.generation, 2);
    const at = { lastTransitionTime: '2026-03-01T00:00:00Z', observedGeneration: 2 };
    assert.deepEqual(world.written(kinds.HTTPRoute, 'shop/r'), {
      parents: [
        {
          parentRef: web,
          controllerName: ours,
          conditions: [
            {
              type: 'Accepted',
              status: 'False',
              reason: 'NoMatchingParent',
              message: 'Service shop/web does not exist',
              ...at,
            },
            { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: 'all references hold', ...at },
          ],
        },
      ],
    });
  });

  it('keep what other controllers say, and take back what we said of parents that are gone', () => {
    const verdict = (name: string) => ({
      parentRef: { ...web, name },
      controllerName: ours,
      conditions: { Accepted: { status: 'True' as const, reason: 'Accepted', message: '' } },
    });
    const before = [
      { parentRef: { ...web, name: 'gone' }, controllerName: ours, conditions: [condition('Accepted', 'True', 'x')] },
      { parentRef: web, controllerName: theirs, conditions: [condition('Accepted', 'True', 'Theirs')] },
      {
        parentRef: web,
        controllerName: ours,
        conditions: [condition('Accepted', 'True', 'Accepted'), condition('PartiallyInvalid', 'True', 'x')],
      },
    ];
    const merged = mergeParents(before, [verdict('new'), verdict('web')], about);
    assert.deepEqual(
      merged.map(({ parentRef, controllerName }) => `${parentRef.name} ${controllerName}`),
      [`web ${theirs}`, `web ${ours}`, `new ${ours}`],
    );
    assert.deepEqual(merged[0], before[1]);
    assert.deepEqual(merged[1]?.conditions, [{ ...condition('Accepted', 'True', 'Accepted'), observedGeneration: 2 }]);
    assert.deepEqual(mergeParents(merged, [verdict('web'), verdict('new')], about), merged, 'and are then at rest');
  });

  it('never have more entries than the API server takes', () => {
    const foreign = Array.from({ length: 31 }, (_, index) => ({
      parentRef: { ...web, name: `other-${index}` },
      controllerName: theirs,
      conditions: [condition('Accepted', 'True', 'Theirs')],
    }));
    const verdicts = ['a', 'b'].map((name) => ({
      parentRef: { ...web, name },
      controllerName: ours,
      conditions: { Accepted: { status: 'True' as const, reason: 'Accepted', message: '' } },
    }));
    const merged = mergeParents(foreign, verdicts, about);
    assert.deepEqual([merged.length, merged.slice(0, 31), merged[31]?.parentRef.name], [32, foreign, 'a']);
  });

  it('of a listener keep the time of a change that did not happen', () => {
    const told = (status: 'True' | 'False') => [
      {
        name: 'http',
        attachedRoutes: 1,
        supportedKinds: [],
        conditions: { Accepted: { status, reason: 'Accepted', message: '' } },
      },
    ];
    const before = [{ name: 'http', conditions: [condition('Accepted', 'True', 'Accepted')] }];
    const times = (status: 'True' | 'False') =>
      mergeListeners(before, told(status), about)[0]?.conditions.map((one) => one.lastTransitionTime);
    assert.deepEqual(times('True'), ['2026-01-01T00:00:00Z']);
    assert.deepEqual(times('False'), ['2026-03-01T00:00:00Z']);
  });

  it('of a Gateway join what its listeners are and what is known of its proxies', () => {
    const world = openWorld();
    world.put(world.sources.gateways, gateway('istio'));
    const programmed = { status: 'False' as const, reason: 'Pending', message: 'no proxy is ready' };
    const addresses = [{ type: 'IPAddress', value: '10.96.0.3' }];
    world.deployed.set('shop/edge', { conditions: { Programmed: programmed }, addresses });
    const judged = world.of(kinds.Gateway).judged('shop/edge');
    assert.deepEqual(judged?.conditions['Programmed'], programmed);
    assert.equal(judged.conditions['Accepted']?.status, 'True');
    const written = world.written(kinds.Gateway, 'shop/edge');
    assert.deepEqual(written['addresses'], addresses);
    assert.deepEqual((written['listeners'] as { name: string }[])[0]?.name, 'http');
  });

  it('leave Gateways and classes of others alone', () => {
    const world = openWorld();
    world.put(world.sources.gateways, gateway('nginx'));
    assert.equal(world.of(kinds.Gateway).current('shop/edge'), undefined);
    const gatewayClass = (name: string, controllerName: string) => ({ metadata: { name }, spec: { controllerName } });
    world.put(world.sources.gatewayClasses, gatewayClass('nginx', theirs));
    world.put(world.sources.gatewayClasses, gatewayClass('special', 'istio.io/gateway-controller'));
    assert.equal(world.of(kinds.GatewayClass).current('/nginx'), undefined);
    assert.deepEqual(world.of(kinds.GatewayClass).judged('/special')?.conditions, {
      Accepted: { status: 'True', reason: 'Accepted', message: 'Handled by Istio controller' },
    });
    assert.ok(world.asked.includes('GatewayClass /special'));
  });

  it('are none of a route whose parents are all of others', () => {
    const world = openWorld();
    world.put(world.sources.httpRoutes, route([{ name: 'elsewhere' }]));
    assert.deepEqual(world.written(kinds.HTTPRoute, 'shop/r'), {});
  });
});
