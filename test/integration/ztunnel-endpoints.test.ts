/** Which endpoint of a Service serves a connection, in namespaces of their own, made and joined in a network namespace of the test. */
import { test } from 'node:test';
import { join } from 'node:path';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('endpoints of Services in namespaces of their own', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-endpoints-inside.ts')));
