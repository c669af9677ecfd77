import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { childrenOf, isSameProcess, mapNamespacePids, parentOf, startTicks } from './host-process.ts';

/** A process that lives until its standard input ends. */
async function withChild(run: (pid: number) => void | Promise<void>): Promise<number> {
  const child = spawn('cat', { stdio: ['pipe', 'ignore', 'ignore'] });
  await once(child, 'spawn');
  const { pid = 0 } = child;
  try {
    await run(pid);
  } finally {
    child.stdin?.end();
    await once(child, 'exit');
  }
  return pid;
}

describe('host processes', () => {
  it('know their parent and their children', async () => {
    await withChild((pid) => {
      assert.equal(parentOf(pid), process.pid);
      assert.ok(childrenOf(process.pid).includes(pid));
      assert.deepEqual(childrenOf(pid), []);
    });
  });

  it('are told apart by when they started, also from one that is gone', async () => {
    let ticks: string | undefined;
    const pid = await withChild((alive) => {
      ticks = startTicks(alive);
      assert.match(ticks ?? '', /^\d+$/);
      assert.ok(isSameProcess({ pid: alive, startTicks: ticks ?? '' }));
      assert.ok(!isSameProcess({ pid: alive, startTicks: `${ticks}0` }));
    });
    assert.equal(startTicks(pid), undefined);
    assert.equal(parentOf(pid), undefined);
    assert.ok(!isSameProcess({ pid, startTicks: ticks ?? '' }));
  });

  it('map to themselves below a process of the same namespace, and to nothing without one', async () => {
    await withChild((pid) => {
      const mapped = mapNamespacePids(process.pid);
      const self = [...mapped].find(([, outer]) => outer === process.pid);
      assert.equal(self?.[1], process.pid);
      assert.ok([...mapped.values()].includes(pid));
      assert.ok(![...mapped.values()].includes(process.ppid));
    });
    assert.equal(mapNamespacePids(2 ** 22 + 1).size, 0);
  });
});
