import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createTestAuthority, type TestAuthority } from '../../test/support/certificates.ts';
import { acceptTls, connectTls } from './handshake.ts';
import type { WorkloadCertificate } from './workload-certificate.ts';

describe('handshake with the openssl program', { skip: spawnSync('openssl', ['version']).status !== 0 }, () => {
  let folder: string;
  let authority: TestAuthority;
  let web: WorkloadCertificate;
  let client: WorkloadCertificate;
  const path = (name: string): string => join(folder, name);
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-interop-'));
    authority = await createTestAuthority();
    web = await authority.certificate('shop/web');
    client = await authority.certificate('shop/client');
    writeFileSync(path('root.pem'), authority.rootPem);
    for (const [name, { chainPem, key }] of Object.entries({ web, client })) {
      writeFileSync(path(`${name}.pem`), chainPem.join(''));
      writeFileSync(path(`${name}.key`), key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  /** Output so far; resolves when `pattern` came. */
  function read(child: ChildProcess): (pattern: RegExp) => Promise<string> {
    let text = '';
    const look: (() => void)[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        for (const run of look) run();
      });
    }
    return (pattern) =>
      new Promise((resolve, reject) => {
        const run = (): void => void (pattern.test(text) && resolve(text));
        look.push(run);
        // With its streams: what it said last may come after its end.
        child.once('close', () => reject(new Error(`openssl ended without ${pattern}: ${text}`)));
        run();
      });
  }

  test('s_client verifies us under TLS 1.3 with h2, is asked for its certificate, and gets no ticket', async () => {
    const listener = createServer();
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const accepted = once(listener, 'connection').then(([socket]) => acceptTls({ socket, certificate: web }));
    const { port } = listener.address() as AddressInfo;
    const child = openssl(
      `s_client -connect 127.0.0.1:${port} -tls1_3 -alpn h2 -noservername -verify_return_error`,
      `-CAfile ${path('root.pem')} -cert ${path('client.pem')} -key ${path('client.key')}`,
    );
    try {
      const output = read(child);
      const peer = await accepted;
      assert.equal(peer.identity, client.identity);
      peer.socket.write('are you there\n');
      const text = await output(/are you there/);
      assert.match(text, /ALPN protocol: h2/);
      assert.match(text, /Verify return code: 0 \(ok\)/);
      assert.match(text, /New, TLSv1\.3, Cipher is TLS_AES_(256|128)_GCM/);
      assert.doesNotMatch(text, /Post-Handshake New Session Ticket/);
      peer.socket.destroy();
    } finally {
      child.kill();
      listener.close();
    }
  });

  test('s_server that requires a certificate sees ours, h2 and no server name', async () => {
    const child = openssl(
      's_server -accept 127.0.0.1:0 -naccept 1 -tls1_3 -alpn h2 -tlsextdebug -Verify 2 -verify_return_error',
      `-CAfile ${path('root.pem')} -cert ${path('web.pem')} -key ${path('web.key')}`,
    );
    try {
      const output = read(child);
      const listening = await output(/ACCEPT 127\.0\.0\.1:(\d+)/);
      const socket = connectTcp(Number(/ACCEPT 127\.0\.0\.1:(\d+)/.exec(listening)?.[1]), '127.0.0.1');
      await once(socket, 'connect');
      const peer = await connectTls({ socket, certificate: client, expected: [web.identity] });
      assert.equal(peer.identity, web.identity);
      const text = await output(/CIPHER is TLS_AES/);
      assert.match(text, /TLS client extension "application layer protocol negotiation"/i);
      assert.doesNotMatch(text, /TLS client extension "server name"/);
      assert.doesNotMatch(text, /TLS client extension "pre-shared key"|TLS client extension "psk" /);
      peer.socket.destroy();
    } finally {
      child.kill();
    }
  });
});

/** The program with arguments that hold no spaces. */
function openssl(...args: readonly string[]): ChildProcess {
  return spawn('openssl', args.join(' ').split(' '));
}
