/** ztunnels whose listening sockets are side by side: replaced and killed under load; the tests are in ztunnel-swap-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

/** A dozen processes that start one after the other take minutes where others have the cores. */
const timeoutMs = 300_000;

test('ztunnels that come and go, side by side', { timeout: timeoutMs + 10_000 }, () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-swap-inside.ts'), timeoutMs),
);
