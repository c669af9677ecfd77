/** What a ztunnel carries at once: the tests are in ztunnel-volume-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

/** A gigabyte takes minutes where others have the cores. */
const timeoutMs = 600_000;

test('a gigabyte, a thousand stalled readers, two hundred pods', { timeout: timeoutMs + 10_000 }, () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-volume-inside.ts'), timeoutMs),
);
