import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { spiffeId } from '../api/names.ts';
import { createCsr } from '../identity/csr.ts';
import { acceptCertificate } from '../identity/workload-certificate.ts';
import { systemClock } from '../lib/clock.ts';
import { createFakeClock } from '../lib/fake-clock.ts';
import { createCertificateAuthority, createRoot, type CertificateAuthority } from './authority.ts';

const identity = spiffeId('cluster.local', 'shop', 'web');
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;
const dayMs = 24 * 3600 * 1000;

describe('certificate authority', () => {
  let root: { certPem: string; keyPem: string };
  let authority: CertificateAuthority;
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-ca-'));
    root = await createRoot({ clock: systemClock });
    authority = await createCertificateAuthority({
      caCertPem: root.certPem,
      caKeyPem: root.keyPem,
      rootPem: root.certPem,
      clock: systemClock,
    });
  });
  after(() => rmSync(folder, { recursive: true }));

  test('a workload leaf has one critical name, its identity, and the usages of both ends', async () => {
    const { csrPem, key } = createCsr(identity);
    const answer = await authority.signWorkload({ csrPem, identity, ttlSeconds: 3600 });
    assert.equal(answer.length, 2);
    const leaf = new X509Certificate(answer[0] ?? '');
    assert.equal(leaf.subjectAltName, `URI:${identity}`);
    assert.equal(leaf.subject ?? '', '');
    assert.equal(leaf.ca, false);
    assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    const life = Date.parse(leaf.validTo) - Date.parse(leaf.validFrom);
    assert.ok(Math.abs(life - (3600 + 120) * 1000) <= 1000, `${life}`);
    const certificate = acceptCertificate({ identity, key, answer, generation: 1, nowMs: Date.now() });
    assert.equal(certificate.serial, leaf.serialNumber.toLowerCase());
  });

  test('the names in the request do not count', async () => {
    const { csrPem } = createCsr(spiffeId('cluster.local', 'kube-system', 'admin'));
    const [leaf = ''] = await authority.signWorkload({ csrPem, identity });
    assert.equal(new X509Certificate(leaf).subjectAltName, `URI:${identity}`);
  });

  test('lifetimes are capped at 90 days, and at the end of the signing certificate', async () => {
    const { csrPem } = createCsr(identity);
    const [long = ''] = await authority.signWorkload({ csrPem, identity, ttlSeconds: 1e9 });
    assert.ok(Date.parse(new X509Certificate(long).validTo) <= Date.now() + 90 * dayMs);
    const [senseless = ''] = await authority.signWorkload({ csrPem, identity, ttlSeconds: -5 });
    assert.ok(Date.parse(new X509Certificate(senseless).validTo) > Date.now() + dayMs - 60_000);
    const short = await createRoot({ clock: systemClock, ttlDays: 1 });
    const ending = await createCertificateAuthority({
      caCertPem: short.certPem,
      caKeyPem: short.keyPem,
      rootPem: short.certPem,
      clock: systemClock,
    });
    const [capped = ''] = await ending.signWorkload({ csrPem, identity, ttlSeconds: 90 * 24 * 3600 });
    assert.equal(new X509Certificate(capped).validTo, new X509Certificate(short.certPem).validTo);
  });

  test('what is not a request is refused by name', async () => {
    const { csrPem } = createCsr(identity);
    const base64 = csrPem.split('\n').slice(1, -2).join('');
    const der = Buffer.from(base64, 'base64');
    der[der.length - 3] = (der.at(-3) ?? 0) ^ 0xff;
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    const inputs = [
      '',
      'hello',
      csrPem.slice(0, 200),
      root.certPem,
      forged,
      'A'.repeat(1 << 20),
      '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----',
    ];
    for (const input of inputs) {
      await assert.rejects(
        authority.signWorkload({ csrPem: input, identity }),
        { code: 'ca.malformed-csr' },
        input.slice(0, 40),
      );
    }
  });

  test('an authority whose key does not fit is not opened', async () => {
    const other = await createRoot({ clock: systemClock });
    const open = (caCertPem: string, caKeyPem: string): Promise<unknown> =>
      createCertificateAuthority({ caCertPem, caKeyPem, rootPem: root.certPem, clock: systemClock });
    await assert.rejects(open(root.certPem, other.keyPem), { code: 'ca.bad-authority', message: /not that of/ });
    await assert.rejects(open('x', root.keyPem), { code: 'ca.bad-authority' });
    const { keyPem, chainPem } = await authority.signServer({ dnsNames: ['a'], ips: [] });
    await assert.rejects(open(chainPem, keyPem), { code: 'ca.bad-authority', message: /not that of an authority/ });
  });

  test('a server certificate carries its names and addresses', async () => {
    const { chainPem } = await authority.signServer({ dnsNames: ['istiod.istio-system.svc'], ips: ['172.30.0.1'] });
    const leaf = new X509Certificate(chainPem);
    assert.equal(leaf.checkHost('istiod.istio-system.svc'), 'istiod.istio-system.svc');
    assert.equal(leaf.checkIP('172.30.0.1'), '172.30.0.1');
    assert.equal(leaf.checkHost('other'), undefined);
  });

  test('an authority signs nothing once it has ended, and what it signed is not accepted', async () => {
    const clock = createFakeClock(Date.now() - 3 * dayMs);
    const old = await createRoot({ clock, ttlDays: 1 });
    const material = { caCertPem: old.certPem, caKeyPem: old.keyPem, rootPem: old.certPem };
    const ended = await createCertificateAuthority({ ...material, clock });
    const { csrPem, key } = createCsr(identity);
    const answer = await ended.signWorkload({ csrPem, identity });
    clock.advance(dayMs);
    const hasEnded = { code: 'ca.expired', message: /the signing certificate of the mesh ended at 20/ };
    await assert.rejects(ended.signWorkload({ csrPem, identity }), hasEnded);
    await assert.rejects(ended.signServer({ dnsNames: ['istiod'], ips: [] }), hasEnded);
    assert.throws(() => acceptCertificate({ identity, key, answer, generation: 1, nowMs: Date.now() }), {
      code: 'identity.bad-answer',
      message: /expired/,
    });
  });

  test(
    'openssl takes the chain, also through an intermediate and for RSA keys',
    { skip: !hasOpenssl && 'openssl is not here' },
    async () => {
      const file = (name: string, text: string): string => {
        writeFileSync(join(folder, name), text);
        return join(folder, name);
      };
      const openssl = (...args: string[]): string => execFileSync('openssl', args, { stdio: 'pipe' }).toString();
      const rootFile = file('root.pem', root.certPem);
      const rootKey = file('root.key', root.keyPem);
      openssl('genrsa', '-out', join(folder, 'mid.key'), '2048');
      const extensions = file(
        'mid.ext',
        'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\n',
      );
      openssl('req', '-new', '-key', join(folder, 'mid.key'), '-subj', '/O=mid', '-out', join(folder, 'mid.csr'));
      openssl(
        'x509',
        '-req',
        '-in',
        join(folder, 'mid.csr'),
        '-CA',
        rootFile,
        '-CAkey',
        rootKey,
        '-CAcreateserial',
        '-days',
        '30',
        '-extfile',
        extensions,
        '-out',
        join(folder, 'mid.pem'),
      );
      const caCertPem = openssl('x509', '-in', join(folder, 'mid.pem'));
      const through = await createCertificateAuthority({
        caCertPem,
        caKeyPem: openssl('rsa', '-traditional', '-in', join(folder, 'mid.key')),
        rootPem: root.certPem,
        chainPem: caCertPem + root.certPem,
        clock: systemClock,
      });
      openssl(
        'req',
        '-new',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        join(folder, 'w.key'),
        '-subj',
        '/CN=evil',
        '-out',
        join(folder, 'w.csr'),
      );
      const csrPem = openssl('req', '-in', join(folder, 'w.csr'));
      const answer = await through.signWorkload({ csrPem, identity });
      assert.equal(answer.length, 3);
      const leafFile = file('leaf.pem', answer[0] ?? '');
      const midFile = file('mid-answer.pem', answer[1] ?? '');
      for (const purpose of ['sslserver', 'sslclient']) {
        const verdict = openssl(
          'verify',
          '-x509_strict',
          '-purpose',
          purpose,
          '-CAfile',
          rootFile,
          '-untrusted',
          midFile,
          leafFile,
        );
        assert.match(verdict, /leaf\.pem: OK/);
      }
      assert.match(
        openssl('x509', '-in', leafFile, '-noout', '-text'),
        /Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web/,
      );
      // Our own request, read by openssl.
      const own = file('own.csr', createCsr(identity).csrPem);
      const text = openssl('req', '-in', own, '-noout', '-text', '-verify');
      assert.match(text, /Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web/);
      // And one for our own kind of key, accepted through the intermediate.
      const ours = createCsr(identity);
      const chain = await through.signWorkload({ csrPem: ours.csrPem, identity });
      const accepted = acceptCertificate({ identity, key: ours.key, answer: chain, generation: 1, nowMs: Date.now() });
      assert.equal(accepted.chainPem.length, 2);
      const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({
        type: 'pkcs8',
        format: 'pem',
      });
      const weakKey = file('weak.key', weak.toString());
      const weakCsr = openssl('req', '-new', '-key', weakKey, '-subj', '/CN=x');
      await assert.rejects(through.signWorkload({ csrPem: weakCsr, identity }), { code: 'ca.weak-key' });
    },
  );
});
