import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { KubeStatus } from '../../api/index.ts';
import { silentLog } from '../../lib/log.ts';
import { startApiServer } from './server.ts';

const adminToken = 'admin-token-of-this-test';
const nodeToken = 'node-1-token-of-this-test';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: { [field: string]: unknown } & Partial<KubeStatus>;
  readonly text: string;
}

interface Call {
  readonly body?: unknown;
  readonly token?: string | null;
  readonly type?: string;
  readonly accept?: string;
}

interface Server {
  readonly stateDir: string;
  readonly port: number;
  readonly caPem: string;
  call(method: string, path: string, options?: Call): Promise<Answer>;
  /** Opens a watch; `next` waits for one event. */
  watch(path: string): Promise<{ next(): Promise<{ type: string; object: Record<string, unknown> }>; close(): void }>;
}

/** What a controller makes in every namespace; none runs here. */
async function bootstrapAccount(port: number, ca: string): Promise<void> {
  const created = Promise.withResolvers<number | undefined>();
  const path = '/api/v1/namespaces/default/serviceaccounts';
  const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' };
  const request = httpsRequest({ port, host: '127.0.0.1', ca, method: 'POST', path, agent: false, headers });
  request.on('error', created.reject);
  request.on('response', (response) => created.resolve(response.resume().statusCode));
  request.end('{"metadata":{"name":"default"}}');
  equal(await created.promise, 201);
}

async function open(t: TestContext): Promise<Server> {
  const stateDir = mkdtempSync(join(tmpdir(), 'ambit-api-'));
  mkdirSync(join(stateDir, 'pki'));
  const tokensFile = join(stateDir, 'pki', 'tokens.json');
  writeFileSync(
    tokensFile,
    JSON.stringify([
      { token: adminToken, user: 'admin', groups: ['system:masters'] },
      { token: nodeToken, user: 'system:node:node-1', groups: ['system:nodes'] },
    ]),
  );
  const server = await startApiServer({
    stateDir,
    tokensFile,
    listen: { host: '127.0.0.1', port: 0 },
    socketPath: join(stateDir, 'run', 'apiserver.sock'),
    nodeSocket: (node) => join(stateDir, 'run', `${node}.sock`),
    log: silentLog(),
  });
  t.after(async () => {
    await server.close();
    rmSync(stateDir, { recursive: true });
  });
  const { port, caPem } = server;
  await bootstrapAccount(port, caPem);
  const send = (method: string, path: string, call: Call) => {
    const { token = adminToken, type = 'application/json', accept = 'application/json', body } = call;
    const text = typeof body === 'string' || Buffer.isBuffer(body) || body === undefined ? body : JSON.stringify(body);
    const request = httpsRequest({
      port,
      host: '127.0.0.1',
      ca: caPem,
      method,
      path,
      agent: false,
      headers: {
        accept,
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(text !== undefined && { 'content-type': type, 'content-length': Buffer.byteLength(text) }),
      },
    });
    request.end(text);
    return request;
  };
  return {
    stateDir,
    port,
    caPem,
    call: (method, path, options = {}) =>
      new Promise((resolve, reject) => {
        const request = send(method, path, options);
        request.on('error', reject);
        request.on('response', async (response) => {
          let text = '';
          for await (const chunk of response) text += String(chunk);
          const isJson = response.headers['content-type']?.startsWith('application/json') === true;
          const body = (isJson ? JSON.parse(text) : {}) as Answer['body'];
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, text });
        });
      }),
    watch: (path) =>
      new Promise((resolve, reject) => {
        const request = send('GET', path, {});
        request.on('error', reject);
        request.on('response', (response) => {
          let rest = '';
          const lines: string[] = [];
          let wake: (() => void) | undefined;
          response.on('data', (chunk: Buffer) => {
            const parts = (rest + chunk.toString()).split('\n');
            rest = parts.pop() ?? '';
            lines.push(...parts);
            wake?.();
          });
          resolve({
            async next() {
              while (lines.length === 0) await new Promise<void>((done) => (wake = done));
              return JSON.parse(lines.shift() ?? '') as { type: string; object: Record<string, unknown> };
            },
            close: () => request.destroy(),
          });
        });
      }),
  };
}

const configMaps = '/api/v1/namespaces/default/configmaps';
const configMap = (name: string, data: Record<string, string> = {}) => ({
  metadata: { name, labels: { app: name } },
  data,
});
const pod = (name: string) => ({ metadata: { name }, spec: { containers: [{ name: 'main', image: 'busybox' }] } });
const metadataOf = (object: Record<string, unknown>) =>
  object['metadata'] as Record<string, string | number | undefined>;

test('create, get, replace, delete', async (t) => {
  const api = await open(t);
  const created = await api.call('POST', configMaps, { body: configMap('a', { x: '1' }) });
  equal(created.status, 201);
  equal(created.body['kind'], 'ConfigMap');
  match(String(metadataOf(created.body)['uid']), /^[0-9a-f-]{36}$/);
  match(String(metadataOf(created.body)['creationTimestamp']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  deepEqual((await api.call('GET', `${configMaps}/a`)).body, created.body);

  const replaced = await api.call('PUT', `${configMaps}/a`, { body: { ...created.body, data: { x: '2' } } });
  equal(replaced.status, 200);
  equal(
    (await api.call('PUT', `${configMaps}/a`, { body: { ...created.body, data: { x: '3' } } })).body.reason,
    'Conflict',
  );
  const same = await api.call('PUT', `${configMaps}/a`, { body: replaced.body });
  equal(
    metadataOf(same.body)['resourceVersion'],
    metadataOf(replaced.body)['resourceVersion'],
    'an update that changes nothing writes nothing',
  );

  equal((await api.call('POST', configMaps, { body: configMap('a') })).body.reason, 'AlreadyExists');
  equal((await api.call('DELETE', `${configMaps}/a`)).body.status, 'Success');
  equal((await api.call('DELETE', `${configMaps}/a`)).body.message, 'configmaps "a" not found');
});

test('only known tokens come in, and health needs none', async (t) => {
  const api = await open(t);
  equal((await api.call('GET', configMaps, { token: null })).status, 401);
  equal((await api.call('GET', configMaps, { token: 'wrong' })).status, 401);
  for (const path of ['/healthz', '/readyz', '/livez', '/version'])
    equal((await api.call('GET', path, { token: null })).status, 200);
  equal((await api.call('GET', '/apis', { token: null })).status, 401);
});

test("a pod's token is real, is bound to its pod, and may not write a policy", async (t) => {
  const api = await open(t);
  const created = await api.call('POST', '/api/v1/namespaces/default/pods', { body: pod('web') });
  const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'web', uid: metadataOf(created.body)['uid'] };
  const token = async (audiences: string[]) => {
    const answer = await api.call('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', {
      body: { spec: { audiences, expirationSeconds: 600, boundObjectRef } },
    });
    equal(answer.status, 201, answer.text);
    return (answer.body.status as unknown as { token: string }).token;
  };
  const policies = '/apis/security.istio.io/v1/namespaces/default/authorizationpolicies';
  const policy = { metadata: { name: 'open' }, spec: { action: 'ALLOW', rules: [{}] } };
  const own = await token([]);
  const refused = await api.call('POST', policies, { body: policy, token: own });
  equal(refused.status, 403);
  match(
    refused.body.message ?? '',
    /User "system:serviceaccount:default:default" cannot create resource "authorizationpolicies"/,
  );
  equal((await api.call('GET', policies)).body['items']?.constructor, Array);
  equal((await api.call('GET', '/api/v1/namespaces/default/secrets', { token: own })).status, 403);

  const forCa = await token(['istio-ca']);
  equal(
    (await api.call('GET', configMaps, { token: forCa })).status,
    401,
    'a token for another audience is none of ours',
  );
  const review = async (audiences: string[]) =>
    (
      await api.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
        body: { spec: { token: forCa, audiences } },
      })
    ).body;
  const good = await review(['istio-ca']);
  deepEqual(good['spec'], { audiences: ['istio-ca'] });
  const status = good.status as unknown as {
    authenticated: boolean;
    user: { username: string; extra: Record<string, string[]> };
  };
  equal(status.authenticated, true);
  equal(status.user.username, 'system:serviceaccount:default:default');
  deepEqual(status.user.extra['authentication.kubernetes.io/pod-name'], ['web']);
  const isAuthenticated = async (audience: string) =>
    ((await review([audience])).status as unknown as { authenticated: boolean }).authenticated;
  equal(await isAuthenticated('other'), false);
  await api.call('DELETE', '/api/v1/namespaces/default/pods/web');
  equal(await isAuthenticated('istio-ca'), false);
  equal((await api.call('POST', policies, { body: policy, token: own })).status, 401, 'the token died with its pod');
});

test('a node writes what is its own and nothing else', async (t) => {
  const api = await open(t);
  const token = nodeToken;
  equal((await api.call('POST', '/api/v1/nodes', { token, body: { metadata: { name: 'node-1' } } })).status, 201);
  equal((await api.call('POST', '/api/v1/nodes', { token, body: { metadata: { name: 'node-2' } } })).status, 403);
  const pods = '/api/v1/namespaces/default/pods';
  for (const name of ['mine', 'theirs']) await api.call('POST', pods, { body: pod(name) });
  for (const [name, node] of [
    ['mine', 'node-1'],
    ['theirs', 'node-2'],
  ]) {
    const bound = await api.call('POST', `${pods}/${name}/binding`, { body: { target: { kind: 'Node', name: node } } });
    equal(bound.status, 201, bound.text);
  }
  const type = 'application/merge-patch+json';
  const body = { status: { phase: 'Running' } };
  equal((await api.call('PATCH', `${pods}/mine/status`, { token, type, body })).status, 200);
  equal((await api.call('PATCH', `${pods}/theirs/status`, { token, type, body })).status, 403);
  equal((await api.call('POST', pods, { token, body: pod('new') })).status, 403);
  const requestToken = async (name: string) => {
    const { body: found } = await api.call('GET', `${pods}/${name}`);
    const boundObjectRef = { kind: 'Pod', name, uid: metadataOf(found)['uid'] };
    return api.call('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', {
      token,
      body: { spec: { boundObjectRef } },
    });
  };
  equal((await requestToken('mine')).status, 201);
  equal((await requestToken('theirs')).status, 403);
  const theirs = await api.call('GET', `${pods}/theirs`, { token });
  match(theirs.body.message ?? '', /no relationship found between node 'node-1' and this object$/);
  equal((await api.call('GET', `${pods}/mine`, { token })).status, 200);
  equal((await api.call('GET', '/api/v1/pods', { token })).status, 403);
  equal((await api.call('GET', '/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1', { token })).status, 200);
  await api.call('POST', '/api/v1/namespaces/default/secrets', { body: { metadata: { name: 'hidden' } } });
  equal((await api.call('GET', '/api/v1/namespaces/default/secrets/hidden', { token })).status, 403);
});

test('watches replay, follow, and say DELETED when an object leaves the selection', async (t) => {
  const api = await open(t);
  await api.call('POST', configMaps, { body: configMap('a') });
  const watch = await api.watch(`${configMaps}?watch=1&labelSelector=app%3Da`);
  equal((await watch.next()).type, 'ADDED');
  await api.call('POST', configMaps, { body: configMap('b') });
  const patch = (labels: Record<string, string>) =>
    api.call('PATCH', `${configMaps}/a`, { type: 'application/merge-patch+json', body: { metadata: { labels } } });
  await patch({ more: 'x' });
  equal((await watch.next()).type, 'MODIFIED');
  const { body: left } = await patch({ app: 'other' });
  const event = await watch.next();
  equal(event.type, 'DELETED');
  equal(metadataOf(event.object)['resourceVersion'], metadataOf(left)['resourceVersion']);
  await patch({ app: 'a' });
  equal((await watch.next()).type, 'ADDED');
  watch.close();

  const { body: list } = await api.call('GET', configMaps);
  const revision = metadataOf(list)['resourceVersion'];
  const later = await api.watch(`${configMaps}?watch=true&resourceVersion=${revision}`);
  await api.call('DELETE', `${configMaps}/b`);
  const deleted = await later.next();
  equal(deleted.type, 'DELETED');
  equal(metadataOf(deleted.object)['name'], 'b');
  later.close();
  const expired = await api.watch(`${configMaps}?watch=true&resourceVersion=1`);
  ok(['ERROR', 'ADDED'].includes((await expired.next()).type));
  expired.close();
});

test('invalid objects are refused with causes by path, and nothing is stored', async (t) => {
  const api = await open(t);
  const deployments = '/apis/apps/v1/namespaces/default/deployments';
  const answer = await api.call('POST', deployments, {
    body: { metadata: { name: 'Bad_Name' }, spec: { replicas: -1 } },
  });
  equal(answer.status, 422);
  equal(answer.body.reason, 'Invalid');
  const fields = answer.body.details?.causes?.map((cause) => cause.field) ?? [];
  for (const field of ['metadata.name', 'spec.replicas', 'spec.selector', 'spec.template']) {
    ok(
      fields.some((path) => path?.startsWith(field)),
      `${field} among ${fields.join()}`,
    );
  }
  deepEqual((await api.call('GET', deployments)).body['items'], []);
});

test('unknown fields: strict refuses, warn warns and drops, ignore drops', async (t) => {
  const api = await open(t);
  const body = (name: string) => ({ ...pod(name), spec: { ...pod(name).spec, hostnme: 'x' } });
  const post = (name: string, validation: string) =>
    api.call('POST', `/api/v1/namespaces/default/pods?fieldValidation=${validation}`, { body: body(name) });
  const strict = await post('a', 'Strict');
  equal(strict.status, 400);
  match(strict.body.message ?? '', /strict decoding error: unknown field "spec.hostnme"/);
  const warned = await post('b', 'Warn');
  equal(warned.headers['warning'], String.raw`299 - "unknown field \"spec.hostnme\""`);
  equal('hostnme' in (warned.body['spec'] as object), false);
  equal((await post('c', 'Ignore')).headers['warning'], undefined);
});

test('versions of one kind share their objects', async (t) => {
  const api = await open(t);
  const path = (version: string) => `/apis/security.istio.io/${version}/namespaces/default/peerauthentications`;
  const created = await api.call('POST', path('v1beta1'), {
    body: { metadata: { name: 'a' }, spec: { mtls: { mode: 'STRICT' } } },
  });
  equal(created.body['apiVersion'], 'security.istio.io/v1beta1');
  equal((await api.call('GET', `${path('v1')}/a`)).body['apiVersion'], 'security.istio.io/v1');
  const mismatch = await api.call('POST', path('v1'), {
    body: { apiVersion: 'security.istio.io/v1beta1', metadata: { name: 'b' } },
  });
  equal(mismatch.status, 400);
});

test('the status subresource and the object do not write each other', async (t) => {
  const api = await open(t);
  const path = '/apis/apps/v1/namespaces/default/deployments';
  const labels = { app: 'a' };
  const spec = {
    replicas: 1,
    selector: { matchLabels: labels },
    template: { metadata: { labels }, spec: pod('a').spec },
  };
  const { body: created } = await api.call('POST', path, {
    body: { metadata: { name: 'a' }, spec, status: { replicas: 9 } },
  });
  deepEqual(created.status ?? {}, {});
  equal(metadataOf(created)['generation'], 1);
  const type = 'application/merge-patch+json';
  const both = { spec: { replicas: 2 }, status: { replicas: 3 } };
  const { body: viaStatus } = await api.call('PATCH', `${path}/a/status`, { type, body: both });
  equal((viaStatus['spec'] as { replicas: number }).replicas, 1);
  equal((viaStatus.status as unknown as { replicas: number }).replicas, 3);
  equal(metadataOf(viaStatus)['generation'], 1);
  const { body: viaSpec } = await api.call('PATCH', `${path}/a`, {
    type,
    body: { spec: { replicas: 2 }, status: { replicas: 7 } },
  });
  equal((viaSpec['spec'] as { replicas: number }).replicas, 2);
  equal((viaSpec.status as unknown as { replicas: number }).replicas, 3);
  equal(metadataOf(viaSpec)['generation'], 2);

  const scale = await api.call('PATCH', `${path}/a/scale`, { type, body: { spec: { replicas: 5 } } });
  deepEqual(scale.body['spec'], { replicas: 5 });
  equal(((await api.call('GET', `${path}/a`)).body['spec'] as { replicas: number }).replicas, 5);
});

test('finalizers hold a deleted object until they are gone', async (t) => {
  const api = await open(t);
  await api.call('POST', configMaps, { body: { ...configMap('a'), metadata: { name: 'a', finalizers: ['x/y'] } } });
  const held = await api.call('DELETE', `${configMaps}/a`);
  ok(metadataOf(held.body)['deletionTimestamp']);
  equal((await api.call('GET', `${configMaps}/a`)).status, 200);
  await api.call('PATCH', `${configMaps}/a`, {
    type: 'application/merge-patch+json',
    body: { metadata: { finalizers: null } },
  });
  equal((await api.call('GET', `${configMaps}/a`)).status, 404);
});

test('a running pod gets its grace period, an unscheduled one vanishes', async (t) => {
  const api = await open(t);
  const pods = '/api/v1/namespaces/default/pods';
  for (const name of ['a', 'b']) await api.call('POST', pods, { body: pod(name) });
  await api.call('POST', `${pods}/b/binding`, { body: { target: { kind: 'Node', name: 'node-1' } } });
  await api.call('DELETE', `${pods}/a`);
  equal((await api.call('GET', `${pods}/a`)).status, 404);
  const { body: ending } = await api.call('DELETE', `${pods}/b`);
  equal(metadataOf(ending)['deletionGracePeriodSeconds'], 30);
  equal((await api.call('GET', `${pods}/b`)).status, 200);
  equal((await api.call('DELETE', `${pods}/b`, { body: { gracePeriodSeconds: 0 } })).body.status, 'Success');
  equal((await api.call('GET', `${pods}/b`)).status, 404);
});

test('a terminating namespace takes nothing new and goes when it is finalised', async (t) => {
  const api = await open(t);
  const { body: namespace } = await api.call('POST', '/api/v1/namespaces', { body: { metadata: { name: 'shop' } } });
  deepEqual(namespace['spec'], { finalizers: ['kubernetes'] });
  deepEqual(metadataOf(namespace)['labels'], { 'kubernetes.io/metadata.name': 'shop' });
  const { body: ending } = await api.call('DELETE', '/api/v1/namespaces/shop');
  deepEqual(ending.status, { phase: 'Terminating' });
  const refused = await api.call('POST', '/api/v1/namespaces/shop/configmaps', { body: configMap('a') });
  equal(refused.status, 403);
  equal(
    refused.body.message,
    'configmaps "a" is forbidden: unable to create new content in namespace shop because it is being terminated',
  );
  equal(
    (await api.call('POST', '/api/v1/namespaces/none/configmaps', { body: configMap('a') })).body.message,
    'namespaces "none" not found',
  );
  await api.call('PUT', '/api/v1/namespaces/shop/finalize', { body: { ...ending, spec: { finalizers: [] } } });
  equal((await api.call('GET', '/api/v1/namespaces/shop')).status, 404);
  equal((await api.call('DELETE', '/api/v1/namespaces/default')).status, 403);
});

test('dry runs store nothing, preconditions hold, collections are deleted by selector', async (t) => {
  const api = await open(t);
  equal((await api.call('POST', `${configMaps}?dryRun=All`, { body: configMap('a') })).status, 201);
  equal((await api.call('GET', `${configMaps}/a`)).status, 404);
  for (const name of ['a', 'b']) await api.call('POST', configMaps, { body: configMap(name) });
  equal((await api.call('DELETE', `${configMaps}/a`, { body: { preconditions: { uid: 'other' } } })).status, 409);
  equal((await api.call('DELETE', `${configMaps}/a`, { body: { dryRun: ['All'] } })).status, 200);
  equal((await api.call('DELETE', `${configMaps}?labelSelector=app%3Da`)).status, 200);
  const { body } = await api.call('GET', configMaps);
  deepEqual(
    (body['items'] as { metadata: { name: string } }[]).map((item) => item.metadata.name),
    ['b'],
  );
});

test('malformed requests get a Status and the server lives', async (t) => {
  const api = await open(t);
  const status = async (method: string, path: string, call: Call = {}) => (await api.call(method, path, call)).status;
  equal(await status('POST', configMaps, { body: '{"metadata":' }), 400);
  equal(await status('POST', configMaps, { body: '[]' }), 400);
  equal(await status('POST', configMaps, { body: { kind: 'Pod', metadata: { name: 'a' } } }), 400);
  equal(await status('POST', configMaps, { body: { metadata: { name: 'a', namespace: 'other' } } }), 400);
  equal(await status('POST', configMaps, { body: { metadata: 'x' } }), 400);
  equal(await status('POST', configMaps, { body: { metadata: { name: 7 } } }), 400);
  equal(await status('POST', configMaps, { body: 'x', type: 'text/plain' }), 415);
  equal(await status('POST', configMaps, { body: Buffer.alloc(3 * 1024 * 1024 + 1) }), 413);
  equal(await status('PATCH', `${configMaps}/a`, { body: [], type: 'application/foo+json' }), 415);
  equal(await status('GET', `${configMaps}?labelSelector=%3D%3D`), 400);
  equal(await status('GET', `${configMaps}?fieldSelector=data.x%3D1`), 400);
  equal(await status('GET', `${configMaps}?watch=1&resourceVersion=x`), 400);
  equal(await status('GET', '/api/v1/nothing'), 404);
  equal(await status('GET', '/apis/nope/v1/things'), 404);
  equal(await status('GET', '/api/v1/%zz'), 400);
  equal(await status('POST', '/apis'), 405);
  equal(await status('POST', configMaps, { body: 'metadata:\n  name: yaml\n', type: 'application/yaml' }), 201);
});

test('tables have the columns of the kind', async (t) => {
  const api = await open(t);
  await api.call('POST', configMaps, { body: configMap('a', { x: '1' }) });
  const { body } = await api.call('GET', configMaps, {
    accept: 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json',
  });
  equal(body['kind'], 'Table');
  const [row] = body['rows'] as { cells: unknown[]; object: { kind: string } }[];
  equal(row?.cells[0], 'a');
  equal(row?.object.kind, 'PartialObjectMetadata');
});

test('logs come from the runtime of the node', async (t) => {
  const api = await open(t);
  const pods = '/api/v1/namespaces/default/pods';
  await api.call('POST', pods, { body: pod('a') });
  equal((await api.call('GET', `${pods}/a/log`)).status, 400);
  await api.call('POST', `${pods}/a/binding`, { body: { target: { kind: 'Node', name: 'node-1' } } });
  equal((await api.call('GET', `${pods}/a/log`)).status, 500, 'no runtime listens');
  const runtime = createServer((request, response) => response.end(`${request.url} ${request.headers.authorization}`));
  await new Promise<void>((resolve) => runtime.listen(join(api.stateDir, 'run', 'node-1.sock'), resolve));
  t.after(() => runtime.close());
  const { text } = await api.call('GET', `${pods}/a/log?tailLines=3`);
  equal(text, '/containerLogs/default/a/main?tailLines=3 undefined');
  equal((await api.call('GET', `${pods}/a/log?container=none`)).status, 400);
});

test('an upgrade is passed through to the node byte by byte', async (t) => {
  const api = await open(t);
  const pods = '/api/v1/namespaces/default/pods';
  await api.call('POST', pods, { body: pod('a') });
  await api.call('POST', `${pods}/a/binding`, { body: { target: { kind: 'Node', name: 'node-1' } } });
  const runtime = createServer();
  let seen = '';
  runtime.on('upgrade', (request, socket) => {
    seen = `${request.url} ${request.headers.authorization}`;
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => runtime.listen(join(api.stateDir, 'run', 'node-1.sock'), resolve));
  t.after(() => runtime.close());
  const headers = { authorization: `Bearer ${adminToken}`, connection: 'Upgrade', upgrade: 'echo' };
  const request = httpsRequest({
    port: api.port,
    host: '127.0.0.1',
    ca: api.caPem,
    path: `${pods}/a/portforward?ports=80`,
    headers,
    agent: false,
  });
  request.end();
  const echoed = await new Promise<string>((resolve, reject) => {
    request.on('error', reject);
    request.on('upgrade', (_, socket) => {
      socket.on('data', (chunk: Buffer) => {
        resolve(chunk.toString());
        socket.destroy();
      });
      socket.write('hello');
    });
  });
  equal(echoed, 'hello');
  equal(seen, '/portForward/default/a?ports=80 undefined');
});
