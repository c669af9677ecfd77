/** The DNS proxy of a pod in network namespaces: the tests are in dns-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('the DNS proxy of a pod in network namespaces', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'dns-inside.ts')));
