import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KindRef } from '../api/index.ts';
import { silentLog } from '../lib/log.ts';
import type { KubeClient } from './client.ts';
import { fakeObject, openFakeApi, sendJson, sendStatus, type FakeApi } from './fake-api.ts';
import { openKubeClient } from './http-client.ts';

const configMaps: KindRef = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true };
const policies: KindRef = {
  group: 'security.istio.io',
  version: 'v1',
  kind: 'AuthorizationPolicy',
  plural: 'authorizationpolicies',
  namespaced: true,
};

async function withApi(run: (api: FakeApi, client: KubeClient) => Promise<void>): Promise<void> {
  await using api = await openFakeApi();
  const client = openKubeClient(
    { server: api.url, namespace: 'default', insecureSkipTlsVerify: false, token: () => 'secret' },
    { log: silentLog() },
  );
  try {
    await run(api, client);
  } finally {
    await client.close();
  }
}

describe('the Kubernetes client', () => {
  it('addresses core and named groups, and sends its token', () =>
    withApi(async (api, client) => {
      const tokens = new Set<string | undefined>();
      api.handle((request, response) => {
        tokens.add(request.headers.authorization);
        sendJson(response, 200, { metadata: { resourceVersion: '1' }, items: [] });
      });
      await client.get(configMaps, 'a', 'ns');
      await client.list(policies, { labelSelector: 'a=b' });
      await client.patch(policies, 'p', 'ns', {}, { type: 'merge', subresource: 'status', fieldManager: 'me' });
      assert.deepEqual(api.seen, [
        'GET /api/v1/namespaces/ns/configmaps/a',
        'GET /apis/security.istio.io/v1/authorizationpolicies?labelSelector=a%3Db',
        'PATCH /apis/security.istio.io/v1/namespaces/ns/authorizationpolicies/p/status?fieldManager=me',
      ]);
      assert.deepEqual([...tokens], ['Bearer secret']);
    }));

  it('creates with apiVersion and kind filled in', () =>
    withApi(async (api, client) => {
      api.handle((_, response, body) => sendJson(response, 201, JSON.parse(body)));
      const created = await client.create(policies, fakeObject('p', '1'));
      assert.equal(created.apiVersion, 'security.istio.io/v1');
      assert.equal(created.kind, 'AuthorizationPolicy');
    }));

  it("turns the server's Status into a KubeError", () =>
    withApi(async (api, client) => {
      api.handle((_, response) => sendStatus(response, 409, 'AlreadyExists', 'configmaps "a" already exists'));
      await assert.rejects(client.create(configMaps, fakeObject('a', '1')), {
        name: 'KubeError',
        code: 'kube.already-exists',
        status: 409,
        message: 'Cannot create ConfigMap "ns/a": configmaps "a" already exists (HTTP 409)',
      });
    }));

  it('makes do with a refusal that is no Status', () =>
    withApi(async (api, client) => {
      api.handle((_, response) => response.writeHead(503).end('<html>busy</html>'));
      await assert.rejects(client.get(configMaps, 'a', 'ns'), { code: 'kube.service-unavailable', status: 503 });
    }));

  it('names the address when nobody answers', async () => {
    const client = openKubeClient(
      { server: 'http://127.0.0.1:1', namespace: '', insecureSkipTlsVerify: false },
      { log: silentLog() },
    );
    await assert.rejects(client.get(configMaps, 'a', 'ns'), {
      code: 'kube.unreachable',
      status: 0,
      message: /http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/,
    });
    await client.close();
  });

  it('authenticates nobody whose token is for another audience', () =>
    withApi(async (api, client) => {
      const user = {
        username: 'system:serviceaccount:a:b',
        extra: { 'authentication.kubernetes.io/pod-name': ['p'], 'authentication.kubernetes.io/pod-uid': ['u'] },
      };
      api.handle((_, response) =>
        sendJson(response, 201, { status: { authenticated: true, audiences: ['other'], user } }),
      );
      assert.deepEqual(await client.reviewToken('t', ['istio-ca']), {
        authenticated: false,
        reason: 'the token is not for audience "istio-ca"',
      });
      api.handle((_, response) =>
        sendJson(response, 201, { status: { authenticated: true, audiences: ['istio-ca'], user } }),
      );
      assert.deepEqual(await client.reviewToken('t', ['istio-ca']), {
        authenticated: true,
        username: 'system:serviceaccount:a:b',
        groups: [],
        audiences: ['istio-ca'],
        pod: { name: 'p', uid: 'u' },
      });
    }));

  it('ends a call with its signal', () =>
    withApi(async (api, client) => {
      const stop = new AbortController();
      api.handle(() => stop.abort(new Error('enough')));
      await assert.rejects(client.get(configMaps, 'a', 'ns', stop.signal), /enough/);
    }));

  it('opens WebSockets and reports refusals of them', () =>
    withApi(async (api, client) => {
      api.handle((_, response) => sendStatus(response, 403, 'Forbidden', 'no'));
      await assert.rejects(client.openWebSocket('/api/v1/x/portforward', ['v4.channel.k8s.io']), {
        code: 'kube.forbidden',
        message: /Cannot open \/api\/v1\/x\/portforward: no/,
      });
    }));
});
