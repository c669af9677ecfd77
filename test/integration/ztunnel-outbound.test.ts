/** Where connections go, and what becomes of those that cannot: the tests are in ztunnel-outbound-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('outbound connections of pods in namespaces of their own', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-outbound-inside.ts')));
