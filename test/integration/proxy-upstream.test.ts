/** A proxy's upstream in a pod of its own, in front of ztunnels: the tests are in proxy-upstream-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

test("a proxy's upstream in front of ztunnels", () =>
  runInNetworkNamespace(join(import.meta.dirname, 'proxy-upstream-inside.ts')));
