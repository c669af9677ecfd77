/** ztunnels that are replaced, killed and held up under load: the tests are in ztunnel-swap-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('ztunnels that come and go', () => runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-swap-inside.ts')));
