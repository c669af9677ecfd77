/** What a ztunnel carries at once: the tests are in ztunnel-volume-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test('a gigabyte, a thousand stalled readers, two hundred pods', () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-volume-inside.ts')));
