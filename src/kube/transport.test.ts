import 'reflect-metadata';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import * as x509 from '@peculiar/x509';
import { WebSocketServer } from 'ws';
import type { KindRef } from '../api/index.ts';
import { silentLog } from '../lib/log.ts';
import type { ClusterAccess, Credential } from './access.ts';
import type { KubeClient } from './client.ts';
import { fakeObject, openFakeApi, sendJson, sendStatus, type FakeApi } from './fake-api.ts';
import { openKubeClient, type OpenKubeClientOptions } from './http-client.ts';
import { retryAfterMsOf } from './kube-error.ts';

const configMaps: KindRef = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true };

async function withApi(
  access: Partial<ClusterAccess>,
  run: (api: FakeApi, client: KubeClient) => Promise<void>,
  options: Partial<OpenKubeClientOptions> = {},
): Promise<void> {
  await using api = await openFakeApi();
  const client = openKubeClient(
    { server: api.url, namespace: 'default', insecureSkipTlsVerify: false, ...access },
    { log: silentLog(), ...options },
  );
  try {
    await run(api, client);
  } finally {
    await client.close();
  }
}

const answer = (_: IncomingMessage, response: ServerResponse): void => sendJson(response, 200, fakeObject('a', '1'));

describe('credentials', () => {
  it('are renewed when the server refuses them, once, for any verb', async () => {
    let token = 'old';
    const source = (fresh = false): string => (fresh ? (token = 'new') : token);
    await withApi({ token: source }, async (api, client) => {
      const tokens: (string | undefined)[] = [];
      api.handle((request, response) => {
        tokens.push(request.headers.authorization);
        if (request.headers.authorization === 'Bearer new') answer(request, response);
        else sendStatus(response, 401, 'Unauthorized', 'no');
      });
      await client.create(configMaps, fakeObject('a', '1'));
      assert.deepEqual(tokens, ['Bearer old', 'Bearer new']);
    });
  });

  it('that cannot be renewed are not tried twice', () =>
    withApi({ token: () => 'same' }, async (api, client) => {
      api.handle((_, response) => sendStatus(response, 401, 'Unauthorized', 'no'));
      await assert.rejects(client.get(configMaps, 'a', 'ns'), { code: 'kube.unauthorized' });
      assert.equal(api.seen.length, 1);
    }));

  it('of a plugin are renewed likewise, also for WebSockets', async () => {
    let runs = 0;
    const credentials = {
      get: (refused?: Credential): Promise<Credential> => {
        if (runs === 0 || refused) runs++;
        return Promise.resolve({ token: `t${runs}` });
      },
    };
    const server = createHttpServer((request, response) => {
      if (request.headers.authorization === 'Bearer t2') answer(request, response);
      else sendStatus(response, 401, 'Unauthorized', 'no');
    });
    const sockets = new WebSocketServer({ noServer: true });
    const seen: (string | undefined)[] = [];
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      seen.push(request.headers.authorization);
      if (request.headers.authorization === 'Bearer t3') sockets.handleUpgrade(request, socket, head, () => {});
      else socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = openKubeClient(
      { server: url, namespace: '', insecureSkipTlsVerify: false, credentials },
      { log: silentLog() },
    );
    await client.get(configMaps, 'a', 'ns');
    assert.equal(runs, 2);
    const socket = await client.openWebSocket('/exec', ['v4.channel.k8s.io']);
    assert.deepEqual(seen, ['Bearer t2', 'Bearer t3']);
    socket.terminate();
    await client.close();
    server.closeAllConnections();
    server.close();
  });

  it('may be those of somebody else, whom they impersonate', () =>
    withApi(
      {
        token: () => 't',
        impersonate: { user: 'jane', uid: '7', groups: ['dev', 'ops'], extra: { 'example.com/Team': ['a'] } },
      },
      async (api, client) => {
        let headers: string[] = [];
        api.handle((request, response) => {
          headers = request.rawHeaders;
          answer(request, response);
        });
        await client.get(configMaps, 'a', 'ns');
        const pairs = headers.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${headers[i + 1]}`] : []));
        assert.deepEqual(
          pairs.filter((pair) => pair.startsWith('impersonate')),
          [
            'impersonate-user: jane',
            'impersonate-uid: 7',
            'impersonate-group: dev',
            'impersonate-group: ops',
            'impersonate-extra-example.com%2Fteam: a',
          ],
        );
      },
    ));
});

describe('a busy or broken server', () => {
  it('is asked again after the time that it named', () =>
    withApi({}, async (api, client) => {
      api.handle((request, response) => {
        if (api.seen.length > 2) return answer(request, response);
        response.setHeader('retry-after', '0');
        return sendStatus(response, 429, 'TooManyRequests', 'busy');
      });
      await client.create(configMaps, fakeObject('a', '1'));
      assert.equal(api.seen.length, 3);
    }));

  it('that names no time is not asked again', () =>
    withApi({}, async (api, client) => {
      api.handle((_, response) => sendStatus(response, 429, 'TooManyRequests', 'busy'));
      await assert.rejects(client.get(configMaps, 'a', 'ns'), { code: 'kube.too-many-requests', status: 429 });
      assert.equal(api.seen.length, 1);
    }));

  it('is asked again when it cut a read short, and never when it cut a write', () =>
    withApi({}, async (api, client) => {
      api.handle((request, response) => {
        if (request.method === 'GET' && api.seen.length > 1) return answer(request, response);
        response.writeHead(200, { 'content-length': '1000' });
        response.write('{"metadata":');
        return setImmediate(() => response.destroy());
      });
      assert.equal((await client.get(configMaps, 'a', 'ns')).metadata.name, 'a');
      assert.equal(api.seen.length, 2);
      await assert.rejects(client.create(configMaps, fakeObject('a', '1')), { code: 'kube.unreachable' });
      assert.equal(api.seen.length, 3);
    }));

  it('is given up when it does not answer in time', () =>
    withApi(
      {},
      async (api, client) => {
        api.handle((_, response) => {
          response.writeHead(200);
          response.write('{');
        });
        await assert.rejects(client.get(configMaps, 'a', 'ns'), {
          code: 'kube.unreachable',
          message: /no answer within 0\.05 s/,
        });
      },
      { requestTimeoutMs: 50 },
    ));

  it('is not believed when its answer has no end', () =>
    withApi(
      {},
      async (api, client) => {
        api.handle((_, response) => response.end('x'.repeat(2000)));
        await assert.rejects(client.get(configMaps, 'a', 'ns'), {
          code: 'kube.bad-answer',
          message: /longer than 1000 bytes/,
        });
      },
      { maxAnswerBytes: 1000 },
    ));

  it('may name the time as seconds or as a date', () => {
    const nowMs = Date.parse('2030-01-01T00:00:00Z');
    assert.equal(retryAfterMsOf('7', nowMs), 7000);
    assert.equal(retryAfterMsOf('Tue, 01 Jan 2030 00:00:30 GMT', nowMs), 30_000);
    assert.equal(retryAfterMsOf('Mon, 31 Dec 2029 00:00:00 GMT', nowMs), 0);
    assert.equal(retryAfterMsOf('soon', nowMs), undefined);
    assert.equal(retryAfterMsOf(undefined, nowMs), undefined);
  });
});

describe('writes', () => {
  it('say what they want in the query', () =>
    withApi({}, async (api, client) => {
      api.handle(answer);
      const object = fakeObject('a', '1');
      const options = { dryRun: true, fieldManager: 'me', fieldValidation: 'Strict' } as const;
      await client.create(configMaps, object, options);
      await client.replace(configMaps, object, 'scale', options);
      await client.patch(configMaps, 'a', 'ns', [{ op: 'remove', path: '/x' }], { type: 'json', dryRun: true });
      await client.list(configMaps, { limit: 2, continue: 'abc' });
      const query = 'fieldManager=me&fieldValidation=Strict&dryRun=All';
      assert.deepEqual(api.seen, [
        `POST /api/v1/namespaces/ns/configmaps?${query}`,
        `PUT /api/v1/namespaces/ns/configmaps/a/scale?${query}`,
        'PATCH /api/v1/namespaces/ns/configmaps/a?dryRun=All',
        'GET /api/v1/configmaps?limit=2&continue=abc',
      ]);
    }));

  it('apply an intent that names its type and its manager', () =>
    withApi({}, async (api, client) => {
      const bodies: unknown[] = [];
      api.handle((request, response, body) => {
        bodies.push([request.headers['content-type'], JSON.parse(body)]);
        answer(request, response);
      });
      const intent = { metadata: { name: 'a', namespace: 'ns' }, data: { x: '1' } };
      await client.patch(configMaps, 'a', 'ns', intent, { type: 'apply', fieldManager: 'me', force: true });
      assert.deepEqual(api.seen, ['PATCH /api/v1/namespaces/ns/configmaps/a?fieldManager=me&force=true']);
      assert.deepEqual(bodies, [['application/apply-patch+yaml', { apiVersion: 'v1', kind: 'ConfigMap', ...intent }]]);
      assert.throws(() => client.patch(configMaps, 'a', 'ns', intent, { type: 'apply' }), /needs a fieldManager/);
    }));
});

async function selfSigned(): Promise<{ cert: string; key: string }> {
  x509.cryptoProvider.set(webcrypto as unknown as Crypto);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: `CN=${webcrypto.randomUUID()}`,
    keys: keys as never,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
    ],
  });
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  const key = `-----BEGIN PRIVATE KEY-----\n${Buffer.from(der).toString('base64')}\n-----END PRIVATE KEY-----\n`;
  return { cert: certificate.toString('pem'), key };
}

describe('certificates in files', () => {
  it('are read again when the server cannot be verified, and running answers go on', async () => {
    const [before, after] = [await selfSigned(), await selfSigned()];
    const server = createHttpsServer(before, answer);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    let file = before.cert;
    let reads = 0;
    const client = openKubeClient(
      {
        server: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
        caPem: before.cert,
        readCertificates: () => {
          reads++;
          return { caPem: file };
        },
        insecureSkipTlsVerify: false,
        namespace: '',
      },
      { log: silentLog() },
    );
    await client.get(configMaps, 'a', 'ns');
    assert.equal(reads, 0);
    server.setSecureContext(after);
    server.closeAllConnections();
    // The file is late.
    await assert.rejects(client.create(configMaps, fakeObject('a', '1')), { code: 'kube.unreachable' });
    assert.equal(reads, 1);
    file = after.cert;
    await client.create(configMaps, fakeObject('a', '1'));
    assert.equal(reads, 2);
    await client.close();
    server.closeAllConnections();
    server.close();
  });
});

describe('a proxy', () => {
  it('is asked for a tunnel, with its password, by calls and by WebSockets', async () => {
    const identity = await selfSigned();
    const server = createHttpsServer(identity, answer);
    const sockets = new WebSocketServer({ server });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const asked: string[] = [];
    const proxy = createHttpServer();
    const tunnels = new Set<Socket>();
    proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
      asked.push(`${request.url} ${request.headers['proxy-authorization']}`);
      const [host, port] = (request.url ?? '').split(':');
      const upstream = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(upstream).pipe(socket);
      });
      for (const end of [socket, upstream]) {
        tunnels.add(end);
        end.on('error', () => {});
      }
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const client = openKubeClient(
      {
        server: `https://${target}`,
        caPem: identity.cert,
        insecureSkipTlsVerify: false,
        proxyUrl: `http://me:p%40ss@127.0.0.1:${(proxy.address() as AddressInfo).port}`,
        namespace: '',
      },
      { log: silentLog() },
    );
    assert.equal((await client.get(configMaps, 'a', 'ns')).metadata.name, 'a');
    const socket = await client.openWebSocket('/exec', []);
    socket.terminate();
    const expected = `${target} Basic ${btoa('me:p@ss')}`;
    assert.deepEqual(asked, [expected, expected]);
    await client.close();
    for (const end of tunnels) end.destroy();
    sockets.close();
    server.closeAllConnections();
    server.close();
    proxy.close();
  });
});
