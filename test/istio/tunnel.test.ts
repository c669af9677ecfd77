/** Tunnels between Ambit's data part and Istio's HBONE client and server: the tests are in tunnel-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';
import { skip } from './peers.ts';

test("tunnels to and from Istio's HBONE", { skip }, () =>
  runInNetworkNamespace(join(import.meta.dirname, 'tunnel-inside.ts')),
);
