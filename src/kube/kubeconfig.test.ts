import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createFakeClock } from '../lib/fake-clock.ts';
import { accessFromEnvironment, inClusterAccess } from './in-cluster.ts';
import { kubeconfigPaths, loadKubeconfig } from './kubeconfig.ts';
import { tokenFromFile } from './token-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
after(() => rmSync(directory, { recursive: true }));

const pem = (what: string): string => `-----BEGIN ${what}-----\n`;
let files = 0;

/** Writes a kubeconfig of one context; arguments are YAML flow mappings without braces. */
function write(user: string, cluster: string = 'server: https://10.0.0.1:6443/'): string {
  return writeText(`apiVersion: v1
kind: Config
current-context: main
contexts: [{name: main, context: {cluster: c, user: u, namespace: team}}]
clusters: [{name: c, cluster: {${cluster}}}]
users: [{name: u, user: {${user}}}]
`);
}

function writeText(text: string): string {
  const path = join(directory, `config-${files++}`);
  writeFileSync(path, text);
  return path;
}

describe('loadKubeconfig', () => {
  it('reads server, namespace, inline data and files beside the config', () => {
    writeFileSync(join(directory, 'ca.pem'), pem('CA'));
    const { readCertificates, ...access } = loadKubeconfig(
      write(
        `client-certificate-data: ${btoa(pem('CERT'))}, client-key-data: ${btoa(pem('KEY'))}`,
        'server: https://10.0.0.1:6443/, certificate-authority: ca.pem, tls-server-name: api',
      ),
    );
    assert.deepEqual(access, {
      server: 'https://10.0.0.1:6443',
      namespace: 'team',
      insecureSkipTlsVerify: false,
      caPem: pem('CA'),
      tlsServerName: 'api',
      clientCertPem: pem('CERT'),
      clientKeyPem: pem('KEY'),
    });
    writeFileSync(join(directory, 'ca.pem'), pem('CA 2'));
    assert.deepEqual(readCertificates?.(), {
      caPem: pem('CA 2'),
      clientCertPem: pem('CERT'),
      clientKeyPem: pem('KEY'),
    });
  });

  it('reads the token from its file when it is asked for', () => {
    writeFileSync(join(directory, 'token'), 'one\n');
    const { token } = loadKubeconfig(write('tokenFile: token, token: fallback'));
    assert.equal(token?.(), 'one');
    writeFileSync(join(directory, 'token'), 'two\n');
    assert.equal(token?.(), 'one');
    assert.equal(token?.(true), 'two');
    assert.equal(loadKubeconfig(write('tokenFile: nowhere, token: fallback')).token?.(), 'fallback');
    assert.throws(() => loadKubeconfig(write('tokenFile: nowhere')).token?.(), { code: 'kube.token-file' });
  });

  it('picks a context by name', () => {
    const path = writeText(`
current-context: one
contexts: [{name: one, context: {cluster: a}}, {name: two, context: {cluster: b}}]
clusters: [{name: a, cluster: {server: "http://a"}}, {name: b, cluster: {server: "http://b"}}]
`);
    assert.equal(loadKubeconfig(path).server, 'http://a');
    assert.equal(loadKubeconfig(path, { context: 'two' }).server, 'http://b');
    assert.throws(() => loadKubeconfig(path, { context: 'three' }), {
      code: 'kube.kubeconfig',
      message: /config-\d+": contexts has no entry named "three" \(it has "one", "two"\)/,
    });
  });

  it('merges files: the first that has a name decides, and missing ones are passed over', () => {
    mkdirSync(join(directory, 'other'), { recursive: true });
    writeFileSync(join(directory, 'other/token'), 'of the other folder');
    writeFileSync(
      join(directory, 'other/config'),
      'current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u2}}]\n' +
        'clusters: [{name: c, cluster: {server: "https://second"}}]\nusers: [{name: u2, user: {tokenFile: token}}]\n',
    );
    const first = writeText('clusters: [{name: c, cluster: {server: "https://first"}}]\ncurrent-context: ""\n');
    const variable = [join(directory, 'nowhere'), first, '', join(directory, 'other/config'), first].join(':');
    const paths = kubeconfigPaths(variable);
    assert.equal(paths.length, 3);
    const access = loadKubeconfig(paths);
    assert.equal(access.server, 'https://first');
    assert.equal(access.token?.(), 'of the other folder');
    assert.equal(access.namespace, 'default');
    assert.throws(() => loadKubeconfig(['/nowhere/a', '/nowhere/b']), /"\/nowhere\/a:\/nowhere\/b": none of the files/);
  });

  it('reads impersonation and a proxy', () => {
    const access = loadKubeconfig(
      write(
        'token: x, as: jane, as-uid: "7", as-groups: [dev, ops], as-user-extra: {example.com/team: [a, b]}',
        'server: https://a, proxy-url: "http://me:secret@proxy:3128"',
      ),
    );
    assert.deepEqual(access.impersonate, {
      user: 'jane',
      uid: '7',
      groups: ['dev', 'ops'],
      extra: { 'example.com/team': ['a', 'b'] },
    });
    assert.equal(access.proxyUrl, 'http://me:secret@proxy:3128');
  });

  for (const [what, user, cluster, message] of [
    [
      'basic authentication',
      'username: a, password: b',
      undefined,
      /user "u": username and password: Kubernetes dropped/,
    ],
    ['auth-provider', 'auth-provider: {name: gcp}', undefined, /user "u": auth-provider is not supported/],
    ['a key without its certificate', `client-key-data: ${btoa(pem('K'))}`, undefined, /user "u": .*needs both/],
    ['groups of nobody', 'as-groups: [a]', undefined, /user "u": .*need as/],
    ['a token that YAML takes for a number', 'token: 123', undefined, /user "u": token must be a string/],
    [
      'data that is not base64',
      'token: x',
      'server: https://a, certificate-authority-data: "%%"',
      /cluster "c": certificate-authority-data is not base64/,
    ],
    [
      'data that is no PEM',
      'token: x',
      `server: https://a, certificate-authority-data: ${btoa('CA')}`,
      /cluster "c": certificate-authority-data holds no PEM/,
    ],
    [
      'a file that is not there',
      'token: x',
      'server: https://a, certificate-authority: no.pem',
      /cluster "c": certificate-authority: .*ENOENT/,
    ],
    [
      'two opinions on verification',
      'token: x',
      `server: https://a, insecure-skip-tls-verify: true, certificate-authority-data: ${btoa(pem('CA'))}`,
      /exclude each other/,
    ],
    [
      'a flag in quotes',
      'token: x',
      'server: https://a, insecure-skip-tls-verify: "true"',
      /insecure-skip-tls-verify must be true or false/,
    ],
    [
      'a proxy of another protocol, without showing its password',
      'token: x',
      'server: https://a, proxy-url: "socks5://me:secret@p:1080"',
      /proxy-url "socks5:\/\/\.\.\.@p:1080" is no http/,
    ],
    ['a cluster without server', 'token: x', 'tls-server-name: a', /cluster "c": server is missing/],
    ['a server that is no URL', 'token: x', 'server: "10.0.0.1:6443"', /cluster "c": server "10.0.0.1:6443" is no/],
    [
      'an exec plugin of an old version',
      'exec: {command: aws, apiVersion: client.authentication.k8s.io/v1alpha1}',
      undefined,
      /user "u": exec: apiVersion ".*v1alpha1" is not supported/,
    ],
    [
      'an exec plugin without command',
      'exec: {apiVersion: client.authentication.k8s.io/v1}',
      undefined,
      /user "u": exec: command is missing/,
    ],
    [
      'an exec plugin of v1 that does not say how to ask',
      'exec: {command: aws, apiVersion: client.authentication.k8s.io/v1}',
      undefined,
      /exec: interactiveMode "" is none of/,
    ],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => loadKubeconfig(write(user, cluster)),
        (error: Error) => {
          assert.match(error.message, /^Cannot use kubeconfig ".*config-\d+": /);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  it('names the file that is not there, or that is something else', () => {
    assert.throws(() => loadKubeconfig('/nowhere/config'), {
      code: 'kube.kubeconfig',
      message: /"\/nowhere\/config".*ENOENT/,
    });
    assert.throws(() => loadKubeconfig(writeText('[1]')), /it is not a mapping/);
    assert.throws(() => loadKubeconfig(writeText('kind: Pod')), /kind is "Pod"/);
    assert.throws(() => loadKubeconfig(writeText('a: [')), { code: 'kube.kubeconfig' });
    assert.throws(() => loadKubeconfig(writeText('')), /it has no current-context/);
    assert.throws(() => loadKubeconfig(writeText('current-context: a\ncontexts: {}')), /contexts must be a list/);
  });
});

describe('the access of a pod', () => {
  const account = join(directory, 'account');
  mkdirSync(account);
  writeFileSync(join(account, 'ca.crt'), pem('CA'));
  writeFileSync(join(account, 'token'), 'first');
  writeFileSync(join(account, 'namespace'), 'shop\n');

  it('is its service account, read again as it rotates', () => {
    const access = inClusterAccess({ host: 'fd00::1', port: 443, directory: account });
    assert.equal(access.server, 'https://[fd00::1]:443');
    assert.equal(access.namespace, 'shop');
    assert.equal(access.token?.(), 'first');
    writeFileSync(join(account, 'ca.crt'), pem('CA 2'));
    assert.deepEqual(access.readCertificates?.(), { caPem: pem('CA 2') });
  });

  it('says what is missing', () => {
    assert.throws(() => inClusterAccess({ host: 'a', port: 1, directory: '/nowhere' }), { code: 'kube.token-file' });
    assert.throws(() => accessFromEnvironment({}), {
      code: 'kube.no-configuration',
      message: /neither KUBECONFIG nor KUBERNETES_SERVICE_HOST/,
    });
    assert.throws(() => accessFromEnvironment({ KUBERNETES_SERVICE_HOST: 'a', KUBERNETES_SERVICE_PORT: 'tcp://' }), {
      message: /KUBERNETES_SERVICE_PORT "tcp:\/\/" is no port/,
    });
  });

  it('is that of KUBECONFIG where it is set', () => {
    const path = write('token: x');
    assert.equal(
      accessFromEnvironment({ KUBECONFIG: path, KUBERNETES_SERVICE_HOST: 'a' }).server,
      'https://10.0.0.1:6443',
    );
  });
});

describe('a token in a file', () => {
  it('is believed for ten seconds, and outlives a file that is away or empty', () => {
    const path = join(directory, 'rotating');
    const clock = createFakeClock();
    writeFileSync(path, 'one');
    const token = tokenFromFile(path, { clock });
    assert.equal(token(), 'one');
    writeFileSync(path, 'two');
    clock.advance(9_999);
    assert.equal(token(), 'one');
    clock.advance(1);
    assert.equal(token(), 'two');
    writeFileSync(path, '');
    assert.equal(token(true), 'two');
    rmSync(path);
    assert.equal(token(true), 'two');
  });
});
