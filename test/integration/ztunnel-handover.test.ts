/** ztunnels whose listening sockets are handed over: replaced, killed and held up under load; the tests are in ztunnel-handover-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

/** A dozen processes that start one after the other take minutes where others have the cores. */
const timeoutMs = 300_000;

test('ztunnels that come and go, with a holder between', { timeout: timeoutMs + 10_000 }, () =>
  runInNetworkNamespace(join(import.meta.dirname, 'ztunnel-handover-inside.ts'), timeoutMs),
);
