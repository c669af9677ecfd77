import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { silentLog, type Log, type LogFields } from '../../lib/log.ts';
import { Component, type ComponentSpec } from './components.ts';
import { isSameProcess, startTicks } from './host-process.ts';

describe('component', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-component-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const spec = (name: string, command: readonly string[]): ComponentSpec => ({
    component: name,
    command,
    env: { PATH: '/usr/bin:/bin', GREETING: 'hello' },
    logPath: join(folder, `${name}.log`),
    isReady: () => Promise.resolve(true),
  });
  /** Collects the restarts that a component reports; resolves at the n-th. */
  const restarts = (count: number): { log: Log; seen: LogFields[]; reached: Promise<void> } => {
    const seen: LogFields[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const warn = (_: string, fields: LogFields = {}): void => {
      seen.push(fields);
      if (seen.length === count) resolve();
    };
    return { log: { ...silentLog(), warn }, seen, reached: promise };
  };
  /** A program that says `up` in its log once it handles signals. */
  const untilLogged = async (logPath: string, text: string): Promise<void> => {
    while (!existsSync(logPath) || !readFileSync(logPath, 'utf8').includes(text))
      await new Promise((resolve) => setImmediate(resolve));
  };

  it('starts a process again that ends, later each time, and keeps its output', async () => {
    const { log, seen, reached } = restarts(3);
    const component = new Component(spec('crash', ['sh', '-c', 'echo "$GREETING $HOME"; exit 3']), log);
    component.start();
    await reached;
    await component.stop(1000);
    assert.deepEqual(
      seen.map(({ component: name, outcome }) => `${String(name)} ${String(outcome)}`),
      ['crash exit code 3', 'crash exit code 3', 'crash exit code 3'],
    );
    const delays = seen.map(({ delayMs }) => Number(delayMs));
    // Doubled, give or take the jitter of a fifth.
    assert.ok((delays[1] ?? 0) > (delays[0] ?? 0) && (delays[2] ?? 0) > (delays[1] ?? 0), String(delays));
    assert.equal(readFileSync(component.spec.logPath, 'utf8'), 'hello \n'.repeat(3));
    assert.equal(statSync(component.spec.logPath).mode & 0o777, 0o600);
  });

  it('says which process runs, and since when', async () => {
    const component = new Component(spec('run', ['sh', '-c', 'echo up; exec cat /dev/zero >/dev/null']), silentLog());
    component.start();
    await untilLogged(component.spec.logPath, 'up');
    const status = await component.status();
    assert.equal(status.component, 'run');
    assert.equal(status.node, '');
    assert.equal(status.ready, true);
    assert.ok(startTicks(status.pid));
    assert.ok(Date.parse(status.since) <= Date.now());
    const running = { pid: status.pid, startTicks: startTicks(status.pid) ?? '' };
    await component.stop(10_000);
    assert.ok(!isSameProcess(running));
    const stopped = await component.status();
    assert.deepEqual([stopped.pid, stopped.ready], [0, false]);
  });

  it('is not ready when asking fails', async () => {
    const component = new Component(
      { ...spec('unready', ['cat', '/dev/zero']), isReady: () => Promise.reject(new Error('refused')) },
      silentLog(),
    );
    assert.equal(await component.isReady(), false);
  });

  it('kills what does not end in its grace', async () => {
    const component = new Component(
      spec('stubborn', ['sh', '-c', 'trap "" TERM; echo up; while :; do read -r line || :; done']),
      silentLog(),
    );
    component.start();
    await untilLogged(component.spec.logPath, 'up');
    await component.stop(10);
    assert.equal((await component.status()).pid, 0);
  });

  it('tries a program again that is not there', async () => {
    const { log, seen, reached } = restarts(1);
    const component = new Component(spec('missing', ['/nowhere/program']), log);
    component.start();
    await reached;
    await component.stop(0);
    assert.match(String(seen[0]?.['outcome']), /ENOENT/);
  });

  it('keeps one earlier log when it has grown large', async () => {
    const one = spec('large', ['sh', '-c', 'echo again']);
    writeFileSync(one.logPath, '');
    truncateSync(one.logPath, 17 * 1024 * 1024);
    const { log, reached } = restarts(1);
    const component = new Component(one, log);
    component.start();
    await reached;
    await component.stop(0);
    assert.equal(readFileSync(one.logPath, 'utf8').replace(/(again\n)+/, 'again\n'), 'again\n');
    assert.equal(statSync(`${one.logPath}.1`).size, 17 * 1024 * 1024);
  });

  // The tests above need a POSIX shell: say so plainly when there is none.
  before(() => assert.equal(spawnSync('sh', ['-c', 'exit 7']).status, 7));
});
