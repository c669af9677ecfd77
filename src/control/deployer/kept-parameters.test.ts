import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ConfigMap } from '../../api/core.ts';
import type { Gateway } from '../../api/gateway.ts';
import { keptParameters, parametersAnnotation, parametersToKeep } from './kept-parameters.ts';

const gateway = (uid: string, kept?: string): Gateway => ({
  metadata: {
    name: 'wp',
    namespace: 'shop',
    uid,
    annotations: kept === undefined ? {} : { [parametersAnnotation]: kept },
  },
  spec: { gatewayClassName: 'istio-waypoint', listeners: [] },
});
const map = (name: string, data: Record<string, string>): ConfigMap => ({
  metadata: { namespace: 'shop', name },
  data,
});

describe('the last parameters of a Gateway', () => {
  it('are kept as they were, in their order, and nothing else of their ConfigMaps', () => {
    const maps = [map('class', { deployment: 'a: 1' }), map('own', { service: 'b: 2', secret: 'c' })];
    const kept = parametersToKeep(gateway('u1'), maps);
    assert.ok(kept);
    assert.deepEqual(keptParameters(gateway('u1', kept)), [maps[0], map('own', { service: 'b: 2' })]);
  });

  it('are none without any, and not kept where they are too long', () => {
    assert.equal(parametersToKeep(gateway('u1'), []), null);
    assert.equal(parametersToKeep(gateway('u1'), [map('own', { deployment: 'x'.repeat(65_536) })]), undefined);
  });

  it('are not those of another Gateway that this one was copied from, nor what somebody wrote there', () => {
    const kept = parametersToKeep(gateway('u1'), [map('own', { deployment: 'a: 1' })]) ?? '';
    const strange = ['', '{', '[]', '{"uid":"u2","maps":{}}', '{"uid":"u2","maps":[{"source":"a/b","data":{"x":1}}]}'];
    for (const text of [kept, ...strange]) assert.equal(keptParameters(gateway('u2', text)), undefined, text);
    assert.equal(keptParameters(gateway('u1')), undefined);
  });
});
