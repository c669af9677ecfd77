/** Sockets in other network namespaces: the tests are in net-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('sockets in other network namespaces', () => runInNetworkNamespace(join(import.meta.dirname, 'net-inside.ts')));
