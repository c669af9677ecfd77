/** Peers of another make in front of a data part: the tests are in hostile-peers-inside.ts. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNetworkNamespace } from '../support/network-namespace.ts';

/** Debian's own Python, where its package python3-h2 is. */
const hasPeer = spawnSync('/usr/bin/python3', ['-c', 'import h2']).status === 0;

test(
  'peers of another make, good and hostile',
  { skip: !hasPeer && 'no h2 for /usr/bin/python3: install python3-h2' },
  () => runInNetworkNamespace(join(import.meta.dirname, 'hostile-peers-inside.ts')),
);
