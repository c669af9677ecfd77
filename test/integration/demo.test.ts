/** The demo as a newcomer runs it: as root, as an ordinary user, and with nothing left on the machine. */
import assert from 'node:assert/strict';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { launcher } from '../support/mesh.ts';
import { processesOf } from '../support/processes.ts';
import { run, type RunResult } from '../support/run.ts';

/** `nobody` of Debian. */
const ordinaryUser = 65_534;

interface Row {
  readonly caller: string;
  readonly called: string;
  readonly callerIdentity: string;
  readonly mutualTls: boolean;
  readonly outcome: string;
  readonly policy?: string;
  readonly wrong?: string;
}

/** Everything that a mesh could have changed in the caller's own network namespace. */
async function hostNetwork(): Promise<string> {
  const commands = [
    ['ip', '-o', 'addr'],
    ['ip', '-o', 'link'],
    ['ip', 'route', 'show', 'table', 'all'],
    ['ip', 'rule'],
    ['ip', 'netns'],
    ['nft', 'list', 'ruleset'],
    ['cat', '/proc/sys/net/ipv4/ip_forward'],
  ];
  const outputs = await Promise.all(commands.map((command) => run(command)));
  // Lifetimes of addresses count down by themselves.
  return outputs.map((output) => output.stdout.replaceAll(/\d+sec/g, '')).join('\n');
}

async function demo(prefix: readonly string[], state: string): Promise<RunResult> {
  return run([...prefix, launcher, 'demo', '--once', '-o', 'json', '--state', state], { timeoutMs: 240_000 });
}

function checkRows(result: RunResult): void {
  assert.equal(result.code, 0, result.stderr);
  const rows = JSON.parse(result.stdout) as Row[];
  assert.ok(rows.every((row) => row.wrong === undefined));
  assert.ok(rows.some((row) => row.mutualTls && row.callerIdentity === 'spiffe://cluster.local/ns/default/sa/sleep'));
  assert.ok(
    rows.some((row) => row.outcome === 'denied' && row.caller === 'sleep' && row.policy === 'default/ratings-viewer'),
  );
  assert.ok(rows.some((row) => row.outcome === 'denied' && row.caller === 'visitor' && !row.mutualTls));
  assert.match(result.stderr, /starting the API server/, 'progress is shown');
}

describe('ambit demo --once', () => {
  it('shows the right rows and leaves the network of the machine as it was', async () => {
    const state = join(await mkdtemp(join(tmpdir(), 'ambit-test-')), 'state');
    try {
      const before = await hostNetwork();
      checkRows(await demo([], state));
      assert.equal(await hostNetwork(), before);
      assert.deepEqual(processesOf(state), [], 'no process is left');
    } finally {
      await rm(join(state, '..'), { recursive: true, force: true });
    }
  });

  it('works for an ordinary user', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('this whole run is by an ordinary user');
    const drop = ['setpriv', `--reuid=${ordinaryUser}`, `--regid=${ordinaryUser}`, '--clear-groups'];
    if ((await run([...drop, 'unshare', '--user', '--map-root-user', 'true'])).code !== 0)
      return t.skip('this kernel keeps user namespaces from ordinary users');
    if ((await run([...drop, 'cat', launcher])).code !== 0)
      return t.skip(`${launcher} is not readable for ordinary users`);
    const home = await mkdtemp(join(tmpdir(), 'ambit-test-'));
    try {
      await chown(home, ordinaryUser, ordinaryUser);
      checkRows(await demo([...drop, 'env', `HOME=${home}`], join(home, 'state')));
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });
});
