/** What two data parts tell of their connections: the tests are in ztunnel-telemetry-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('metrics, access log and live connections of two data parts on loopback', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-telemetry-inside.ts')));
