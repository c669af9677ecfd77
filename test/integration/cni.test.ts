/** The node agent enrols pods and lets them go: the tests are in cni-*-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

const inside = (name: string): string => join(import.meta.dirname, `${name}-inside.ts`);

test('the node agent enrols pods and lets them go', () => runInNetworkNamespace(inside('cni')));
for (const program of ['nft', 'iptables'])
  test(`rules by ${program} capture what they should, and stay`, () =>
    runInNetworkNamespace(inside(`cni-rules-${program}`)));
test('the CNI plugin holds pods back until they are captured', () => runInNetworkNamespace(inside('cni-plugin')));
