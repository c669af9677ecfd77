/** Certificates of data parts that are revoked, or whose authority is away: the tests are in ztunnel-trust-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('trust between two data parts', () => runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-trust-inside.ts')));
