import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createTestAuthority } from '../../../test/support/certificates.ts';
import type { EdgeTls, TlsSecret } from '../../api/l7/index.ts';
import { serverContext } from './edge-tls.ts';

it('a server is served with what there is of its certificates, one of each kind of key', async () => {
  const authority = await createTestAuthority();
  const secretOf = async (name: string): Promise<TlsSecret> => {
    const { chainPem, key } = await authority.certificate(name);
    const privateKey = key.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { kind: 'secret', name, certificateChain: chainPem.join(''), privateKey };
  };
  const secrets = new Map<string, TlsSecret>([
    ['shop/none', { kind: 'secret', name: 'shop/none', keepsLast: true }],
    ['shop/a', await secretOf('shop/a')],
    ['shop/b', await secretOf('shop/b')],
  ]);
  const tls = (...certificates: string[]): EdgeTls => ({
    mode: 'terminate',
    certificates,
    minVersion: 'TLSv1.2',
    cipherSuites: [],
  });
  assert.ok(serverContext(tls('shop/none', 'shop/a'), secrets));
  // OpenSSL takes one of each kind, and a second one's key for the first one's certificate.
  assert.ok(serverContext(tls('shop/a', 'shop/b'), secrets));
  assert.throws(() => serverContext(tls('shop/none'), secrets), /secret shop\/none has no certificate/);
});
