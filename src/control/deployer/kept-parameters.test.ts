import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConfigMap } from '../../api/core.ts';
import type { Gateway } from '../../api/gateway.ts';
import { keeperOf, keptMap, keptName, keptParameters, parametersToKeep } from './kept-parameters.ts';

const gateway = (uid: string): Gateway => ({
  metadata: { name: 'wp', namespace: 'shop', uid },
  spec: { gatewayClassName: 'istio-waypoint', listeners: [] },
});
const keeping = (text: string): ConfigMap => keptMap('shop/wp', 'istio-system', text);
const map = (name: string, data: Record<string, string>): ConfigMap => ({
  metadata: { namespace: 'shop', name },
  data,
});

describe('the last parameters of a Gateway', () => {
  it('are kept as they were, in their order, and nothing else of their ConfigMaps', () => {
    const maps = [map('class', { deployment: 'a: 1' }), map('own', { service: 'b: 2', secret: 'c' })];
    const kept = parametersToKeep(gateway('u1'), maps);
    assert.ok(kept);
    assert.deepEqual(keptParameters(keeping(kept), gateway('u1')), [maps[0], map('own', { service: 'b: 2' })]);
  });

  it('are none without any, and not kept where they are too long', () => {
    assert.equal(parametersToKeep(gateway('u1'), []), null);
    assert.equal(parametersToKeep(gateway('u1'), [map('own', { deployment: 'x'.repeat(65_536) })]), undefined);
  });

  it('are not those of an earlier Gateway of the name, nor what somebody wrote there', () => {
    const kept = parametersToKeep(gateway('u1'), [map('own', { deployment: 'a: 1' })]) ?? '';
    const strange = ['', '{', '[]', '{"uid":"u2","maps":{}}', '{"uid":"u2","maps":[{"source":"a/b","data":{"x":1}}]}'];
    for (const text of [kept, ...strange]) assert.equal(keptParameters(keeping(text), gateway('u2')), undefined, text);
    assert.equal(keptParameters(undefined, gateway('u1')), undefined);
  });

  it('are not read from the Gateway, which others may write than ConfigMaps', () => {
    const kept = parametersToKeep(gateway('u1'), [map('own', { deployment: 'a: 1' })]) ?? '';
    const { metadata, spec } = gateway('u1');
    const annotations = keeping(kept).metadata.annotations ?? {};
    assert.equal(keptParameters(undefined, { metadata: { ...metadata, annotations }, spec }), undefined);
  });

  it('have a ConfigMap each, that says whose they are', () => {
    const kept = keeping('{}');
    assert.equal(keeperOf(kept), 'shop/wp');
    assert.equal(keeperOf(map('own', {})), undefined);
    assert.equal(kept.metadata.name, keptName('shop/wp'));
    assert.notEqual(keptName('shop/wp'), keptName('shop/wp2'));
    assert.ok(keptName(`${'n'.repeat(63)}/${'g'.repeat(253)}`).length < 63);
  });
});
