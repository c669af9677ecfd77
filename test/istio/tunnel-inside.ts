/** A data part on loopback addresses with Istio's HBONE client (Go's HTTP/2 and TLS) in front of it, then its server behind it. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { Readable, Writable } from 'node:stream';
import net, { type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serviceKey, spiffeId } from '../../src/api/names.ts';
import { defaultNetwork, meshService, meshWorkload } from '../../src/mesh/fixtures.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { startTestDataPart, type TestDataPart } from '../integration/ztunnel-fixture.ts';
import { testPolicy as policy } from '../integration/ztunnel-policies.ts';
import { peers } from './peers.ts';

const clientIp = '127.0.91.1';
const serverIp = '127.0.91.2';
const vip = '10.96.91.1';
const webKey = serviceKey('shop', 'web.shop.svc.cluster.local');
const callerId = spiffeId('cluster.local', 'front', 'caller');
const webId = spiffeId('cluster.local', 'shop', 'web');

describe("Istio's HBONE", () => {
  let folder: string;
  let authority: TestAuthority;
  let part: TestDataPart;
  let application: Server;
  let applicationPort: number;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ambit-hbone-'));
    authority = await createTestAuthority();
    for (const name of ['front/caller', 'shop/web', 'shop/other']) await writeCertificate(name);
    application = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {});
      socket.pipe(socket);
    });
    application.listen(0, serverIp);
    await once(application, 'listening');
    applicationPort = (application.address() as AddressInfo).port;
    part = startTestDataPart(authority);
    part.setAddresses(
      meshWorkload({ name: 'client', namespace: 'front', serviceAccount: 'caller', addresses: [clientIp] }),
      meshWorkload({
        name: 'web',
        serviceAccount: 'web',
        addresses: [serverIp],
        services: new Map([
          [webKey, [{ servicePort: 80, targetPort: applicationPort, appProtocol: 'unknown' as const }]],
        ]),
      }),
      meshService({ addresses: [{ network: defaultNetwork, ip: vip }] }),
    );
  });

  after(async () => {
    await part.drain(10);
    application.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function writeCertificate(name: string): Promise<void> {
    const certificate = await authority.certificate(name);
    const base = join(folder, name.replace('/', '-'));
    await writeFile(`${base}.key`, certificate.key.export({ type: 'pkcs8', format: 'pem' }));
    await writeFile(`${base}.crt`, certificate.chainPem.join(''));
    await writeFile(join(folder, 'root.crt'), certificate.rootsPem);
  }

  function files(name: string): string[] {
    return [join(folder, `${name}.crt`), join(folder, `${name}.key`), join(folder, 'root.crt')];
  }

  /** Sends through Istio's client to our 15008; resolves to what came back, or rejects with what it said. */
  async function send(authorityName: string, text: Buffer, expected: string = webId): Promise<Buffer> {
    const args = ['hbone-client', ...files('front-caller'), `${serverIp}:15008`, authorityName, expected];
    const child = spawn(peers, args, { stdio: ['pipe', 'ignore', 'pipe', 'pipe'] });
    const [stdin, , stderr, received] = child.stdio as unknown as [Writable, null, Readable, Readable];
    const output: Buffer[] = [];
    let said = '';
    received.on('data', (chunk: Buffer) => output.push(chunk));
    stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    stdin.on('error', () => {});
    stdin.end(text);
    const [code] = (await once(child, 'close')) as [number];
    if (code !== 0) throw new Error(said);
    return Buffer.concat(output);
  }

  describe('its client, our server', () => {
    before(() =>
      part.serve({
        pod: { uid: 'web-uid', name: 'web', namespace: 'shop', serviceAccount: 'web' },
        listenAt: {
          host: serverIp,
          outboundPort: 15001,
          inboundPort: 15008,
          plaintextPort: 15006,
        },
      }),
    );
    after(() => part.send({ kind: 'remove-pod', uid: 'web-uid' }));

    test('every byte of 3 MB comes back', async () => {
      const bytes = randomBytes(3_000_000);
      assert.ok((await send(`${serverIp}:${applicationPort}`, bytes)).equals(bytes));
      const line = await part.logLine(/connection complete.*direction="inbound".*bytes_recv=3000000/);
      assert.match(line, new RegExp(`src\\.identity="${callerId}"`));
    });

    test('a hostname and service port find the target port', async () => {
      assert.equal((await send('web.shop.svc.cluster.local:80', Buffer.from('by name'))).toString(), 'by name');
    });

    test('it takes us for nobody else', async () => {
      await assert.rejects(send(`${serverIp}:${applicationPort}`, Buffer.from('x'), callerId), /the peer is/);
    });

    test('a refusal by policy is 401', async () => {
      part.setPolicies([policy('nobody', 'deny', { principals: [{ kind: 'suffix', value: '/caller' }] })]);
      await assert.rejects(send(`${serverIp}:${applicationPort}`, Buffer.from('x')), /round trip failed: 401/);
      part.setPolicies([], ['shop/nobody']);
    });
  });

  describe('our client, its server', () => {
    let child: ChildProcess | undefined;
    before(() =>
      part.serve({
        pod: { uid: 'client-uid', name: 'client', namespace: 'front', serviceAccount: 'caller' },
        listenAt: {
          host: clientIp,
          outboundPort: 15001,
          inboundPort: 15008,
          plaintextPort: 15006,
          originalDestination: { outbound: { address: vip, port: 80 }, plaintext: { address: clientIp, port: 1 } },
        },
      }),
    );
    after(() => child?.kill());

    async function serve(certificate: string): Promise<void> {
      child?.kill();
      if (child) await once(child, 'close');
      child = spawn(peers, ['hbone-server', ...files(certificate), `${serverIp}:15008`, callerId]);
      // Istio's log comes before.
      for await (const chunk of child.stdout!.iterator({ destroyOnReturn: false })) {
        if (String(chunk).includes('listening')) break;
      }
      child.stdout!.resume();
    }

    async function request(bytes: Buffer): Promise<Buffer> {
      const socket = net.connect({ host: clientIp, port: 15001, localAddress: clientIp });
      const received: Buffer[] = [];
      let count = 0;
      socket.write(bytes);
      await new Promise<void>((resolve, reject) => {
        socket.on('error', reject);
        socket.on('data', (chunk: Buffer) => {
          received.push(chunk);
          count += chunk.length;
          if (count >= bytes.length) resolve();
        });
      });
      socket.destroy();
      return Buffer.concat(received);
    }

    test('it is not taken for somebody else', async () => {
      await serve('shop-other');
      await assert.rejects(request(Buffer.from('x')), { code: 'ECONNRESET' });
      await part.logLine(/direction="outbound".*error=".*spiffe:\/\/cluster\.local\/ns\/shop\/sa\/other/);
    });

    test('every byte of 3 MB comes back, on many connections of one tunnel', async () => {
      await serve('shop-web');
      const bytes = Array.from({ length: 20 }, () => randomBytes(150_000));
      const answers = await Promise.all(bytes.map((one) => request(one)));
      for (const [i, answer] of answers.entries()) assert.ok(answer.equals(bytes[i] ?? Buffer.alloc(0)));
    });
  });
});
