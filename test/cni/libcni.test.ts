/** The CNI plugin called by libcni, as `npm run test:cni` built it: the tests are in libcni-inside.ts. */
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

const skip = process.env['AMBIT_TEST_CNI_RUNTIME'] === undefined && "no libcni: run 'npm run test:cni'";

test('libcni calls the plugin', { skip }, () => runInNetworkNamespace(join(import.meta.dirname, 'libcni-inside.ts')));
