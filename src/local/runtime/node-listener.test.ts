import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { KubeClient, RawRequest } from '../../kube/index.ts';
import { createFakeClock, type FakeClock } from '../../lib/fake-clock.ts';
import { silentLog } from '../../lib/log.ts';
import { issueCertificate, openServerPki, type CertificateRequest, type ServerPki } from '../apiserver/pki.ts';
import { startNodeListener, type RunningNodeListener } from './node-listener.ts';

describe('the TLS port of a node', () => {
  let folder: string;
  let pki: ServerPki;
  let listener: RunningNodeListener;
  let clock: FakeClock;
  /** Whom the API server allows. */
  let allowed: ReadonlySet<string>;
  let asked: { user: string; groups: string[]; resourceAttributes: Record<string, string> }[] = [];
  const web = createServer((_, response) => response.end('served'));

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ambit-node-listener-'));
    pki = await openServerPki(folder);
    const { certPem, keyPem } = await issueCertificate(pki, {
      subject: 'CN=system:node:n1',
      usage: 'server',
      ipAddresses: ['127.0.0.1'],
    });
    clock = createFakeClock();
    listener = await startNodeListener({
      certPem,
      keyPem,
      clientCaPem: pki.caPem,
      host: '127.0.0.1',
      port: 0,
      nodeName: 'n1',
      client: { raw: review } as unknown as KubeClient,
      accept: (socket) => void web.emit('connection', socket),
      clock,
      log: silentLog(),
    });
  });
  after(async () => {
    await listener.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    clock.advance(3_600_000);
    allowed = new Set(['api']);
    asked = [];
  });

  function review(request: RawRequest): ReturnType<KubeClient['raw']> {
    const { spec } = request.body as { spec: (typeof asked)[number] };
    asked.push(spec);
    const text = JSON.stringify({ status: { allowed: allowed.has(spec.user) } });
    return Promise.resolve({
      status: 201,
      headers: {},
      body: { text: () => Promise.resolve(text) },
    } as unknown as Awaited<ReturnType<KubeClient['raw']>>);
  }

  /** What comes back for a request, or the error of the connection. */
  async function get(certificate?: CertificateRequest, issuer = pki): Promise<string> {
    const own = certificate ? await issueCertificate(issuer, certificate) : undefined;
    return new Promise((resolve) => {
      const socket: TLSSocket = connect({
        host: '127.0.0.1',
        port: listener.port,
        ca: pki.caPem,
        ...(own ? { cert: own.certPem, key: own.keyPem } : {}),
      });
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('error', (error: Error & { code?: string }) => resolve(`error ${error.code}`));
      socket.on('close', () => resolve(text === '' ? 'closed' : text));
      socket.write('GET / HTTP/1.1\r\nHost: n1\r\nConnection: close\r\n\r\n');
    });
  }

  it('serves whom the API server allows to use the node, by the name and groups of its certificate', async () => {
    assert.match(await get({ subject: 'CN=api,O=ops', usage: 'client' }), /^HTTP\/1\.1 200 .*served/s);
    assert.deepEqual(asked, [
      {
        user: 'api',
        groups: ['ops', 'system:authenticated'],
        resourceAttributes: { verb: 'create', version: 'v1', resource: 'nodes', subresource: 'proxy', name: 'n1' },
      },
    ]);
  });

  it('refuses whom the API server does not allow', async () => {
    assert.match(await get({ subject: 'CN=system:node:n2,O=system:nodes', usage: 'client' }), /^HTTP\/1\.1 403 /);
  });

  it('refuses a certificate that names no user', async () => {
    for (const subject of ['O=ops', 'CN=api,CN=other', ''])
      assert.match(await get({ subject, usage: 'client' }), /^HTTP\/1\.1 403 /, subject);
    assert.deepEqual(asked, []);
  });

  it('asks nobody about callers without a certificate of its CA, or with one for another use', async () => {
    const foreign = await openServerPki(join(folder, 'foreign'));
    for (const answer of [
      await get(),
      await get({ subject: 'CN=api', usage: 'client' }, foreign),
      await get({ subject: 'CN=api', usage: 'server' }),
    ])
      assert.ok(!answer.includes('HTTP/1.1'), answer);
    assert.deepEqual(asked, []);
  });

  it('believes an answer for five minutes', async () => {
    const ask = (): Promise<string> => get({ subject: 'CN=api', usage: 'client' });
    await ask();
    allowed = new Set();
    clock.advance(299_000);
    assert.match(await ask(), /served/);
    clock.advance(2_000);
    assert.match(await ask(), /^HTTP\/1\.1 403 /);
    assert.equal(asked.length, 2);
  });
});
