/** The node agent enrols pods and lets them go: the tests are in cni-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('the node agent enrols pods and lets them go', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'cni-inside.ts')));
