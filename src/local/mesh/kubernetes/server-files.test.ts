import assert from 'node:assert/strict';
import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ensureTokens } from '../credentials.ts';
import { createStateDir, statePaths, type StatePaths } from '../state-dir.ts';
import { formatToken, nodeKeyPair, serverUsers, writeServerFiles, type ServerFiles } from './server-files.ts';

describe("the files of Kubernetes' own server", () => {
  let paths: StatePaths;
  let files: ServerFiles;
  const nodes = ['node-1', 'node-2'];

  before(async () => {
    paths = statePaths(mkdtempSync(join(tmpdir(), 'ambit-server-files-')));
    createStateDir(paths);
    files = await writeServerFiles(paths, { nodes, tokens: ensureTokens(paths, nodes, serverUsers) });
  });
  after(() => rmSync(paths.root, { recursive: true }));

  const certificate = (path: string): X509Certificate => new X509Certificate(readFileSync(path));

  it('give every node a certificate for its own address, of the CA that the API server trusts', () => {
    const ca = certificate(files.caPath);
    for (const [index, node] of nodes.entries()) {
      const own = certificate(nodeKeyPair(paths, node).certPath);
      assert.ok(own.verify(ca.publicKey));
      assert.equal(own.checkIP(`172.30.1.${index + 1}`), `172.30.1.${index + 1}`);
      assert.equal(own.checkIP(`172.30.1.${2 - index}`), undefined);
    }
  });

  it('let the API server prove itself as a client, and nothing else', () => {
    const { keyUsage, subject } = certificate(files.kubeletClient.certPath);
    assert.equal(subject, 'CN=kube-apiserver-kubelet-client');
    assert.deepEqual(keyUsage, ['1.3.6.1.5.5.7.3.2']);
  });

  it('list every user once, with groups in one quoted field', () => {
    const lines = readFileSync(files.tokensPath, 'utf8').trimEnd().split('\n');
    const users = lines.map((line) => line.split(',')[1]);
    assert.equal(new Set(users).size, users.length);
    for (const user of ['ambit:admin', 'system:node:node-2', ...serverUsers]) assert.ok(users.includes(user), user);
    assert.equal(formatToken({ token: 't', user: 'u', groups: ['a', 'b'] }), 't,u,u,"a,b"\n');
    assert.equal(formatToken({ token: 't', user: 'u', groups: [] }), 't,u,u\n');
  });

  it('verify what they sign, and are for their owner alone', () => {
    const published = createPublicKey(readFileSync(files.tokenPublicKeyPath));
    assert.ok(published.equals(createPublicKey(readFileSync(files.tokenKeyPath))));
    for (const path of [files.tokenKeyPath, files.tokensPath, files.kubeletClient.keyPath, files.schedulerKubeconfig])
      assert.equal(statSync(path).mode & 0o077, 0, path);
  });

  it('stay as they are at the next start', async () => {
    const before = readFileSync(nodeKeyPair(paths, 'node-1').certPath, 'utf8');
    await writeServerFiles(paths, { nodes, tokens: ensureTokens(paths, nodes, serverUsers) });
    assert.equal(readFileSync(nodeKeyPair(paths, 'node-1').certPath, 'utf8'), before);
  });
});
