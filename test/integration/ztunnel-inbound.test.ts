/** What a pod takes, from whom, and what its application is told: the tests are in ztunnel-inbound-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('inbound connections of pods in namespaces of their own', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-inbound-inside.ts')));
