/** Two networks and a gateway between them: the tests are in east-west-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('two networks and a gateway between them', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'east-west-inside.ts')));
