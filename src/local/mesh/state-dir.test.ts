import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createStateDir, readMeshRecord, statePaths, writeFileAtomic, writeMeshRecord } from './state-dir.ts';

describe('state folder', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-state-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('makes paths absolute', () => {
    assert.equal(statePaths('/a/../b').supervisorSocket, '/b/run/supervisor.sock');
    assert.equal(statePaths('x').root, join(process.cwd(), 'x'));
  });

  it('refuses a path that sockets could not be bound below', () => {
    const longest = `/${'x'.repeat(107 - '/run/supervisor.sock'.length - 1)}`;
    assert.equal(statePaths(longest).supervisorSocket.length, 107);
    assert.throws(() => statePaths(`${longest}x`), {
      code: 'local.state-path-too-long',
      message: /at most 87 bytes with --state/,
    });
    assert.throws(() => statePaths(`/${'é'.repeat(45)}`), { code: 'local.state-path-too-long' });
  });

  it('accepts the longest path that the kernel takes', async () => {
    const short = join(folder, 's');
    const paths = statePaths(short.padEnd(107 - '/run/supervisor.sock'.length, 'x'));
    createStateDir(paths);
    const server = createServer();
    await new Promise<void>((resolve, reject) => server.on('error', reject).listen(paths.supervisorSocket, resolve));
    await new Promise((resolve) => server.close(resolve));
  });

  it('refuses folders that the mesh could not see', () => {
    for (const path of ['/run', '/run/ambit', '/var/run/ambit', '/tmp/../run/x']) {
      assert.throws(() => statePaths(path), {
        code: 'local.state-below-run',
        message: /choose a folder outside \/run/,
      });
    }
    assert.equal(statePaths('/runner').root, '/runner');
  });

  it('lets only its owner look inside', () => {
    const paths = statePaths(join(folder, 'private'));
    createStateDir(paths);
    createStateDir(paths);
    for (const path of [paths.root, paths.pki, paths.sockets, paths.logs])
      assert.equal(statSync(path).mode & 0o777, 0o700);
    writeFileAtomic(paths.tokens, 'secret');
    assert.equal(statSync(paths.tokens).mode & 0o777, 0o600);
  });

  it('keeps the record of the mesh', () => {
    const paths = statePaths(join(folder, 'record'));
    assert.equal(readMeshRecord(paths), undefined);
    createStateDir(paths);
    const record = { nodes: 3, apiPort: 40_000, images: ['a=b'], init: { pid: 1, startTicks: '5' } };
    writeMeshRecord(paths, record);
    assert.deepEqual(readMeshRecord(paths), record);
    writeFileSync(paths.meshFile, '{');
    assert.throws(() => readMeshRecord(paths), {
      code: 'local.state-corrupt',
      message: /remove the file and run 'ambit up'/,
    });
  });
});
