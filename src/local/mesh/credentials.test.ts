import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { load } from 'js-yaml';
import { ensureTokens, writeKubeconfig, writeKubeconfigs, type KubeconfigEntry } from './credentials.ts';
import { createStateDir, statePaths, type StatePaths } from './state-dir.ts';

const entry: KubeconfigEntry = { name: 'ambit', server: 'https://127.0.0.1:1', caPem: 'CA', user: { token: 't' } };

describe('credentials', () => {
  let folder: string;
  let paths: StatePaths;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-credentials-'));
    paths = statePaths(folder);
    createStateDir(paths);
  });
  after(() => rmSync(folder, { recursive: true }));

  const read = (file: string): Record<string, unknown> => load(readFileSync(file, 'utf8')) as Record<string, unknown>;

  it('makes a token for everybody, and keeps those that exist', () => {
    const first = ensureTokens(paths, ['node-1']);
    const second = ensureTokens(paths, ['node-1', 'node-2']);
    assert.equal(new Set(second.map(({ token }) => token)).size, second.length);
    for (const before of first)
      assert.deepEqual(
        second.find(({ user }) => user === before.user),
        before,
      );
    assert.deepEqual(second.find(({ user }) => user === 'system:node:node-2')?.groups, ['system:nodes']);
    assert.deepEqual(JSON.parse(readFileSync(paths.tokens, 'utf8')), second);
    assert.equal(statSync(paths.tokens).mode & 0o777, 0o600);
    assert.ok(second.every(({ token }) => /^[0-9a-f]{64}$/.test(token)));
  });

  it('forgets the tokens of nodes that are gone', () => {
    ensureTokens(paths, ['node-1', 'node-2']);
    assert.ok(!ensureTokens(paths, ['node-1']).some(({ user }) => user === 'system:node:node-2'));
  });

  it('gives every process its own kubeconfig, and the user one for the host', () => {
    const tokens = ensureTokens(paths, ['node-1']);
    writeKubeconfigs(paths, { tokens, caPem: 'CA', apiPort: 4321 });
    const user = read(paths.kubeconfig) as {
      clusters: { cluster: Record<string, string> }[];
      users: { user: object }[];
    };
    assert.equal(user.clusters[0]?.cluster['server'], 'https://127.0.0.1:4321');
    assert.equal(Buffer.from(user.clusters[0]?.cluster['certificate-authority-data'] ?? '', 'base64').toString(), 'CA');
    const node = read(join(paths.pki, 'node-1.kubeconfig')) as { users: { user: object }[] };
    const tokenOf = (name: string): string | undefined => tokens.find((token) => token.user === name)?.token;
    assert.deepEqual(node.users[0]?.user, { token: tokenOf('system:node:node-1') });
    assert.deepEqual(user.users[0]?.user, { token: tokenOf('ambit:admin') });
  });

  it('adds its context to a kubeconfig and leaves the others', () => {
    const file = join(folder, 'config');
    const other = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'work', cluster: { server: 'https://work' } }],
      users: [{ name: 'me', user: { exec: { command: 'login' } } }],
      contexts: [{ name: 'work', context: { cluster: 'work', user: 'me', namespace: 'x' } }],
      'current-context': 'work',
      preferences: { colors: true },
    };
    writeFileSync(file, JSON.stringify(other));
    writeKubeconfig(file, entry);
    writeKubeconfig(file, { ...entry, server: 'https://127.0.0.1:2' });
    const merged = read(file) as typeof other;
    assert.deepEqual(merged.clusters[0], other.clusters[0]);
    assert.deepEqual(merged.users[0], other.users[0]);
    assert.deepEqual(merged.contexts[0], other.contexts[0]);
    assert.deepEqual(merged.preferences, other.preferences);
    assert.deepEqual(
      merged.contexts.map(({ name }) => name),
      ['work', 'ambit'],
    );
    assert.equal(merged.clusters[1]?.cluster.server, 'https://127.0.0.1:2');
    assert.equal(merged['current-context'], 'ambit');
  });

  it('follows a link to the kubeconfig', () => {
    const file = join(folder, 'real');
    const link = join(folder, 'link');
    writeKubeconfig(file, { ...entry, name: 'first' });
    symlinkSync(file, link);
    writeKubeconfig(link, entry);
    assert.ok(lstatSync(link).isSymbolicLink());
    assert.equal((read(file) as { contexts: unknown[] }).contexts.length, 2);
  });

  it('starts a kubeconfig that is missing or empty', () => {
    const empty = join(folder, 'empty');
    writeFileSync(empty, '\n');
    for (const file of [empty, join(folder, 'deep/er/new')]) {
      writeKubeconfig(file, entry);
      assert.equal(read(file)['current-context'], 'ambit');
      assert.equal(statSync(file).mode & 0o777, 0o600);
    }
  });

  it('leaves a file alone that is no kubeconfig', () => {
    for (const text of ['kind: Pod\n', '- 1\n', 'a: [\n']) {
      const file = join(folder, 'notes');
      writeFileSync(file, text);
      assert.throws(() => writeKubeconfig(file, entry), {
        code: 'local.kubeconfig-invalid',
        message: /it is not a kubeconfig; choose another file with --kubeconfig/,
      });
      assert.equal(readFileSync(file, 'utf8'), text);
    }
  });
});
