/** Pods that die without a word and addresses that others get: the tests are in ztunnel-reuse-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('peers that vanish', () => runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-reuse-inside.ts')));
