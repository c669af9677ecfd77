import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createTestAuthority, testIdentity, type TestAuthority } from '../../test/support/certificates.ts';
import type { SpiffeId } from '../api/names.ts';
import { createCaClient, type CaClient } from '../identity/ca-client.ts';
import { createCsr } from '../identity/csr.ts';
import { acceptCertificate } from '../identity/workload-certificate.ts';
import { silentLog } from '../lib/log.ts';
import { createRpcChannel } from '../rpc/channel.ts';
import { createRpcServer, type RpcServer } from '../rpc/server.ts';
import { rpcError } from '../rpc/status.ts';
import { createCertificateMethod } from '../wire/certificate.ts';
import { registerCertificateService } from './certificate-service.ts';

const web = testIdentity('shop/web');
const never = new AbortController().signal;

describe('certificate service', () => {
  let folder: string;
  let authority: TestAuthority;
  let server: RpcServer;
  let client: CaClient;
  let address: string;
  const seen: { authorization?: string; clusterid?: string; impersonated?: SpiffeId }[] = [];
  const path = (name: string): string => join(folder, name);
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-ca-service-'));
    authority = await createTestAuthority();
    writeFileSync(path('root.pem'), authority.rootPem);
    writeFileSync(path('token'), 'good\n');
    const certificate = await authority.signServer({ dnsNames: ['istiod.test'], ips: [] });
    server = createRpcServer({ certificate, log: silentLog() });
    registerCertificateService(server, {
      authority,
      log: silentLog(),
      authorize(call, impersonated) {
        const authorization = call.metadata.get('authorization');
        const clusterid = call.metadata.get('clusterid');
        seen.push({
          ...(authorization === undefined ? {} : { authorization }),
          ...(clusterid === undefined ? {} : { clusterid }),
          ...(impersonated === undefined ? {} : { impersonated }),
        });
        if (authorization !== 'Bearer good') throw rpcError('unauthenticated', 'the token is not valid');
        if (impersonated === testIdentity('shop/elsewhere')) throw rpcError('permission-denied', 'not on your node');
        return Promise.resolve(impersonated ?? testIdentity('istio-system/ztunnel'));
      },
    });
    address = `https://127.0.0.1:${await server.listen({ host: '127.0.0.1', port: 0 })}`;
    client = createCaClient({
      address,
      tlsServerName: 'istiod.test',
      rootCertPath: path('root.pem'),
      tokenPath: path('token'),
      clusterId: 'Kubernetes',
    });
  });
  after(async () => {
    client.close();
    await server.close();
    rmSync(folder, { recursive: true });
  });

  test('a certificate for a workload comes back and is usable', async () => {
    const { csrPem, key } = createCsr(web);
    const answer = await client.sign(csrPem, web, never);
    const certificate = acceptCertificate({ identity: web, key, answer, generation: 1, nowMs: Date.now() });
    assert.equal(certificate.identity, web);
    assert.deepEqual(seen.at(-1), { authorization: 'Bearer good', clusterid: 'Kubernetes', impersonated: web });
  });

  test('refusals carry their status, and the server lives', async () => {
    const { csrPem } = createCsr(web);
    await assert.rejects(client.sign('nonsense', web, never), { code: 'rpc.invalid-argument', message: /PKCS#10/ });
    await assert.rejects(client.sign(csrPem, testIdentity('shop/elsewhere'), never), { code: 'rpc.permission-denied' });
    await assert.rejects(client.sign(csrPem, 'spiffe://x/not/an/id' as SpiffeId, never), {
      code: 'rpc.invalid-argument',
    });
    await client.sign(csrPem, web, never);
  });

  test('the token is read again for every request', async () => {
    const { csrPem } = createCsr(web);
    writeFileSync(path('token'), 'stale');
    await assert.rejects(client.sign(csrPem, web, never), { code: 'rpc.unauthenticated', message: /not valid/ });
    writeFileSync(path('token'), 'good');
    await client.sign(csrPem, web, never);
  });

  test('messages that are no messages are refused, and the server lives', async () => {
    const channel = createRpcChannel({
      address,
      tlsServerName: 'istiod.test',
      rootCertPath: path('root.pem'),
      tokenPath: path('token'),
    });
    const raw = {
      path: createCertificateMethod.path,
      request: { encode: (bytes: Uint8Array) => bytes, decode: (bytes: Uint8Array) => bytes },
      response: createCertificateMethod.response,
    };
    for (const bytes of [Uint8Array.of(10, 200, 1), Buffer.alloc(1 << 20, 0xff)]) {
      await assert.rejects(channel.unary(raw, bytes, { signal: never, timeoutMs: 5000 }), {
        code: /^rpc\.(internal|invalid-argument)$/,
      });
    }
    channel.close();
    await client.sign(createCsr(web).csrPem, web, never);
  });

  test('a server that is not the one we trust is not spoken to', async () => {
    const foreign = await createTestAuthority();
    writeFileSync(path('foreign.pem'), foreign.rootPem);
    const options = { address, tokenPath: path('token'), clusterId: 'Kubernetes' };
    const before = seen.length;
    for (const trust of [
      { tlsServerName: 'istiod.test', rootCertPath: path('foreign.pem') },
      { tlsServerName: 'other.test', rootCertPath: path('root.pem') },
      { tlsServerName: 'istiod.test', rootCertPath: path('absent.pem') },
    ]) {
      const distrustful = createCaClient({ ...options, ...trust });
      await assert.rejects(distrustful.sign(createCsr(web).csrPem, web, never), { code: 'rpc.unavailable' });
      distrustful.close();
    }
    assert.equal(seen.length, before);
  });

  test('the server takes a new certificate while it runs', async () => {
    const next = await authority.signServer({ dnsNames: ['renamed.test'], ips: [] });
    server.setCertificate(next);
    const renamed = createCaClient({
      address,
      tlsServerName: 'renamed.test',
      rootCertPath: path('root.pem'),
      tokenPath: path('token'),
      clusterId: 'Kubernetes',
    });
    await renamed.sign(createCsr(web).csrPem, web, never);
    renamed.close();
    // The connection from before goes on.
    await client.sign(createCsr(web).csrPem, web, never);
  });
});
