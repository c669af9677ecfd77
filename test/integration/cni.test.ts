/** The node agent enrols pods and lets them go: the tests are in cni-*-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

const inside = (name: string): string => join(import.meta.dirname, `${name}-inside.ts`);

test('the node agent enrols pods and lets them go', () => runInNetworkNamespace(inside('cni')));
test('rules capture what they should, and stay', () => runInNetworkNamespace(inside('cni-rules'), 300_000));
test('the CNI plugin holds pods back until they are captured', () => runInNetworkNamespace(inside('cni-plugin')));
