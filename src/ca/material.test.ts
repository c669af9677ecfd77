import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { openOpensslRoot, type KeyKind, type OpensslAuthority } from '../../test/support/openssl-authority.ts';
import { spiffeId } from '../api/names.ts';
import { createCsr } from '../identity/index.ts';
import { systemClock } from '../lib/clock.ts';
import { createCertificateAuthority } from './authority.ts';
import { readMaterial, type MaterialFiles } from './material.ts';

const identity = spiffeId('cluster.local', 'shop', 'web');
const dayMs = 24 * 3600_000;

describe('material of an authority', { skip: spawnSync('openssl', ['version']).status !== 0 }, () => {
  let root: OpensslAuthority;
  let signer: OpensslAuthority;
  let other: OpensslAuthority;
  before(() => {
    root = openOpensslRoot('root');
    signer = root.intermediate('signer');
    other = openOpensslRoot('other');
  });
  after(() => {
    for (const authority of [root, signer, other]) authority[Symbol.dispose]();
  });
  const istio = (): MaterialFiles => ({
    'ca-cert.pem': signer.certPem,
    'ca-key.pem': signer.keyPem,
    'root-cert.pem': root.certPem,
    'cert-chain.pem': signer.certPem,
  });

  const keys: readonly (readonly [KeyKind, KeyKind])[] = [
    ['ec', 'ec'],
    ['rsa', 'rsa'],
    ['rsa', 'ec'],
    ['ec', 'rsa'],
    ['ec384', 'ec384'],
  ];
  for (const [rootKey, signerKey] of keys) {
    test(`an intermediate with a key of ${signerKey} under a root of ${rootKey} signs what openssl verifies`, async () => {
      using top = openOpensslRoot('top', rootKey);
      using below = top.intermediate('below', signerKey);
      using issuing = below.intermediate('issuing', signerKey);
      const files = [
        // Istio's names, with the chain in a file of its own, and cert-manager's, where the chain follows the signer.
        {
          'ca-cert.pem': issuing.certPem,
          'ca-key.pem': issuing.keyPem,
          'root-cert.pem': top.certPem,
          'cert-chain.pem': issuing.certPem + below.certPem,
        },
        { 'tls.crt': issuing.certPem + below.certPem, 'tls.key': issuing.keyPem, 'ca.crt': top.certPem },
      ];
      for (const material of files) {
        const authority = await createCertificateAuthority({
          ...readMaterial(material, Date.now()),
          clock: systemClock,
        });
        const answer = await authority.signWorkload({ csrPem: createCsr(identity).csrPem, identity });
        assert.equal(answer.length, 4, 'leaf, two intermediates, roots');
        assert.equal(answer.at(-1)?.trim(), top.certPem.trim());
        opensslVerifies(answer);
      }
    });
  }

  test('a root that signs by itself needs no other file', async () => {
    const material = readMaterial({ 'tls.crt': root.certPem, 'tls.key': root.keyPem }, Date.now());
    const authority = await createCertificateAuthority({ ...material, clock: systemClock });
    const answer = await authority.signWorkload({ csrPem: createCsr(identity).csrPem, identity });
    assert.equal(answer.length, 2);
    opensslVerifies(answer);
  });

  test('several roots are kept, each once, and those that have ended are left out', () => {
    const { rootPem } = readMaterial(
      { ...istio(), 'root-cert.pem': root.certPem + other.certPem + root.certPem },
      Date.now(),
    );
    assert.equal(rootPem.match(/BEGIN/g)?.length, 2);
  });

  test('what is wrong is refused, naming the file and no secret', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const encrypted = privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' });
    const broken = signer.keyPem.replace(/\n(.{8})/, '\nAAAAAAAA');
    const leaf = signer.leaf(identity);
    const cases: [string, MaterialFiles, RegExp, number?][] = [
      ['nothing', {}, /ca-cert\.pem is missing, and so is tls\.crt/],
      ['no key', { ...istio(), 'ca-key.pem': '' }, /ca-key\.pem is missing/],
      ['no certificate', { ...istio(), 'ca-cert.pem': undefined }, /ca-cert\.pem is missing/],
      ['another key', { ...istio(), 'ca-key.pem': other.keyPem }, /ca-key\.pem is not the key of ca-cert\.pem/],
      ['no key at all', { ...istio(), 'ca-key.pem': 'hello' }, /ca-key\.pem is not a private key in PEM/],
      ['a broken key', { ...istio(), 'ca-key.pem': broken }, /ca-key\.pem is not a private key in PEM/],
      ['an encrypted key', { ...istio(), 'ca-key.pem': encrypted.toString() }, /ca-key\.pem is encrypted/],
      ['no PEM', { ...istio(), 'ca-cert.pem': 'hello' }, /ca-cert\.pem holds no certificate in PEM/],
      [
        'cut off',
        { ...istio(), 'root-cert.pem': cut(root.certPem) },
        /root-cert\.pem holds a certificate that cannot be parsed/,
      ],
      [
        'a leaf',
        { ...istio(), 'ca-cert.pem': leaf.certPem, 'ca-key.pem': leaf.keyPem },
        /ca-cert\.pem is not the certificate of an authority/,
      ],
      [
        'no root',
        { ...istio(), 'root-cert.pem': '' },
        /root-cert\.pem is missing, and ca-cert\.pem is not a root itself/,
      ],
      [
        'another root',
        { ...istio(), 'root-cert.pem': other.certPem },
        /ca-cert\.pem chains to none of the certificates in root-cert\.pem: nothing signs "O=signer"/,
      ],
      [
        'a leaf as root',
        { ...istio(), 'root-cert.pem': root.certPem + leaf.certPem },
        /root-cert\.pem holds "CN=leaf", which is not an authority/,
      ],
      ['it has ended', istio(), /ca-cert\.pem cannot sign: "O=signer" ended at/, Date.now() + 25 * dayMs],
      ['all has ended', istio(), /ca-cert\.pem cannot sign: "O=signer" ended at/, Date.now() + 250 * dayMs],
      ['not yet', istio(), /ca-cert\.pem cannot sign yet: "O=signer" starts at/, Date.now() - dayMs],
      [
        'cert-manager',
        { 'tls.crt': signer.certPem, 'tls.key': signer.keyPem },
        /ca\.crt is missing, and tls\.crt is not a root itself/,
      ],
    ];
    for (const [what, files, message, atMs = Date.now()] of cases) {
      assert.throws(
        () => readMaterial(files, atMs),
        (error: Error) => {
          assert.match(error.message, message, what);
          assert.ok(!inspect(error).includes('PRIVATE'));
          return true;
        },
      );
    }
  });
});

function cut(pem: string): string {
  const [head = '', ...rest] = pem.trim().split('\n');
  return [head, ...rest.slice(0, 2), rest.at(-1)].join('\n');
}

function opensslVerifies(answer: readonly string[]): void {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-verify-'));
  try {
    const [leaf = '', ...rest] = answer;
    writeFileSync(join(folder, 'leaf'), leaf);
    writeFileSync(join(folder, 'chain'), rest.slice(0, -1).join('') || leaf);
    writeFileSync(join(folder, 'roots'), rest.at(-1) ?? '');
    for (const purpose of ['sslclient', 'sslserver']) {
      const args = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', join(folder, 'roots')];
      execFileSync('openssl', [...args, '-untrusted', join(folder, 'chain'), join(folder, 'leaf')], { stdio: 'pipe' });
    }
    const text = execFileSync('openssl', ['x509', '-in', join(folder, 'leaf'), '-noout', '-text']).toString();
    assert.match(text, /X509v3 Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web/);
    assert.equal(new X509Certificate(leaf).subject ?? '', '');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
