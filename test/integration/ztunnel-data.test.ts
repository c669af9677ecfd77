/** Two data parts of ztunnel on loopback: the tests are in ztunnel-data-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('two data parts of ztunnel on loopback', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-data-inside.ts')));
