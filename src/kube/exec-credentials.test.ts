import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createFakeClock, type FakeClock } from '../lib/fake-clock.ts';
import type { CredentialSource } from './access.ts';
import { createExecCredentials } from './exec-credentials.ts';
import { loadKubeconfig } from './kubeconfig.ts';

const directory = mkdtempSync(join(tmpdir(), 'exec-credentials-'));
after(() => rmSync(directory, { recursive: true }));

/** A plugin that counts its runs in a file and answers with `status`, in which COUNT is the number of the run. */
function plugin(status: unknown, version = 'client.authentication.k8s.io/v1'): { command: string; runs: () => number } {
  const folder = mkdtempSync(join(directory, 'plugin-'));
  const command = join(folder, 'plugin.sh');
  const answer = JSON.stringify({ apiVersion: version, kind: 'ExecCredential', status });
  writeFileSync(
    command,
    `#!/bin/sh\necho x >> ${folder}/runs\nn=$(wc -l < ${folder}/runs)\n` +
      `printf %s "$KUBERNETES_EXEC_INFO" > ${folder}/info\nprintf %s "$1$EXTRA$INHERITED" > ${folder}/said\n` +
      `echo '${answer}' | sed s/COUNT/$n/\n`,
  );
  chmodSync(command, 0o755);
  return { command, runs: () => readFileSync(join(folder, 'runs'), 'utf8').trim().split('\n').length };
}

/** A kubeconfig with an exec stanza, loaded. */
function load(exec: Record<string, unknown>, env: Record<string, string> = {}): ReturnType<typeof loadKubeconfig> {
  const path = join(mkdtempSync(join(directory, 'config-')), 'config');
  writeFileSync(
    path,
    JSON.stringify({
      'current-context': 'x',
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
      clusters: [
        {
          name: 'c',
          cluster: {
            server: 'https://a',
            'certificate-authority-data': btoa('-----BEGIN CA-----'),
            extensions: [{ name: 'client.authentication.k8s.io/exec', extension: { audience: 'x' } }],
          },
        },
      ],
      users: [
        {
          name: 'u',
          user: { exec: { apiVersion: 'client.authentication.k8s.io/v1', interactiveMode: 'Never', ...exec } },
        },
      ],
    }),
  );
  return loadKubeconfig(path, { env: { PATH: '/usr/bin:/bin', ...env } });
}

function source(command: string, clock: FakeClock, extra: { timeoutMs?: number } = {}): CredentialSource {
  return createExecCredentials(
    {
      apiVersion: 'client.authentication.k8s.io/v1',
      command,
      args: [],
      env: [],
      interactiveMode: 'Never',
      fail: (what) => new Error(what),
    },
    { clock, env: { PATH: '/usr/bin:/bin' }, ...extra },
  );
}

describe('an exec credential plugin', () => {
  it('is run with its arguments, its environment, and what it wants to know of the cluster', async () => {
    const { command } = plugin({ token: 'tCOUNT' });
    const { credentials } = load(
      { command, args: ['one,'], env: [{ name: 'EXTRA', value: 'two,' }], provideClusterInfo: true },
      { INHERITED: 'three' },
    );
    assert.deepEqual(await credentials?.get(), { token: 't1' });
    const folder = join(command, '..');
    assert.equal(readFileSync(join(folder, 'said'), 'utf8'), 'one,two,three');
    assert.deepEqual(JSON.parse(readFileSync(join(folder, 'info'), 'utf8')), {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      spec: {
        interactive: false,
        cluster: {
          server: 'https://a',
          'certificate-authority-data': btoa('-----BEGIN CA-----'),
          config: { audience: 'x' },
        },
      },
    });
  });

  it('is run once for many callers, and again when what it gave expired or was refused', async () => {
    const clock = createFakeClock(Date.parse('2030-01-01T00:00:00Z'));
    const { command, runs } = plugin({ token: 'tCOUNT', expirationTimestamp: '2030-01-01T01:00:00Z' });
    const credentials = source(command, clock);
    const [one, two] = await Promise.all([credentials.get(), credentials.get()]);
    assert.deepEqual([one, two, runs()], [{ token: 't1' }, { token: 't1' }, 1]);
    assert.deepEqual(await credentials.get(one), { token: 't2' });
    // A late 401 of what was replaced since.
    assert.deepEqual(await credentials.get(one), { token: 't2' });
    clock.advance(3_600_000);
    assert.deepEqual(await credentials.get(), { token: 't3' });
  });

  it('may give a certificate', async () => {
    const { command } = plugin(
      { clientCertificateData: 'CERT', clientKeyData: 'KEY' },
      'client.authentication.k8s.io/v1beta1',
    );
    const { credentials } = load({
      command,
      apiVersion: 'client.authentication.k8s.io/v1beta1',
      interactiveMode: undefined,
    });
    assert.deepEqual(await credentials?.get(), { clientCertPem: 'CERT', clientKeyPem: 'KEY' });
  });

  it('that is missing is named, with the hint of how to install it', async () => {
    const { credentials } = load({ command: 'ambit-no-such-plugin', installHint: 'Install it from example.com.' });
    await assert.rejects(credentials!.get(), {
      code: 'kube.exec-credential',
      message: /config": user "u": exec: "ambit-no-such-plugin" was not found\. Install it from example\.com\./,
    });
  });

  it('that fails shows what it complained of, and never what it answered', async () => {
    const script = (text: string): string => {
      const path = join(mkdtempSync(join(directory, 'bad-')), 'plugin.sh');
      writeFileSync(path, `#!/bin/sh\n${text}\n`);
      chmodSync(path, 0o755);
      return path;
    };
    const clock = createFakeClock();
    const said = async (text: string, options: { timeoutMs?: number } = {}): Promise<string> => {
      const error: unknown = await source(script(text), clock, options)
        .get()
        .catch((thrown: unknown) => thrown);
      assert.ok(error instanceof Error);
      return error.message;
    };
    assert.match(await said('echo secret; echo please log in >&2; exit 3'), /ended with code 3: please log in$/);
    assert.match(await said('echo secret'), /is no JSON$/);
    assert.match(await said(`echo '{"kind":"Secret"}'`), /is no ExecCredential$/);
    assert.match(await said(`echo '{"kind":"ExecCredential","apiVersion":"v2"}'`), /not of apiVersion/);
    const answer = (status: string): string =>
      `echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":${status}}'`;
    assert.match(await said(answer('{}')), /neither token nor certificate/);
    assert.match(await said(answer('{"clientKeyData":"k"}')), /without the other/);
    assert.match(await said(answer('{"token":7}')), /no text/);
    assert.match(await said(answer('{"token":"t","expirationTimestamp":"soon"}')), /no time/);
    assert.match(await said('exec sleep 60', { timeoutMs: 50 }), /took too long/);
    assert.match(await said('exec head -c 2000000 /dev/zero'), /wrote more than/);
  });

  it('that must ask somebody is not run where nobody is', async () => {
    const { command } = plugin({ token: 't' });
    const { credentials } = load({ command, interactiveMode: 'Always' });
    await assert.rejects(credentials!.get(), /wants to ask somebody/);
  });
});
