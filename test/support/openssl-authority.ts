/** An authority run by the `openssl` program: certificates, intermediates and revocation lists that our own code did not make. */
import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SpiffeId } from '../../src/api/names.ts';
import { acceptCertificate, type WorkloadCertificate } from '../../src/identity/index.ts';

export interface OpensslAuthority extends Disposable {
  readonly certPem: string;
  readonly keyPem: string;
  /** A certificate for the key of a request, with one URI name and the usages of both ends. */
  leaf(uri: string): { readonly certPem: string; readonly keyPem: string };
  /** An authority that this one signs, and that is disposed of with it. `constraints`: extensions besides its key usage, one a line; by default it may sign anything. */
  intermediate(name: string, key?: KeyKind, constraints?: string): OpensslAuthority;
  /** Everything revoked so far. `days` may be negative: a list that is late. */
  crl(format?: 'pem' | 'der', extensions?: string): Buffer;
  revoke(certPem: string): void;
}

export type KeyKind = 'ec' | 'ec384' | 'rsa';

const newKey: Readonly<Record<KeyKind, readonly string[]>> = {
  ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  ec384: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  rsa: ['-newkey', 'rsa:2048'],
};

export function openOpensslRoot(name: string, key: KeyKind = 'ec'): OpensslAuthority {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-openssl-'));
  const path = (file: string): string => join(folder, file);
  openssl(
    'req',
    '-x509',
    '-new',
    '-nodes',
    ...newKey[key],
    '-keyout',
    path('ca.key'),
    '-out',
    path('ca.pem'),
    '-days',
    '30',
    '-subj',
    `/O=${name}`,
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  );
  return authorityIn(folder);
}

/** One that is there already: to say what of it is revoked. */
export function openOpensslAuthority({ certPem, keyPem }: { certPem: string; keyPem: string }): OpensslAuthority {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-openssl-'));
  writeFileSync(join(folder, 'ca.pem'), certPem);
  writeFileSync(join(folder, 'ca.key'), keyPem);
  return authorityIn(folder);
}

function authorityIn(folder: string): OpensslAuthority {
  const path = (file: string): string => join(folder, file);
  const read = (file: string): string => readFileSync(path(file), 'utf8');
  writeFileSync(path('index'), '');
  writeFileSync(path('crlnumber'), '01\n');
  const sections = (extensions: string): void =>
    writeFileSync(
      path('conf'),
      `[ca]\ndefault_ca=own\n[own]\ndatabase=${path('index')}\ncrlnumber=${path('crlnumber')}\ncertificate=${path('ca.pem')}\nprivate_key=${path('ca.key')}\ndefault_md=sha256\ndefault_crl_days=7\n${extensions === '' ? '' : 'crl_extensions=ext\n[ext]\n'}${extensions}\n`,
    );
  const intermediates: OpensslAuthority[] = [];
  let made = 0;
  const sign = (subject: string, key: KeyKind, extensions: string): { certPem: string; keyPem: string } => {
    const name = `made-${made++}`;
    writeFileSync(path('ext'), extensions);
    openssl(
      'req',
      '-new',
      '-nodes',
      ...newKey[key],
      '-keyout',
      path(`${name}.key`),
      '-out',
      path(`${name}.csr`),
      '-subj',
      subject,
    );
    const signer = ['-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-days', '20'];
    openssl(
      'x509',
      '-req',
      '-in',
      path(`${name}.csr`),
      '-out',
      path(`${name}.pem`),
      ...signer,
      '-extfile',
      path('ext'),
    );
    return { certPem: read(`${name}.pem`), keyPem: read(`${name}.key`) };
  };
  return {
    certPem: read('ca.pem'),
    keyPem: read('ca.key'),
    leaf: (uri) => sign('/CN=leaf', 'ec', `subjectAltName=URI:${uri}\nextendedKeyUsage=clientAuth,serverAuth\n`),
    intermediate(name, key = 'ec', constraints = 'basicConstraints=critical,CA:true') {
      const extensions = `${constraints}\nkeyUsage=critical,keyCertSign,cRLSign\n`;
      const { certPem, keyPem } = sign(`/O=${name}`, key, extensions);
      const intermediate = openOpensslAuthority({ certPem, keyPem });
      intermediates.push(intermediate);
      return intermediate;
    },
    revoke(certPem) {
      sections('');
      writeFileSync(path('revoked.pem'), certPem);
      openssl('ca', '-config', path('conf'), '-revoke', path('revoked.pem'));
    },
    crl(format = 'pem', extensions = '') {
      sections(extensions);
      openssl('ca', '-config', path('conf'), '-gencrl', '-out', path('crl.pem'));
      if (format === 'pem') return readFileSync(path('crl.pem'));
      openssl('crl', '-in', path('crl.pem'), '-outform', 'DER', '-out', path('crl.der'));
      return readFileSync(path('crl.der'));
    },
    [Symbol.dispose]() {
      for (const intermediate of intermediates) intermediate[Symbol.dispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A workload's certificate, signed by a root or by an intermediate under it. */
export function workloadCertificateOf(
  signer: OpensslAuthority,
  root: OpensslAuthority,
  identity: SpiffeId,
): WorkloadCertificate {
  const { certPem, keyPem } = signer.leaf(identity);
  const intermediates = signer === root ? [] : [signer.certPem];
  const answer = [certPem, ...intermediates, root.certPem];
  return acceptCertificate({ identity, key: createPrivateKey(keyPem), answer, generation: 1, nowMs: Date.now() });
}

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
