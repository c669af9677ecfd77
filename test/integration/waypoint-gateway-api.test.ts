/** Routes of the Gateway API at Services, through ztunnel, waypoint and ztunnel: whose they are, and the kinds besides HTTPRoute. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { ServerIdentity } from '../../src/ca/index.ts';
import { createTestAuthority, type TestAuthority } from '../support/certificates.ts';
import { httpService, openL7Mesh, type HttpAnswer, type HttpRequest, type L7Mesh } from '../support/l7-mesh.ts';
import { documents, programPod, programs, serviceAccount } from '../support/mesh.ts';
import { eventually } from '../support/run.ts';

const v1 = { name: 'app-v1', port: 80 };
const v2 = { name: 'app-v2', port: 80 };
const app = { group: '', kind: 'Service', name: 'app', namespace: 'shop' };

describe('routes of Services', () => {
  let l7: L7Mesh;
  let authority: TestAuthority;
  let secure: ServerIdentity;

  const route = (kind: string, name: string, spec: object, namespace = 'shop'): RouteObject => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind,
    metadata: { name, namespace },
    spec,
  });
  const ask = async (pod: string, request: HttpRequest): Promise<HttpAnswer> => {
    const [answer] = await l7.send(pod, request);
    assert.ok(answer);
    return answer;
  };
  const version = ({ headers }: HttpAnswer): string | undefined => headers['x-app'];

  before(async () => {
    authority = await createTestAuthority();
    secure = await authority.signServer({ dnsNames: ['secure.internal'], ips: [] });
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const tlsApp = programPod({
      name: 'tls-app',
      namespace: 'shop',
      node: 'node-2',
      program: 'tls-app.ts',
      args: ['8443', base64(secure.chainPem), base64(secure.keyPem)],
      port: 8443,
    });
    const manifests = documents(
      serviceAccount('tls-app', 'shop'),
      tlsApp,
      httpService('secure', { app: 'tls-app' }, { name: 'tls', port: 443, targetPort: 8443 }),
      // Whoever asks these two by themselves comes to the wrong place.
      httpService('by-name', { app: 'app-v1' }, { name: 'tls', port: 443, targetPort: 8080 }),
      httpService('bytes', { app: 'app-v1' }, { name: 'tcp', port: 9000, targetPort: 8080 }),
    );
    l7 = await openL7Mesh({ manifests });
  });
  after(() => l7?.[Symbol.asyncDispose]());

  it('hold for everybody in their own namespace, and elsewhere for clients of theirs alone', async () => {
    const producer = route('HTTPRoute', 'producer', {
      parentRefs: [app],
      rules: [{ matches: [{ path: { value: '/whose' } }], backendRefs: [v1] }],
    });
    const consumer = route(
      'HTTPRoute',
      'consumer',
      {
        parentRefs: [app],
        rules: [{ matches: [{ path: { value: '/whose' } }], backendRefs: [{ ...v2, namespace: 'shop' }] }],
      },
      'front',
    );
    const granting = {
      ...route('ReferenceGrant', 'front', {
        from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'front' }],
        to: [{ group: '', kind: 'Service' }],
      }),
      apiVersion: 'gateway.networking.k8s.io/v1beta1',
    };
    const request = { url: 'http://app.shop/whose' };
    await l7.apply(producer);
    await l7.until('front/client', request, (answer) => version(answer) === 'v1', 'the producer decides');
    await l7.apply(consumer);
    await l7.until('front/client', request, ({ status }) => status === 500, 'the consumer decides, and may not');
    await l7.apply(granting);
    await l7.until('front/client', request, (answer) => version(answer) === 'v2', 'the consumer decides');
    assert.equal(version(await ask('shop/app-v2', request)), 'v1', 'others follow the producer');
    assert.equal((await ask('front/client', { url: 'http://app.shop/else' })).status, 404);
    await l7.remove(consumer, producer, granting);
  });

  it('lead calls of gRPC by service and method', async () => {
    const rule = (method: object, backend: object): object => ({ matches: [{ method }], backendRefs: [backend] });
    const calls = route('GRPCRoute', 'calls', {
      parentRefs: [app],
      rules: [rule({ service: 'pets.Pets' }, v1), rule({ service: 'pets.Pets', method: 'Feed' }, v2)],
    });
    await l7.apply(calls);
    const call = (method: string): HttpRequest => ({ url: `http://app.shop/pets.Pets/${method}`, method: 'POST' });
    await l7.until('front/client', call('Feed'), (answer) => version(answer) === 'v2', 'a method has its backend');
    assert.equal(version(await ask('front/client', call('Walk'))), 'v1');
    await l7.remove(calls);
  });

  it('lead connections of TCP', async () => {
    const bytes = route('TCPRoute', 'bytes', {
      parentRefs: [{ group: '', kind: 'Service', name: 'bytes', port: 9000 }],
      rules: [{ backendRefs: [v2] }],
    });
    await l7.apply(bytes);
    const request = { url: 'http://bytes.shop:9000/' };
    await l7.until('front/client', request, (answer) => version(answer) === 'v2', 'the route leads elsewhere');
    await l7.remove(bytes);
    await l7.until('front/client', request, (answer) => version(answer) === 'v1', 'the Service is itself again');
  });

  it('lead TLS by server name, unopened', async () => {
    const names = route('TLSRoute', 'names', {
      parentRefs: [{ group: '', kind: 'Service', name: 'by-name', port: 443 }],
      hostnames: ['secure.internal'],
      rules: [{ backendRefs: [{ name: 'secure', port: 443 }] }],
    });
    await l7.apply(names);
    const wanted = [{ host: 'by-name.shop', port: 443, servername: 'secure.internal', ca: authority.rootPem }];
    const command = [process.execPath, join(programs, 'tls-client.ts'), JSON.stringify(wanted)];
    let last = '';
    const answer = await eventually(async () => {
      last = await l7.mesh.exec('front/client', command);
      const [found] = JSON.parse(last) as { readonly status: number; readonly body: string }[];
      return found?.status === 200 ? found : undefined;
    }, 'TLS comes through').catch((error: unknown) => {
      throw new Error(`the last answer was ${last}`, { cause: error });
    });
    assert.equal((JSON.parse(answer.body) as { readonly servername: string }).servername, 'secure.internal');
    await l7.remove(names);
  });

  it('keep the requests of a session together', async () => {
    const sticky = route('HTTPRoute', 'sticky', {
      parentRefs: [app],
      rules: [
        {
          matches: [{ path: { value: '/sticky' } }],
          backendRefs: [v1, v2],
          sessionPersistence: { type: 'Header', sessionName: 'x-session' },
        },
      ],
    });
    await l7.apply(sticky);
    const url = 'http://app.shop/sticky';
    const begun = await l7.until(
      'front/client',
      { url },
      ({ headers }) => headers['x-session'] !== undefined,
      'a session begins',
    );
    const headers = { 'x-session': begun.headers['x-session'] ?? '' };
    const answers = await l7.send('front/client', { url, headers, times: 12 });
    assert.deepEqual(new Set(answers.map(version)), new Set([version(begun)]));
    const free = await l7.send('front/client', { url, times: 30 });
    assert.equal(new Set(free.map(version)).size, 2, 'without one, requests are shared');
    await l7.remove(sticky);
  });
});

interface RouteObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: object;
}
