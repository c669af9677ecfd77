import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KindInfo } from '../../api/index.ts';
import type { CustomKinds } from './custom/custom-kinds.ts';
import { ServedKinds } from './served-kinds.ts';

describe('ServedKinds', () => {
  it('lists the groups of definitions by name, after those of its own', () => {
    const gateway = (group: string): KindInfo => ({ group, version: 'v1', kind: 'Gateway' }) as KindInfo;
    const custom = ['networking.istio.io', 'gateway.networking.k8s.io'].map(gateway);
    const groups = new ServedKinds({ all: () => custom } as unknown as CustomKinds).groups().map(({ group }) => group);
    assert.deepEqual(groups.slice(-2), ['gateway.networking.k8s.io', 'networking.istio.io']);
    assert.equal(groups[0], '');
  });
});
