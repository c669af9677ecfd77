import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { testIdentity } from '../../test/support/certificates.ts';
import { openOpensslRoot, workloadCertificateOf } from '../../test/support/openssl-authority.ts';
import { acceptTls, connectTls, type TrustedPeer } from './handshake.ts';
import { parseRevocationLists } from './revocation-list.ts';
import { createRevocations, type Revocations } from './revocations.ts';
import type { WorkloadCertificate } from './workload-certificate.ts';

const skip = spawnSync('openssl', ['version']).status !== 0;
const web = testIdentity('shop/web');
const client = testIdentity('shop/client');

describe('revocation lists', { skip }, () => {
  test('are read as PEM, several in a file, and as DER, of EC and RSA issuers', () => {
    using ec = openOpensslRoot('ec');
    using rsa = openOpensslRoot('rsa', 'rsa');
    using ec384 = openOpensslRoot('ec384', 'ec384');
    const gone = rsa.leaf(web).certPem;
    rsa.revoke(gone);
    const lists = parseRevocationLists(Buffer.concat([ec.crl(), rsa.crl(), ec384.crl()]));
    assert.equal(lists.length, 3);
    const serial = new X509Certificate(gone).serialNumber.toLowerCase().replace(/^0+/, '');
    assert.deepEqual(
      lists.map(({ serials }) => [...serials]),
      [[], [serial], []],
    );
    const keys = [ec, rsa, ec384].map(({ certPem }) => new X509Certificate(certPem).publicKey);
    for (const [i, list] of lists.entries()) {
      assert.deepEqual(
        keys.map((key) => list.isSignedBy(key)),
        keys.map((_, k) => k === i),
      );
    }
    const [der] = parseRevocationLists(rsa.crl('der'));
    assert.deepEqual([...(der?.serials ?? [])], [serial]);
    assert.deepEqual(parseRevocationLists(Buffer.from('\n')), []);
  });

  test('that cannot be understood are refused, saying which and why', () => {
    using authority = openOpensslRoot('mesh');
    const good = authority.crl();
    const partial = authority.crl('pem', 'issuingDistributionPoint=critical,@idp\n[idp]\nonlyuser=TRUE\n');
    const cases: [Buffer, RegExp][] = [
      [Buffer.from('hello'), /list 1: it is neither PEM nor DER/],
      [Buffer.concat([good, Buffer.from('-----BEGIN X509 CRL-----\n!')]), /list 2: its PEM block is broken/],
      [Buffer.concat([good, partial]), /list 2: its critical extension 2\.5\.29\.28 is not supported/],
      [authority.crl('der').subarray(0, 50), /ends early/],
      [Buffer.from(authority.certPem.replaceAll('CERTIFICATE', 'X509 CRL')), /list 1:/],
    ];
    for (const [bytes, message] of cases) {
      assert.throws(() => parseRevocationLists(bytes), { code: 'identity.bad-crl', message });
    }
  });
});

describe('a revoked certificate', { skip }, () => {
  test('is refused in either direction, by leaf and by intermediate', async () => {
    using root = openOpensslRoot('mesh');
    using signer = root.intermediate('signer');
    const [server, dialler] = [workloadCertificateOf(signer, root, web), workloadCertificateOf(signer, root, client)];
    const revocations = createRevocations({ onRevoked: () => {} });
    await assertTrusted(server, dialler, revocations);
    signer.revoke(dialler.chainPem[0] ?? '');
    revocations.update(parseRevocationLists(signer.crl()));
    const refusal = { code: 'identity.revoked', message: /the peer's certificate, serial [0-9a-f]+, is revoked/ };
    await assert.rejects((await shake(server, dialler, revocations)).accepted, refusal);
    await assert.rejects((await shake(dialler, server, revocations)).dialled, refusal);
    await assertTrusted(server, workloadCertificateOf(signer, root, client), revocations);
    root.revoke(signer.certPem);
    revocations.update(parseRevocationLists(Buffer.concat([signer.crl(), root.crl()])));
    const blind = createRevocations({ onRevoked: () => {} });
    await assert.rejects(
      (await shake(server, workloadCertificateOf(signer, root, client), revocations, blind)).accepted,
      {
        message: /issuing certificate "O=signer", serial [0-9a-f]+, is revoked/,
      },
    );
  });

  test('is refused whatever else its peer sends, in whatever order', async () => {
    using root = openOpensslRoot('mesh');
    using signer = root.intermediate('signer');
    using stranger = openOpensslRoot('signer');
    const server = workloadCertificateOf(signer, root, web);
    const dialler = workloadCertificateOf(signer, root, client);
    const [leaf = '', intermediate = ''] = dialler.chainPem;
    const elsewhere = stranger.leaf('spiffe://cluster.local/ns/shop/sa/elsewhere').certPem;
    const revocations = createRevocations({ onRevoked: () => {} });
    const many = Array.from({ length: 20 }, () => elsewhere);
    const orders = [
      [leaf, elsewhere, intermediate],
      [leaf, intermediate, elsewhere],
      [leaf, elsewhere, elsewhere, intermediate],
    ];
    for (const chainPem of orders) await assertTrusted(server, { ...dialler, chainPem }, revocations);
    signer.revoke(leaf);
    revocations.update(parseRevocationLists(signer.crl()));
    for (const chainPem of orders) {
      const { accepted } = await shake(server, { ...dialler, chainPem }, revocations);
      await assert.rejects(accepted, {
        code: 'identity.revoked',
        message: /the peer's certificate, serial [0-9a-f]+, is revoked/,
      });
    }
    const { accepted } = await shake(server, { ...dialler, chainPem: [leaf, ...many, intermediate] }, revocations);
    await assert.rejects(accepted, { code: 'identity.revoked', message: /is not one that can be followed/ });
  });

  test('a list that its issuer did not sign revokes nothing', async () => {
    using root = openOpensslRoot('mesh');
    using impostor = openOpensslRoot('mesh');
    const [server, dialler] = [workloadCertificateOf(root, root, web), workloadCertificateOf(root, root, client)];
    impostor.revoke(dialler.chainPem[0] ?? '');
    const revocations = createRevocations({ onRevoked: () => {} });
    revocations.update(parseRevocationLists(impostor.crl()));
    await assertTrusted(server, dialler, revocations);
  });

  test('ends the live connections that showed it, and no other', async () => {
    using root = openOpensslRoot('mesh');
    const [server, dialler, other] = [web, client, testIdentity('shop/other')].map((id) =>
      workloadCertificateOf(root, root, id),
    ) as [WorkloadCertificate, WorkloadCertificate, WorkloadCertificate];
    const cut: string[] = [];
    const revocations = createRevocations({ onRevoked: (role) => cut.push(role) });
    const doomed = await trusted(server, dialler, revocations);
    const unharmed = await trusted(server, other, revocations);
    root.revoke(dialler.chainPem[0] ?? '');
    const error = once(doomed.accepted, 'error');
    revocations.update(parseRevocationLists(root.crl()));
    const [reason] = (await error) as [Error & { code: string }];
    assert.equal(reason.code, 'identity.revoked');
    assert.deepEqual(cut, ['server']);
    unharmed.dialled.write('x');
    await once(unharmed.accepted, 'data');
    for (const socket of [doomed.dialled, unharmed.dialled, unharmed.accepted]) socket.destroy();
  });
});

async function shake(
  server: WorkloadCertificate,
  dialler: WorkloadCertificate,
  revocations: Revocations,
  ofDialler: Revocations = revocations,
): Promise<{ accepted: Promise<TrustedPeer>; dialled: Promise<TrustedPeer> }> {
  const listener = createServer();
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const socket = connectTcp((listener.address() as AddressInfo).port, '127.0.0.1');
  const [incoming] = await once(listener, 'connection');
  listener.close();
  const accepted = acceptTls({ socket: incoming, certificate: server, revocations });
  const dialled = connectTls({ socket, certificate: dialler, expected: [server.identity], revocations: ofDialler });
  // Whichever end refuses, the other one is over too.
  accepted.then(
    ({ socket: end }) => end.on('error', () => {}),
    () => socket.destroy(),
  );
  dialled.then(
    ({ socket: end }) => end.on('error', () => {}),
    () => incoming.destroy(),
  );
  return { accepted, dialled };
}

async function trusted(
  server: WorkloadCertificate,
  dialler: WorkloadCertificate,
  revocations: Revocations,
): Promise<{ accepted: TLSSocket; dialled: TLSSocket }> {
  const { accepted, dialled } = await shake(server, dialler, revocations);
  return { accepted: (await accepted).socket, dialled: (await dialled).socket };
}

async function assertTrusted(
  server: WorkloadCertificate,
  dialler: WorkloadCertificate,
  revocations: Revocations,
): Promise<void> {
  const { accepted, dialled } = await trusted(server, dialler, revocations);
  accepted.destroy();
  dialled.destroy();
}
