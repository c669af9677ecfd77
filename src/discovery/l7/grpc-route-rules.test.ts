import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GRPCRoute } from '../../api/gateway.ts';
import type { HttpRule } from '../../api/l7/index.ts';
import { service } from '../fixtures.ts';
import { openGatewayWorld, toWeb, webBackend } from './gateway-api-fixtures.ts';
import { inOrderOfPrecedence } from './http-route-precedence.ts';

type GrpcRule = NonNullable<GRPCRoute['spec']['rules']>[number];

function read(...rules: GrpcRule[]): { rules: readonly HttpRule[]; faults: string[] } {
  const world = openGatewayWorld();
  world.put(world.sources.services, service('web'));
  world.put(world.sources.grpcRoutes, {
    metadata: { name: 'r', namespace: 'shop', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { parentRefs: [toWeb], rules },
  });
  return { rules: world.rules('r'), faults: world.faults('GRPCRoute', 'r') };
}

const matching = (method: NonNullable<GrpcRule['matches']>[number]['method']): GrpcRule => ({
  matches: [method ? { method } : {}],
  backendRefs: [webBackend],
});

describe('the rules of a GRPCRoute', () => {
  it('match service and method by the path of the call', () => {
    const paths = (method: Parameters<typeof matching>[0]) => read(matching(method)).rules[0]?.matches[0]?.path;
    assert.deepEqual(paths({ service: 'a.B', method: 'Get' }), { kind: 'exact', value: '/a.B/Get' });
    assert.deepEqual(paths({ service: 'a.B' }), { kind: 'path-prefix', value: '/a.B' });
    assert.deepEqual(paths({ method: 'Get' }), { kind: 'regex', value: '/[^/]+/Get' });
    assert.deepEqual(paths(undefined), undefined);
    const type = 'RegularExpression' as const;
    assert.deepEqual(paths({ type, service: 'a|b' }), { kind: 'regex', value: '/(?:a|b)/[^/]+' });
    assert.deepEqual(paths({ type, service: 'a', method: 'G.*' }), { kind: 'regex', value: '/(?:a)/(?:G.*)' });
    assert.deepEqual(read(matching({ type, service: '(' })).faults.slice(0, 1), ['Accepted=UnsupportedValue']);
  });

  it('come in order of service, method, headers', () => {
    const { rules } = read(
      matching(undefined),
      matching({ method: 'Get' }),
      matching({ service: 'a.B' }),
      { matches: [{ method: { service: 'a.B' }, headers: [{ name: 'X', value: '1' }] }], backendRefs: [webBackend] },
      matching({ service: 'a.B', method: 'Get' }),
    );
    const route = { http: rules, createdAt: '', route: { kind: 'GRPCRoute', namespace: 'shop', name: 'r' } };
    assert.deepEqual(
      inOrderOfPrecedence([route]).map(({ name }) => name),
      ['shop.r.4', 'shop.r.3', 'shop.r.2', 'shop.r.1', 'shop.r.0'],
    );
  });

  it('have filters, backends and sessions like those of an HTTPRoute', () => {
    const [rule] = read({
      name: 'named',
      filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: { remove: ['X-A'] } }],
      backendRefs: [{ ...webBackend, weight: 3 }],
      sessionPersistence: { sessionName: 's', type: 'Header' },
    }).rules;
    assert.deepEqual(rule, {
      name: 'shop.r.named',
      origin: { kind: 'GRPCRoute', namespace: 'shop', name: 'r', generation: 1, path: 'spec.rules[0]' },
      matches: [{}],
      requestHeaders: { set: [], add: [], remove: ['x-a'] },
      action: {
        kind: 'forward',
        destinations: [{ weight: 3, target: { kind: 'backend', backend: 'outbound|80||web.shop.svc.cluster.local' } }],
      },
      sessionPersistence: { type: 'header', name: 's', lifetime: 'session' },
    });
  });
});
