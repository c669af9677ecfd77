/** Roles and bindings, enforced by the embedded API server as clients meet them. */
import { deepEqual, equal, match, rejects } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { loadAll } from 'js-yaml';
import { kinds, type KubeObject, type RoleBinding } from '../../src/api/index.ts';
import { kindInfo } from '../../src/api/serving.ts';
import { loadKubeconfig, openKubeClient, type KubeClient } from '../../src/kube/index.ts';
import { silentLog } from '../../src/lib/log.ts';
import { adminToken, createState, removeState, startServerProcess, type ServerProcess } from './apiserver-process.ts';
import { freePort } from '../support/free-port.ts';
import { eventually } from '../support/run.ts';

const chart = join(import.meta.dirname, '../../charts/ambit/files/roles.yaml');

describe('RBAC', () => {
  let stateDir: string;
  let server: ServerProcess;
  let admin: KubeClient;

  before(async () => {
    stateDir = createState();
    // It is started again on the same one.
    server = await startServerProcess(stateDir, { port: await freePort() });
    admin = openKubeClient(loadKubeconfig(server.kubeconfig), { log: silentLog() });
    for (const name of ['shop', 'istio-system']) {
      await admin.create(kinds.Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    }
    for (const object of loadAll(readFileSync(chart, 'utf8')) as (KubeObject & { kind: string })[]) {
      const kind = kindInfo({ group: 'rbac.authorization.k8s.io', kind: object.kind });
      if (kind) await admin.create(kind, object);
    }
  });
  after(async () => {
    await admin.close();
    await server.end('SIGTERM');
    removeState(stateDir);
  });

  interface Answer {
    readonly status: number;
    readonly body: { readonly message?: string; readonly status?: { readonly allowed?: boolean } };
  }

  /** One request as somebody, over a connection of its own. */
  const as = async (user: string, method: string, path: string, body?: object): Promise<Answer> => {
    const { request } = await import('node:https');
    const headers = {
      authorization: `Bearer ${adminToken}`,
      'impersonate-user': user,
      'content-type': 'application/json',
    };
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: server.port, ca: server.caPem, method, path, headers, agent: false };
      const call = request(options, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => (text += chunk));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) as Answer['body'] }),
        );
      });
      call.on('error', reject);
      call.end(body && JSON.stringify(body));
    });
  };
  const allowed = async (user: string, attributes: object): Promise<boolean | undefined> => {
    const review = { spec: { resourceAttributes: attributes } };
    const { body } = await as(user, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', review);
    return body.status?.allowed;
  };
  const istiod = 'system:serviceaccount:istio-system:istiod';

  test('a component has the rights of its chart, and is refused the rest', async () => {
    equal((await as(istiod, 'GET', '/api/v1/pods')).status, 200);
    equal((await as(istiod, 'GET', '/apis/security.istio.io/v1/authorizationpolicies')).status, 200);
    equal((await as(istiod, 'GET', '/api/v1/configmaps?fieldSelector=metadata.name%3Distio-ca-root-cert')).status, 200);
    // What gateways serve with; not to be written.
    equal((await as(istiod, 'GET', '/api/v1/namespaces/shop/secrets')).status, 200);
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x' } };
    equal((await as(istiod, 'POST', '/api/v1/namespaces/shop/secrets', secret)).status, 403);
    const refused = await as(istiod, 'GET', '/apis/batch/v1/namespaces/shop/cronjobs');
    equal(refused.status, 403);
    match(refused.body.message ?? '', /cannot list resource "cronjobs" in API group "batch" in the namespace "shop"/);
    const policy = {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'allow-all' },
      spec: { rules: [{}] },
    };
    const path = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies';
    equal((await as(istiod, 'POST', path, policy)).status, 403);
    deepEqual((await admin.list(kinds.AuthorizationPolicy, { namespace: 'shop' })).items, []);
  });

  test('a binding to edit lets a user work in one namespace, with the policies of the mesh', async () => {
    const policies = { verb: 'create', group: 'security.istio.io', resource: 'authorizationpolicies' };
    equal(await allowed('jane', { ...policies, namespace: 'shop' }), false);
    const binding: RoleBinding = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'jane', namespace: 'shop' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
      subjects: [{ kind: 'User', name: 'jane' }],
    };
    await admin.create(kinds.RoleBinding, binding);
    await eventually(async () => (await allowed('jane', { ...policies, namespace: 'shop' })) || undefined, 'edit');
    equal(await allowed('jane', { ...policies, namespace: 'default' }), false);
    equal(
      await allowed('jane', { verb: 'create', group: '', resource: 'pods', subresource: 'exec', namespace: 'shop' }),
      true,
    );
    equal(
      await allowed('jane', {
        verb: 'create',
        group: 'rbac.authorization.k8s.io',
        resource: 'rolebindings',
        namespace: 'shop',
      }),
      false,
    );
    await admin.delete(kinds.RoleBinding, 'jane', 'shop');
    equal(await allowed('jane', { ...policies, namespace: 'shop' }), false);
  });

  test('an administrator of a namespace cannot make more of themselves', async () => {
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' } as const;
    const subjects = [{ kind: 'User' as const, name: 'carl' }];
    await admin.create(kinds.RoleBinding, { metadata: { name: 'carl', namespace: 'shop' }, roleRef, subjects });
    const path = '/apis/rbac.authorization.k8s.io/v1/namespaces/shop';
    const metadata = { name: 'more', namespace: 'shop' };
    const all = { metadata, rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }] };
    await eventually(async () => {
      const { status } = await as('carl', 'GET', `${path}/roles`);
      return status === 200 || undefined;
    }, 'the aggregated role admin');
    const refused = await as('carl', 'POST', `${path}/roles`, all);
    equal(refused.status, 403);
    match(refused.body.message ?? '', /attempting to grant RBAC permissions not currently held/);
    const bound = await as('carl', 'POST', `${path}/rolebindings`, {
      metadata,
      roleRef: { ...roleRef, name: 'cluster-admin' },
      subjects,
    });
    equal(bound.status, 403);
    const modest = { metadata, rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] };
    equal((await as('carl', 'POST', `${path}/roles`, modest)).status, 201);
    const patch = await as('carl', 'PUT', `${path}/roles/more`, all);
    equal(patch.status, 403);
  });

  test('whom nobody gave anything may ask what they may do, and no more', async () => {
    equal((await as('nobody', 'GET', '/api/v1/namespaces/default/pods')).status, 403);
    equal((await as('nobody', 'GET', '/apis')).status, 200);
    equal((await as('nobody', 'GET', '/metrics')).status, 403);
    equal(await allowed('nobody', { verb: 'get', group: '', resource: 'pods', namespace: 'default' }), false);
    const review = { spec: { namespace: 'default' } };
    equal((await as('nobody', 'POST', '/apis/authorization.k8s.io/v1/selfsubjectrulesreviews', review)).status, 201);
  });

  test('roles outlive a restart, and the defaults are not added twice', async () => {
    const before = await admin.get(kinds.ClusterRole, 'view');
    await server.end('SIGKILL');
    server = await startServerProcess(stateDir, { port: server.port });
    const now = await eventually(async () => admin.get(kinds.ClusterRole, 'view').catch(() => undefined), 'the server');
    deepEqual(now.rules, before.rules);
    await rejects(admin.get(kinds.RoleBinding, 'jane', 'shop'), /not found/);
  });
});
