import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { connect, createSecureContext, type ConnectionOptions } from 'node:tls';
import { createTestAuthority, testIdentity, type TestAuthority } from '../../test/support/certificates.ts';
import type { SpiffeId } from '../api/names.ts';
import { systemClock } from '../lib/clock.ts';
import type { AmbitError } from '../lib/errors.ts';
import { createCsr } from './csr.ts';
import { acceptTls, connectTls, type TrustedPeer } from './handshake.ts';
import { clientTlsOptions, secureContextOf } from './tls-options.ts';
import type { WorkloadCertificate } from './workload-certificate.ts';

describe('handshake between workloads', () => {
  let authority: TestAuthority;
  let web: WorkloadCertificate;
  let client: WorkloadCertificate;
  before(async () => {
    authority = await createTestAuthority();
    web = await authority.certificate('shop/web');
    client = await authority.certificate('shop/client');
  });

  test('both ends learn the identity of the other, and bytes pass', async () => {
    const { server, dialled } = await handshake({ server: web, client, expected: [web.identity] });
    assert.equal((await server).identity, client.identity);
    const peer = await dialled;
    assert.equal(peer.identity, web.identity);
    assert.equal(peer.socket.getProtocol(), 'TLSv1.3');
    assert.equal(peer.socket.alpnProtocol, 'h2');
    assert.match(peer.socket.getCipher().standardName, /^TLS_AES_(256|128)_GCM/);
    const accepted = (await server).socket;
    peer.socket.write('hello');
    const [bytes] = (await once(accepted, 'data')) as [Buffer];
    assert.equal(bytes.toString(), 'hello');
    peer.socket.destroy();
    accepted.destroy();
  });

  test('a certificate crosses to a worker by message, and JSON shows no key', async () => {
    const [server, dialler] = [structuredClone(web), structuredClone(client)];
    const peers = await handshake({ server, client: dialler, expected: [web.identity] });
    assert.equal((await peers.server).identity, client.identity);
    (await peers.dialled).socket.destroy();
    (await peers.server).socket.destroy();
    assert.equal(secureContextOf(server), secureContextOf(server), 'one context for all handshakes');
    const { key, ...rest } = web;
    const secret = key.export({ format: 'jwk' }).d ?? '';
    assert.ok(secret.length > 40);
    assert.ok(!JSON.stringify(web).includes(secret) && !JSON.stringify(rest).includes('PRIVATE'));
  });

  test('a session is never resumed, even for a client that tries', async () => {
    const sessions: Buffer[] = [];
    for (let round = 0; round < 3; round++) {
      const { server, raw } = await listenOnce(web);
      const session = sessions.at(-1);
      const socket = connect({ ...clientTlsOptions(client), ...(session ? { session } : {}), socket: raw });
      socket.on('session', (ticket: Buffer) => sessions.push(ticket));
      const peer = await server;
      assert.equal(peer.socket.isSessionReused(), false);
      peer.socket.write('x');
      await once(socket, 'data');
      assert.equal(socket.isSessionReused(), false);
      socket.destroy();
      peer.socket.destroy();
    }
    assert.ok(sessions.length > 0, 'the client had a session to try');
  });

  test('the server refuses, by reason, who may not come in', async () => {
    const foreign = await createTestAuthority();
    const otherDomain = await authority.certificate('spiffe://other.example/ns/shop/sa/client');
    const past = await createTestAuthority({ ...systemClock, nowMs: () => Date.now() - 30 * 24 * 3600_000 });
    const trustsPast = { ...web, rootsPem: web.rootsPem + past.rootPem };
    const future = await createTestAuthority({ ...systemClock, nowMs: () => Date.now() + 3600_000 });
    const trustsFuture = { ...web, rootsPem: web.rootsPem + future.rootPem };
    const early = { ...client, ...(await earlyLeaf(future)) };
    const server = await authority.signServer({ dnsNames: ['client.shop'], ips: [] });
    // Either clock may be the wrong one.
    const times = /, it holds from 20\S+Z to 20\S+Z and our clock says 20\S+Z$/;
    const cases: [string, WorkloadCertificate, ConnectionOptions, string, RegExp?][] = [
      ['nothing', web, { ...clientTlsOptions(client), secureContext: anonymous() }, 'identity.no-certificate'],
      ['foreign root', web, clientTlsOptions(await foreign.certificate('shop/client')), 'identity.unknown-authority'],
      ['trust domain', web, clientTlsOptions(otherDomain), 'identity.wrong-trust-domain'],
      ['expired', trustsPast, clientTlsOptions(await past.certificate('shop/client')), 'identity.expired', times],
      ['not yet valid', trustsFuture, clientTlsOptions(early), 'identity.not-yet-valid', times],
      [
        'server only',
        web,
        { ...clientTlsOptions(client), secureContext: keyedContext(server) },
        'identity.wrong-usage',
      ],
      ['no h2', web, { ...clientTlsOptions(client), ALPNProtocols: [] }, 'identity.no-http2'],
      ['http/1.1', web, { ...clientTlsOptions(client), ALPNProtocols: ['http/1.1'] }, 'identity.handshake-failed'],
    ];
    for (const [what, certificate, options, code, message = /^Cannot finish/] of cases) {
      const { server: accepted, raw } = await listenOnce(certificate);
      const socket = connect({ ...options, socket: raw });
      socket.on('error', () => {});
      await assert.rejects(accepted, { code, message }, what);
      socket.destroy();
    }
  });

  test('the client refuses a server that it did not expect', async () => {
    const foreign = await createTestAuthority();
    const cases: [string, WorkloadCertificate, SpiffeId[], string][] = [
      ['another workload', web, [client.identity], 'identity.unexpected-identity'],
      ['an empty list', web, [], 'identity.unexpected-identity'],
      ['foreign root', await foreign.certificate('shop/web'), [testIdentity('shop/web')], 'identity.unknown-authority'],
    ];
    for (const [what, certificate, expected, code] of cases) {
      const { server, dialled } = await handshake({ server: certificate, client, expected });
      const accepted = server.then(
        (peer) => peer.socket.on('error', () => {}).destroy(),
        () => {},
      );
      await assert.rejects(dialled, { code }, what);
      await accepted;
    }
  });

  test(
    'a leaf with a name beside its id is nobody',
    { skip: spawnSync('openssl', ['version']).status !== 0 },
    async () => {
      for (const names of [
        'URI:spiffe://cluster.local/ns/shop/sa/client,DNS:shop',
        'URI:spiffe://cluster.local/ns/a/sa/b,URI:spiffe://cluster.local/ns/c/sa/d',
        'DNS:shop',
      ]) {
        const odd = oddLeaf(authority, names);
        const { server, raw } = await listenOnce(web);
        const socket = connect({ ...clientTlsOptions(client), secureContext: keyedContext(odd), socket: raw });
        socket.on('error', () => {});
        await assert.rejects(server, { code: 'identity.no-identity' }, names);
        socket.destroy();
      }
    },
  );

  test(
    'a leaf with thousands of names is nobody, told of in few words, or no certificate at all',
    { skip: spawnSync('openssl', ['version']).status !== 0 },
    async () => {
      const many = (count: number): string =>
        Array.from({ length: count }, (_, i) => `URI:spiffe://cluster.local/ns/shop/sa/client-${i}`).join(',');
      for (const [count, code] of [
        [1500, 'identity.no-identity'],
        // More than TLS takes of a peer's certificates.
        [6000, 'identity.handshake-failed'],
      ] as const) {
        const odd = oddLeaf(authority, many(count));
        const { server, raw } = await listenOnce(web);
        const socket = connect({ ...clientTlsOptions(client), secureContext: keyedContext(odd), socket: raw });
        socket.on('error', () => {});
        await assert.rejects(server, (error: AmbitError) => {
          assert.equal(error.code, code);
          assert.ok(error.message.length < 400, error.message);
          return true;
        });
        socket.destroy();
      }
    },
  );

  test('a peer that says nothing, or nonsense, is given up', async () => {
    const silent = await listenOnce(web, { timeoutMs: 50 });
    await assert.rejects(silent.server, { code: 'identity.timeout' });
    silent.raw.destroy();
    const nonsense = await listenOnce(web);
    nonsense.raw.on('error', () => {});
    nonsense.raw.write('GET / HTTP/1.1\r\n\r\n');
    await assert.rejects(nonsense.server, {
      code: 'identity.handshake-failed',
      message: 'Cannot finish the TLS handshake: http request',
    });
    nonsense.raw.destroy();
    const aborted = await listenOnce(web, { signal: AbortSignal.abort() });
    await assert.rejects(aborted.server, { code: 'identity.handshake-failed' });
    aborted.raw.destroy();
  });

  test('a client of an aliased trust domain is let in, and of no other', async () => {
    const aliased = await authority.certificate('spiffe://old.example/ns/shop/sa/client');
    for (const [trustDomainAliases, code] of [
      [['new.example', 'old.example'], undefined],
      [['old.example.org'], 'identity.wrong-trust-domain'],
    ] as const) {
      const { server, raw } = await listenOnce(web, { trustDomainAliases });
      const socket = connect({ ...clientTlsOptions(aliased), socket: raw });
      socket.on('error', () => {});
      if (code === undefined) (await server).socket.destroy();
      else await assert.rejects(server, { code });
      socket.destroy();
    }
  });

  test('TLS 1.2 is spoken where somebody allows it, with certificates and without resumption', async () => {
    const sessions: Buffer[] = [];
    for (let round = 0; round < 2; round++) {
      const { server, raw } = await listenOnce(web, { allowTls12: true });
      const secureContext = createSecureContext({
        ca: authority.rootPem,
        cert: client.chainPem.join(''),
        key: client.key.export({ type: 'pkcs8', format: 'pem' }),
        maxVersion: 'TLSv1.2',
      });
      const session = sessions.at(-1);
      const socket = connect({
        ...clientTlsOptions(client),
        secureContext,
        ...(session ? { session } : {}),
        socket: raw,
      });
      socket.on('session', (one: Buffer) => sessions.push(one)).on('error', () => {});
      const peer = await server;
      assert.equal(peer.identity, client.identity);
      assert.equal(peer.socket.getProtocol(), 'TLSv1.2');
      assert.match(peer.socket.getCipher().name, /^ECDHE-ECDSA-AES\d+-GCM/);
      assert.equal(peer.socket.isSessionReused(), false);
      peer.socket.write('x');
      await once(socket, 'data');
      socket.destroy();
      peer.socket.destroy();
    }
  });

  test('TLS 1.2 is not spoken', async () => {
    const { server, raw } = await listenOnce(web);
    const secureContext = createSecureContext({ ca: authority.rootPem, maxVersion: 'TLSv1.2' });
    const socket = connect({ ...clientTlsOptions(client), secureContext, socket: raw });
    socket.on('error', () => {});
    await assert.rejects(server, {
      code: 'identity.handshake-failed',
      message: 'Cannot finish the TLS handshake: unsupported protocol',
    });
    socket.destroy();
  });

  function anonymous(): ConnectionOptions['secureContext'] {
    return createSecureContext({ ca: authority.rootPem, minVersion: 'TLSv1.3' });
  }

  function keyedContext({
    chainPem,
    keyPem,
  }: {
    chainPem: string;
    keyPem: string;
  }): ConnectionOptions['secureContext'] {
    return secureContextOf({
      ...client,
      chainPem: [chainPem],
      rootsPem: authority.rootPem,
      key: createPrivateKey(keyPem),
    });
  }
});

/** A leaf that is valid in an hour: its authority lives there, and `acceptCertificate` would refuse it here. */
async function earlyLeaf(authority: TestAuthority): Promise<Pick<WorkloadCertificate, 'chainPem' | 'key'>> {
  const identity = testIdentity('shop/client');
  const { csrPem, key } = createCsr(identity);
  const answer = await authority.signWorkload({ csrPem, identity });
  return { chainPem: answer.slice(0, -1), key };
}

interface Handshake {
  readonly server: WorkloadCertificate;
  readonly client: WorkloadCertificate;
  readonly expected: readonly SpiffeId[];
}

async function handshake({
  server: certificate,
  client,
  expected,
}: Handshake): Promise<{ server: Promise<TrustedPeer>; dialled: Promise<TrustedPeer> }> {
  const { server, raw } = await listenOnce(certificate);
  return { server, dialled: connectTls({ socket: raw, certificate: client, expected }) };
}

/** Accepts one connection with `certificate`; `raw` is the other end of it. */
async function listenOnce(
  certificate: WorkloadCertificate,
  options: Partial<Parameters<typeof acceptTls>[0]> = {},
): Promise<{ server: Promise<TrustedPeer>; raw: Socket }> {
  const listener = createServer({ pauseOnConnect: false });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const server = new Promise<TrustedPeer>((resolve, reject) => {
    listener.once('connection', (socket) => {
      acceptTls({ socket, certificate, ...options }).then(resolve, reject);
      listener.close();
    });
  });
  server.catch(() => {});
  const raw = connectTcp((listener.address() as AddressInfo).port, '127.0.0.1');
  await once(raw, 'connect');
  return { server, raw };
}

function oddLeaf(authority: TestAuthority, names: string): { chainPem: string; keyPem: string } {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-leaf-'));
  try {
    const path = (name: string): string => join(folder, name);
    writeFileSync(path('ca.pem'), authority.caCertPem);
    writeFileSync(path('ca.key'), authority.caKeyPem);
    writeFileSync(path('ext'), `subjectAltName=${names}\nextendedKeyUsage=clientAuth,serverAuth\n`);
    const run = (...args: string[]): string => execFileSync('openssl', args, { stdio: 'pipe' }).toString();
    run(
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      path('key'),
      '-subj',
      '/CN=x',
      '-out',
      path('csr'),
    );
    const chainPem = run(
      'x509',
      '-req',
      '-in',
      path('csr'),
      '-CA',
      path('ca.pem'),
      '-CAkey',
      path('ca.key'),
      '-CAcreateserial',
      '-days',
      '2',
      '-extfile',
      path('ext'),
    );
    return { chainPem, keyPem: execFileSync('cat', [path('key')]).toString() };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
