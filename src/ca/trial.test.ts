import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { openOpensslRoot, type OpensslAuthority } from '../../test/support/openssl-authority.ts';
import { systemClock } from '../lib/clock.ts';
import type { MaterialFiles } from './material.ts';
import { openMaterial } from './trial.ts';

const options = { clock: systemClock, trustDomain: 'cluster.local' };

describe('material that is tried', { skip: spawnSync('openssl', ['version']).status !== 0 }, () => {
  const istio = (signer: OpensslAuthority, ...above: readonly OpensslAuthority[]): MaterialFiles => ({
    'ca-cert.pem': signer.certPem,
    'ca-key.pem': signer.keyPem,
    'cert-chain.pem': [signer, ...above.slice(0, -1)].map(({ certPem }) => certPem).join(''),
    'root-cert.pem': (above.at(-1) ?? signer).certPem,
  });

  test('is taken when peers would take what it signs', async () => {
    using root = openOpensslRoot('root', 'rsa');
    using signer = root.intermediate('signer', 'ec', 'basicConstraints=critical,CA:true,pathlen:0');
    assert.match((await openMaterial(istio(signer, root), options)).rootPem, /BEGIN CERTIFICATE/);
    assert.match((await openMaterial(istio(root), options)).rootPem, /BEGIN CERTIFICATE/);
  });

  const constraints: readonly (readonly [string, string, RegExp])[] = [
    [
      'allows no authority below it',
      'basicConstraints=critical,CA:true,pathlen:0',
      /PATH_LENGTH_EXCEEDED: an authority above allows fewer authorities below it \(basicConstraints, pathlen\)/,
    ],
    [
      'is for mail alone',
      'basicConstraints=critical,CA:true\nextendedKeyUsage=emailProtection',
      /INVALID_PURPOSE: it, or an authority above, is not for TLS servers and clients \(extendedKeyUsage\)/,
    ],
    [
      'is for other names',
      'basicConstraints=critical,CA:true\nnameConstraints=critical,permitted;URI:other.example',
      /permitted subtree violation/,
    ],
  ];
  for (const [what, extensions, reason] of constraints) {
    test(`is refused, naming its file, when an authority above ${what}`, async () => {
      using root = openOpensslRoot('root');
      using between = root.intermediate('between', 'ec', extensions);
      using signer = between.intermediate('signer');
      await assert.rejects(openMaterial(istio(signer, between, root), options), (error: Error) => {
        assert.match(error.message, /^Cannot use the authority's material: ca-cert\.pem signs what no peer takes: /);
        assert.match(error.message, reason);
        return true;
      });
      const certManagers = {
        'tls.crt': signer.certPem + between.certPem,
        'tls.key': signer.keyPem,
        'ca.crt': root.certPem,
      };
      await assert.rejects(openMaterial(certManagers, options), {
        code: 'ca.bad-material',
        message: /: tls\.crt signs/,
      });
    });
  }
});
