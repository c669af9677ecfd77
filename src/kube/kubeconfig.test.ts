import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { loadKubeconfig } from './kubeconfig.ts';

const directory = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
after(() => rmSync(directory, { recursive: true }));

function write(user: string, cluster: string = 'server: https://10.0.0.1:6443/'): string {
  const path = join(directory, 'config');
  writeFileSync(
    path,
    `apiVersion: v1
kind: Config
current-context: main
contexts: [{name: main, context: {cluster: c, user: u, namespace: team}}]
clusters: [{name: c, cluster: {${cluster}}}]
users: [{name: u, user: {${user}}}]
`,
  );
  return path;
}

describe('loadKubeconfig', () => {
  it('reads server, namespace, inline data and files beside the config', () => {
    writeFileSync(join(directory, 'ca.pem'), 'CA');
    const access = loadKubeconfig(
      write(
        `client-certificate-data: ${btoa('CERT')}, client-key-data: ${btoa('KEY')}`,
        'server: https://10.0.0.1:6443/, certificate-authority: ca.pem, tls-server-name: api',
      ),
    );
    assert.deepEqual(access, {
      server: 'https://10.0.0.1:6443',
      namespace: 'team',
      insecureSkipTlsVerify: false,
      caPem: 'CA',
      tlsServerName: 'api',
      clientCertPem: 'CERT',
      clientKeyPem: 'KEY',
    });
  });

  it('reads the token from its file when it is asked for', () => {
    writeFileSync(join(directory, 'token'), 'one\n');
    const access = loadKubeconfig(write('tokenFile: token'));
    assert.equal(access.token?.(), 'one');
  });

  it('says which entry is missing', () => {
    const path = write('token: x');
    assert.throws(() => loadKubeconfig(path, 'other'), {
      code: 'kube.kubeconfig',
      message: /contexts has no entry named "other"/,
    });
  });

  it('refuses credentials that it cannot use, and contradictions', () => {
    assert.throws(() => loadKubeconfig(write('exec: {command: aws}')), /uses exec/);
    assert.throws(() => loadKubeconfig(write('client-key-data: eA==')), /needs both/);
    assert.throws(
      () =>
        loadKubeconfig(
          write('token: x', 'server: https://a, insecure-skip-tls-verify: true, certificate-authority-data: eA=='),
        ),
      /exclude each other/,
    );
  });

  it('names the file that is not there', () => {
    assert.throws(() => loadKubeconfig('/nowhere/config'), {
      code: 'kube.kubeconfig',
      message: /"\/nowhere\/config".*ENOENT/,
    });
  });
});
