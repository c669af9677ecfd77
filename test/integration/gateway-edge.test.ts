/** A gateway at the edge: what its listeners and routes make of connections that enter there. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kinds, type KindRef, type KubeObject } from '../../src/api/index.ts';
import type { ServerIdentity } from '../../src/ca/index.ts';
import { systemClock, type Clock } from '../../src/lib/clock.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { httpService, l7Manifests, type HttpAnswer, type HttpRequest } from '../support/l7-mesh.ts';
import { documents, openTestMesh, programPod, programs, type TestMesh } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

const gatewayApi = 'gateway.networking.k8s.io/v1';
const host = 'edge-istio.shop';
const anywhere = { allowedRoutes: { namespaces: { from: 'All' } } };
const toEdge = (sectionName: string): object => ({ name: 'edge', namespace: 'shop', sectionName });
const v1 = { name: 'app-v1', port: 80 };
const v2 = { name: 'app-v2', port: 80 };

interface TlsAnswer {
  readonly status: number;
  readonly body: string;
  readonly serial?: string;
  readonly error?: string;
}

describe('a gateway at the edge', () => {
  let mesh: TestMesh;
  let authority: TestAuthority;
  let first: ServerIdentity;
  let second: ServerIdentity;
  let ofApp: ServerIdentity;

  const object = (kind: string, name: string, more: object, namespace = 'shop'): KubeObject =>
    ({ apiVersion: gatewayApi, kind, metadata: { name, namespace }, ...more }) as KubeObject;
  const apply = (...objects: KubeObject[]): Promise<unknown> =>
    mesh.apply(documents(...objects.map((one) => JSON.stringify(one))));
  const remove = (kind: KindRef, name: string, namespace = 'shop'): Promise<unknown> =>
    mesh.client.delete(kind, name, namespace);
  const certificate = (name: string, { chainPem, keyPem }: ServerIdentity): KubeObject => ({
    ...object('Secret', name, {
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': base64(chainPem), 'tls.key': base64(keyPem) },
    }),
    apiVersion: 'v1',
  });
  /** One program sends them all, as starting one takes longer than asking. */
  const askAll = async (...requests: readonly HttpRequest[]): Promise<HttpAnswer[]> => {
    const command = [process.execPath, join(programs, 'http-client.ts'), JSON.stringify(requests)];
    return JSON.parse(await mesh.exec('front/client', command)) as HttpAnswer[];
  };
  const ask = async (path: string, more: Partial<HttpRequest> = {}): Promise<HttpAnswer> => {
    const [answer] = await askAll({ url: `http://${host}${path}`, ...more });
    assert.ok(answer);
    return answer;
  };
  const askTls = async (port: number, servername: string, more: object = {}): Promise<TlsAnswer> => {
    const requests = [{ host, port, servername, ca: authority.rootPem, ...more }];
    const command = [process.execPath, join(programs, 'tls-client.ts'), JSON.stringify(requests)];
    const [answer] = JSON.parse(await mesh.exec('front/client', command)) as TlsAnswer[];
    assert.ok(answer);
    return answer;
  };
  const until = async <A extends { readonly status: number }>(
    what: string,
    send: () => Promise<A>,
    wanted: (answer: A) => boolean,
  ): Promise<A> => {
    let last: A | undefined;
    return eventually(async () => {
      last = await send();
      return wanted(last) ? last : undefined;
    }, what).catch((error: unknown) => {
      throw new Error(`${what}: the last answer was ${JSON.stringify(last)}`, { cause: error });
    });
  };
  const version = ({ body }: { readonly body: string }): string | undefined =>
    body.startsWith('{') ? (JSON.parse(body) as { version: string }).version : undefined;

  before(async () => {
    authority = await createTestAuthority();
    const sign = (...dnsNames: string[]): Promise<ServerIdentity> => authority.signServer({ dnsNames, ips: [] });
    [first, second, ofApp] = await Promise.all([
      sign('shop.example.com'),
      sign('shop.example.com'),
      sign('app.internal', 'a.pass.example'),
    ]);
    const tlsApp = programPod({
      name: 'tls-app',
      namespace: 'shop',
      node: 'node-1',
      program: 'tls-app.ts',
      args: ['8443', base64(ofApp.chainPem), base64(ofApp.keyPem)],
      port: 8443,
    });
    const port = { name: 'http', port: 80, targetPort: 8443 };
    const secure = httpService('secure', { app: 'tls-app' }, port);
    const account = JSON.stringify({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'tls-app', namespace: 'shop' },
    });
    mesh = await openTestMesh({ manifests: documents(l7Manifests, account, tlsApp, secure) });
    await mesh.enrol('shop');
    await apply(
      certificate('cert', first),
      object('Gateway', 'edge', {
        spec: {
          gatewayClassName: 'istio',
          listeners: [
            { name: 'http', port: 80, protocol: 'HTTP', ...anywhere },
            {
              name: 'https',
              port: 443,
              protocol: 'HTTPS',
              hostname: '*.example.com',
              tls: { certificateRefs: [{ name: 'cert' }] },
            },
            { name: 'pass', port: 8443, protocol: 'TLS', hostname: '*.pass.example', tls: { mode: 'Passthrough' } },
            { name: 'tcp', port: 9000, protocol: 'TCP' },
          ],
        },
      }),
      object('HTTPRoute', 'main', {
        spec: {
          parentRefs: [toEdge('http'), toEdge('https')],
          rules: [
            { backendRefs: [v1] },
            { matches: [{ path: { value: '/two' } }], backendRefs: [v2] },
            {
              matches: [{ path: { value: '/moved' } }],
              filters: [
                {
                  type: 'RequestRedirect',
                  requestRedirect: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/two' } },
                },
              ],
            },
            { matches: [{ path: { value: '/broken' } }], backendRefs: [{ name: 'gone', port: 80 }] },
          ],
        },
      }),
    );
    await until(
      'the gateway serves',
      () => ask('/'),
      (answer) => version(answer) === 'v1',
    );
  });
  after(() => mesh?.[Symbol.asyncDispose]());

  it('routes requests by the most specific path', async () => {
    assert.equal(version(await ask('/two/x')), 'v2');
    assert.equal(version(await ask('/twofold')), 'v1');
    const moved = await ask('/moved/a?b=c', { headers: { host: 'shop.example.com:8080' } });
    assert.deepEqual([moved.status, moved.headers['location']], [302, 'http://shop.example.com:8080/two/a?b=c']);
    assert.equal((await ask('/broken')).status, 500);
  });

  it('prefers a route for the host, and knows no other host of a listener', async () => {
    const spec = { parentRefs: [toEdge('http')], hostnames: ['two.example.com'], rules: [{ backendRefs: [v2] }] };
    await apply(object('HTTPRoute', 'by-host', { spec }));
    const asTwo = { headers: { host: 'two.example.com' } };
    await until(
      'the host is known',
      () => ask('/', asTwo),
      (answer) => version(answer) === 'v2',
    );
    assert.equal(version(await ask('/')), 'v1');
    await remove(kinds.HTTPRoute, 'by-host');
  });

  it('ends TLS for the names that its listener has, and for no others', async () => {
    const answer = await until(
      'TLS is served',
      () => askTls(443, 'shop.example.com', { path: '/two' }),
      ({ status }) => status === 200,
    );
    assert.equal(version(answer), 'v2');
    assert.equal(answer.serial, serialOf(first));
    const other = await askTls(443, 'shop.example.org');
    assert.equal(other.status, 0, JSON.stringify(other));
  });

  it('changes its certificate with the Secret, and keeps the last good one', async () => {
    await apply(certificate('cert', second));
    await until(
      'the new certificate',
      () => askTls(443, 'shop.example.com'),
      ({ serial }) => serial === serialOf(second),
    );
    await apply(certificate('cert', { ...first, keyPem: ofApp.keyPem }));
    await eventually(async () => {
      const { status } = await mesh.client.get(kinds.Gateway, 'edge', 'shop');
      const refs = status?.listeners?.find(({ name }) => name === 'https')?.conditions;
      return refs?.find(({ type, status: held }) => type === 'ResolvedRefs' && held === 'False');
    }, 'the status tells of the certificate');
    assert.equal((await askTls(443, 'shop.example.com')).serial, serialOf(second));
    // Issued and ended a year ago.
    const then: Clock = { ...systemClock, nowMs: () => Date.now() - 400 * 24 * 3600_000 };
    const ended = await (await createTestAuthority(then)).signServer({ dnsNames: ['*.example.com'], ips: [] });
    assert.ok(new X509Certificate(ended.chainPem).validToDate.getTime() < Date.now());
    await apply(certificate('cert', ended));
    const told = await eventually(async () => {
      const { status } = await mesh.client.get(kinds.Gateway, 'edge', 'shop');
      const conditions = status?.listeners?.find(({ name }) => name === 'https')?.conditions ?? [];
      return conditions.some(({ message }) => message?.includes('ended at')) ? conditions : undefined;
    }, 'the status tells that the certificate has ended');
    assert.deepEqual(
      told.filter(({ type }) => type === 'ResolvedRefs').map(({ status, reason }) => [status, reason]),
      [['False', 'InvalidCertificateRef']],
    );
    assert.equal(told.find(({ type }) => type === 'Programmed')?.status, 'True');
    assert.equal((await askTls(443, 'shop.example.com')).serial, serialOf(second));
    await apply(certificate('cert', first));
    await until(
      'the next good one',
      () => askTls(443, 'shop.example.com'),
      ({ serial }) => serial === serialOf(first),
    );
  });

  it('passes TLS through by server name', async () => {
    const spec = {
      parentRefs: [toEdge('pass')],
      hostnames: ['a.pass.example'],
      rules: [{ backendRefs: [{ name: 'secure', port: 80 }] }],
    };
    await apply(object('TLSRoute', 'pass', { spec }));
    const answer = await until(
      'TLS is passed on',
      () => askTls(8443, 'a.pass.example'),
      ({ status }) => status === 200,
    );
    assert.deepEqual(JSON.parse(answer.body), {
      version: 'tls',
      servername: 'a.pass.example',
      url: '/',
      host: 'a.pass.example',
    });
    assert.equal(answer.serial, serialOf(ofApp));
    assert.equal((await askTls(8443, 'b.pass.example')).status, 0);
  });

  it('carries TCP to the backends of a TCPRoute', async () => {
    const url = `http://${host}:9000/`;
    assert.equal((await ask('', { url })).status, 0);
    await apply(object('TCPRoute', 'tcp', { spec: { parentRefs: [toEdge('tcp')], rules: [{ backendRefs: [v2] }] } }));
    await until(
      'TCP is carried',
      () => ask('', { url }),
      (answer) => version(answer) === 'v2',
    );
  });

  it('routes calls of gRPC by service and method', async () => {
    const rule = (method: object, backend: object): object => ({ matches: [{ method }], backendRefs: [backend] });
    const rules = [rule({ service: 'pets.Pets' }, v1), rule({ service: 'pets.Pets', method: 'Feed' }, v2)];
    await apply(
      object('GRPCRoute', 'calls', { spec: { parentRefs: [toEdge('http')], hostnames: ['grpc.example.com'], rules } }),
    );
    const call = (path: string): Promise<HttpAnswer> =>
      ask(path, { method: 'POST', headers: { host: 'grpc.example.com' } });
    await until(
      'calls are routed',
      () => call('/pets.Pets/Feed'),
      (answer) => version(answer) === 'v2',
    );
    assert.equal(version(await call('/pets.Pets/Walk')), 'v1');
    assert.equal((await call('/cars.Cars/Drive')).status, 404);
  });

  it('does to requests what the rules of an HTTPRoute say', async () => {
    const prefix = (value: string): object => ({ matches: [{ path: { value } }] });
    const set = (name: string, value: string): object => ({ set: [{ name, value }] });
    await apply(
      object('HTTPRoute', 'rules', {
        spec: {
          parentRefs: [toEdge('http')],
          hostnames: ['rules.example.com'],
          rules: [
            { backendRefs: [v1] },
            {
              ...prefix('/api'),
              filters: [
                { type: 'RequestHeaderModifier', requestHeaderModifier: set('x-asked', 'yes') },
                {
                  type: 'ResponseHeaderModifier',
                  responseHeaderModifier: { ...set('x-seen', 'yes'), remove: ['x-app'] },
                },
                {
                  type: 'URLRewrite',
                  urlRewrite: {
                    hostname: 'inner.example',
                    path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/v2' },
                  },
                },
              ],
              backendRefs: [
                { ...v1, filters: [{ type: 'RequestHeaderModifier', requestHeaderModifier: set('x-of', 'v1') }] },
              ],
            },
            { ...prefix('/delay'), timeouts: { request: '2s' }, backendRefs: [v1] },
            { ...prefix('/flaky'), retry: { attempts: 3, codes: [503], backoff: '5ms' }, backendRefs: [v1] },
            {
              ...prefix('/open'),
              filters: [
                { type: 'CORS', cors: { allowOrigins: ['https://*.example.com'], allowMethods: ['PUT'], maxAge: 60 } },
              ],
              backendRefs: [v1],
            },
            {
              ...prefix('/session'),
              sessionPersistence: { sessionName: 'cart', absoluteTimeout: '1h' },
              backendRefs: [{ name: 'app', port: 80 }],
            },
            {
              ...prefix('/extended'),
              filters: [{ type: 'ExtensionRef', extensionRef: { group: 'x', kind: 'y', name: 'z' } }],
            },
          ],
        },
      }),
    );
    const to = (path: string, headers: object = {}, more: object = {}): HttpRequest => ({
      url: `http://${host}${path}`,
      ...more,
      headers: { host: 'rules.example.com', ...headers },
    });
    const one = async (): Promise<HttpAnswer> => (await askAll(to('/')))[0] as HttpAnswer;
    await until('the route acts', one, (answer) => version(answer) === 'v1');
    const preflight = (origin: string): HttpRequest =>
      to('/open', { origin, 'access-control-request-method': 'PUT' }, { method: 'OPTIONS' });
    const [api, late, flaky, extended, allowed, denied, begun] = await askAll(
      to('/api/users?a=b'),
      to('/delay/15000'),
      to('/flaky/2/edge'),
      to('/extended'),
      preflight('https://a.example.com'),
      preflight('https://evil.example'),
      to('/session/a'),
    );
    assert.ok(api && allowed && denied && begun);

    const came = JSON.parse(api.body) as { readonly url: string; readonly headers: Record<string, string> };
    assert.equal(came.url, '/v2/users?a=b');
    const { host: asked, 'x-asked': ofRule, 'x-of': ofBackend } = came.headers;
    assert.deepEqual([asked, ofRule, ofBackend], ['inner.example', 'yes', 'v1']);
    assert.deepEqual([api.headers['x-seen'], api.headers['x-app']], ['yes', undefined]);

    assert.deepEqual([late?.status, flaky?.status, extended?.status], [504, 200, 500]);
    // A busy machine may take longer than the timeout once.
    const timely = async (): Promise<HttpAnswer> => (await askAll(to('/delay/1')))[0] as HttpAnswer;
    await until('an answer comes in time', timely, ({ status }) => status === 200);

    assert.equal(allowed.headers['access-control-allow-origin'], 'https://a.example.com');
    assert.equal(allowed.headers['access-control-allow-methods'], 'PUT');
    assert.equal(allowed.headers['access-control-max-age'], '60');
    assert.equal(denied.headers['access-control-allow-origin'], undefined);

    const [cookie = ''] = String(begun.headers['set-cookie']).split(';');
    assert.match(cookie, /^cart=./);
    const later = await askAll(to('/session/b', { cookie }, { times: 12 }));
    assert.deepEqual(new Set(later.map(version)), new Set([version(begun)]), 'one endpoint for the whole session');
    await remove(kinds.HTTPRoute, 'rules');
  });

  it('goes to another namespace only where a ReferenceGrant allows it', async () => {
    const backendRefs = [{ ...v1, namespace: 'shop' }];
    const spec = { parentRefs: [toEdge('http')], hostnames: ['far.example.com'], rules: [{ backendRefs }] };
    await apply(object('HTTPRoute', 'far', { spec }, 'front'));
    const far = (): Promise<HttpAnswer> => ask('/', { headers: { host: 'far.example.com' } });
    await until('the route is refused its backend', far, ({ status }) => status === 500);
    const from = [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'front' }];
    const to = [{ group: '', kind: 'Service' }];
    const granting = {
      ...object('ReferenceGrant', 'front', { spec: { from, to } }),
      apiVersion: 'gateway.networking.k8s.io/v1beta1',
    };
    await apply(granting);
    await until('the route is granted its backend', far, (answer) => version(answer) === 'v1');
    await remove(kinds.ReferenceGrant, 'front');
    await until('the grant is taken back', far, ({ status }) => status === 500);
  });

  it('speaks TLS to backends as a BackendTLSPolicy says, and not without trust', async () => {
    const spec = {
      parentRefs: [toEdge('http')],
      hostnames: ['secure.example.com'],
      rules: [{ backendRefs: [{ name: 'secure', port: 80 }] }],
    };
    const policy = (hostname: string): KubeObject =>
      object('BackendTLSPolicy', 'secure', {
        spec: {
          targetRefs: [{ group: '', kind: 'Service', name: 'secure' }],
          validation: { hostname, caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'ca' }] },
        },
      });
    const secure = (): Promise<HttpAnswer> => ask('/x', { headers: { host: 'secure.example.com' } });
    await apply(object('HTTPRoute', 'secure', { spec }), policy('app.internal'));
    await until('nothing is trusted', secure, ({ status }) => status === 500 || status === 503);
    await apply({ ...object('ConfigMap', 'ca', { data: { 'ca.crt': authority.rootPem } }), apiVersion: 'v1' });
    const answer = await until('the backend is trusted', secure, ({ status }) => status === 200);
    assert.deepEqual(JSON.parse(answer.body), {
      version: 'tls',
      servername: 'app.internal',
      url: '/x',
      host: 'secure.example.com',
    });
    await apply(policy('other.internal'));
    await until('the backend is somebody else', secure, ({ status }) => status === 503);
    await remove(kinds.BackendTLSPolicy, 'secure');
  });

  it('lets in only clients with a certificate, where it asks for one', async () => {
    const ca = { ...object('ConfigMap', 'clients', { data: { 'ca.crt': authority.rootPem } }), apiVersion: 'v1' };
    const validation = { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'clients' }] };
    await apply(ca, certificate('cert', second));
    const spec = { tls: { frontend: { default: { validation } } } };
    await mesh.client.patch(kinds.Gateway, 'edge', 'shop', { spec } as object, { type: 'merge' });
    const plain = (): Promise<TlsAnswer> => askTls(443, 'shop.example.com');
    await until('clients without a certificate are refused', plain, ({ status }) => status === 0);
    const shown = async (by: TestAuthority): Promise<object> => {
      const { chainPem, key } = await by.certificate('front/client');
      return { cert: chainPem.join(''), key: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
    };
    const own = await shown(authority);
    await until(
      'who shows one is let in',
      () => askTls(443, 'shop.example.com', own),
      ({ status }) => status === 200,
    );
    const refused = await askTls(443, 'shop.example.com', await shown(await createTestAuthority()));
    assert.equal(refused.status, 0, JSON.stringify(refused));
    const { chainPem: cert, keyPem: key } = first;
    const server = await askTls(443, 'shop.example.com', { cert, key });
    assert.equal(server.status, 0, `a certificate that is for servers alone: ${JSON.stringify(server)}`);
  });
});

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function serialOf({ chainPem }: ServerIdentity): string {
  return new X509Certificate(chainPem).serialNumber;
}
