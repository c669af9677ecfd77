/** A pair of ztunnels between two nodes: the tests are in ztunnel-pair-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('a pair of ztunnels between two nodes', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-pair-inside.ts')));
