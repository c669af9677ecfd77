/** Policies as users write them, at a data part in namespaces: the tests are in ztunnel-policy-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('policies in IPv4 and IPv6', () => runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-policy-inside.ts')));
