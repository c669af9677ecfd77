import { deepEqual, equal, match, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadAll } from 'js-yaml';
import type { ClusterRole, KindInfo, KubeObject, PolicyRule, RoleBinding } from '../../../api/index.ts';
import { kindInfo } from '../../../api/serving.ts';
import { silentLog } from '../../../lib/log.ts';
import type { ResourceAttributes } from '../authorization.ts';
import type { ApiObject } from '../object-fields.ts';
import { storageOf } from '../served-kinds.ts';
import { StatusError } from '../status-error.ts';
import { ObjectStore } from '../store.ts';
import type { User } from '../user.ts';
import { startAggregation } from './aggregation.ts';
import { RbacAuthorizer } from './authorizer.ts';
import { bootstrapClusterRoleBindings, bootstrapClusterRoles } from './bootstrap-policy.ts';
import { refuseEscalation } from './escalation.ts';
import { rulesReview } from './rules-review.ts';

const account = (namespace: string, name: string): User => ({
  username: `system:serviceaccount:${namespace}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
});
const admin: User = { username: 'ambit:admin', groups: ['system:masters', 'system:authenticated'] };
const node: User = { username: 'system:node:node-1', groups: ['system:nodes', 'system:authenticated'] };
const controllers: User = { username: 'system:ambit:controllers', groups: ['system:authenticated'] };
const jane: User = { username: 'jane', groups: ['developers', 'system:authenticated'] };
const istiod = account('istio-system', 'istiod');
const agent = account('istio-system', 'istio-cni');
const application = account('shop', 'default');

const group = 'rbac.authorization.k8s.io';
const chart = join(import.meta.dirname, '../../../../charts/ambit/files/roles.yaml');

/** A store with what a server has from the start, and what the chart brings. */
async function openStore(): Promise<{ store: ObjectStore; put: (kind: string, object: KubeObject) => Promise<void> }> {
  const store = ObjectStore.open({ path: ':memory:' });
  const put = async (kind: string, object: KubeObject): Promise<void> => {
    // The store keeps what it is given.
    await store.write((tx) => tx.put(storageOf(infoOf(kind)), structuredClone(object)));
  };
  for (const role of bootstrapClusterRoles) await put('ClusterRole', role);
  for (const binding of bootstrapClusterRoleBindings) await put('ClusterRoleBinding', binding);
  for (const object of loadAll(readFileSync(chart, 'utf8')) as (KubeObject & { kind: string })[]) {
    await put(object.kind, object);
  }
  return { store, put };
}

function infoOf(kind: string): KindInfo {
  const info = kindInfo({ group, kind });
  if (!info) throw new Error(kind);
  return info;
}

/** `get security.istio.io/authorizationpolicies shop/x` */
function ask(text: string): ResourceAttributes {
  const [verb = '', path = '', target = '/'] = text.split(' ');
  const [askedGroup = '', resource = '', subresource = ''] = path.split('/');
  const [namespace = '', name = ''] = target.split('/');
  return { verb, group: askedGroup, resource, subresource, namespace, name };
}

test('components may do what their roles say, and nothing else', async () => {
  const { store } = await openStore();
  const authorizer = new RbacAuthorizer(store);
  const rows: [User, string, boolean][] = [
    [admin, 'delete /secrets istio-system/istio-ca-secret', true],
    [istiod, 'watch /pods', true],
    [istiod, 'watch security.istio.io/authorizationpolicies', true],
    [istiod, 'patch security.istio.io/authorizationpolicies/status shop/x', true],
    [istiod, 'patch security.istio.io/authorizationpolicies shop/x', false],
    [istiod, 'create authentication.k8s.io/tokenreviews', true],
    [istiod, 'create /configmaps shop/', true],
    [istiod, 'patch /configmaps shop/istio-ca-root-cert', true],
    [istiod, 'patch /configmaps shop/other', false],
    [istiod, 'list /configmaps', true],
    [istiod, 'patch gateway.networking.k8s.io/gateways shop/x', true],
    [istiod, 'create gateway.networking.k8s.io/gatewayclasses', true],
    [istiod, 'patch gateway.networking.k8s.io/gatewayclasses x', false],
    [istiod, 'patch apps/deployments shop/x', true],
    [istiod, 'patch apps/statefulsets shop/x', false],
    [istiod, 'update /secrets istio-system/istio-ca-secret', true],
    [istiod, 'update coordination.k8s.io/leases istio-system/istio-leader', true],
    [istiod, 'update coordination.k8s.io/leases shop/x', false],
    [istiod, 'get /secrets shop/password', false],
    [istiod, 'list /secrets', true],
    [istiod, 'delete /secrets shop/password', false],
    [istiod, 'delete /pods shop/x', false],
    [istiod, 'create /pods/exec shop/x', false],
    [istiod, 'create rbac.authorization.k8s.io/clusterroles', false],
    [agent, 'watch /pods', true],
    [agent, 'patch /pods/status shop/x', true],
    [agent, 'delete /pods shop/x', false],
    [agent, 'get /secrets shop/x', false],
    [account('istio-system', 'ztunnel'), 'list /pods', false],
    [account('istio-system', 'ztunnel'), 'get /secrets istio-system/istio-ca-secret', false],
    [node, 'patch /pods/status shop/x', true],
    [node, 'update /pods shop/x', false],
    [node, 'create /serviceaccounts/token shop/default', true],
    [node, 'create security.istio.io/authorizationpolicies shop/x', false],
    [node, 'create authentication.k8s.io/tokenreviews', false],
    [controllers, 'create apps/replicasets shop/', true],
    [controllers, 'delete security.istio.io/authorizationpolicies shop/x', true],
    [controllers, 'create rbac.authorization.k8s.io/clusterrolebindings', false],
    [application, 'create security.istio.io/authorizationpolicies shop/x', false],
    [application, 'get /pods shop/x', false],
    [application, 'create authorization.k8s.io/selfsubjectaccessreviews', true],
    [application, 'create authentication.k8s.io/tokenreviews', false],
    [{ username: 'system:node:node-1', groups: ['system:authenticated'] }, 'get /pods shop/x', false],
  ];
  for (const [user, text, expected] of rows) {
    equal(authorizer.isAllowed(user, ask(text)), expected, `${user.username}: ${text}`);
  }
});

test('a binding grants at once, in its namespace alone, to users, groups and service accounts', async () => {
  const { store, put } = await openStore();
  const authorizer = new RbacAuthorizer(store);
  equal(authorizer.isAllowed(jane, ask('get /pods shop/x')), false);
  const binding: RoleBinding = {
    metadata: { name: 'readers', namespace: 'shop' },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'pods' },
    subjects: [
      { kind: 'Group', name: 'developers' },
      { kind: 'ServiceAccount', name: 'robot', namespace: 'tools' },
    ],
  };
  await put('RoleBinding', binding);
  equal(authorizer.isAllowed(jane, ask('get /pods shop/x')), false, 'a role that is not there grants nothing');
  await put('ClusterRole', {
    metadata: { name: 'pods' },
    rules: [{ apiGroups: [''], resources: ['pods', 'pods/log'], verbs: ['get', 'list'], resourceNames: ['x'] }],
  } as ClusterRole);
  equal(authorizer.isAllowed(jane, ask('get /pods shop/x')), true);
  equal(authorizer.isAllowed(account('tools', 'robot'), ask('get /pods/log shop/x')), true);
  equal(authorizer.isAllowed(jane, ask('get /pods shop/y')), false);
  equal(authorizer.isAllowed(jane, ask('list /pods shop/')), false, 'a list has no name');
  equal(authorizer.isAllowed(jane, ask('get /pods other/x')), false);
  equal(authorizer.isAllowed(jane, ask('get /pods/exec shop/x')), false);
  await put('RoleBinding', { ...binding, subjects: [] } as RoleBinding);
  equal(authorizer.isAllowed(jane, ask('get /pods shop/x')), false);
});

test('refusals are worded as Kubernetes words them', async () => {
  const { store } = await openStore();
  const authorizer = new RbacAuthorizer(store);
  throws(
    () => authorizer.authorize(application, ask('create security.istio.io/authorizationpolicies shop/')),
    (error: unknown) => {
      match(
        (error as StatusError).message,
        /authorizationpolicies\.security\.istio\.io is forbidden: User "system:serviceaccount:shop:default" cannot create resource "authorizationpolicies" in API group "security\.istio\.io" in the namespace "shop"/,
      );
      return error instanceof StatusError && error.status.code === 403;
    },
  );
  throws(() => authorizer.authorize(application, ask('list /nodes')), /at the cluster scope/);
});

test('paths follow the rules about URLs', async () => {
  const { store } = await openStore();
  const authorizer = new RbacAuthorizer(store);
  authorizer.authorizePath(application, 'GET', '/apis/apps/v1');
  authorizer.authorizePath(application, 'HEAD', '/openapi/v3');
  throws(() => authorizer.authorizePath(application, 'GET', '/metrics'), /cannot get path "\/metrics"/);
  throws(() => authorizer.authorizePath(application, 'POST', '/api'), /cannot post path/);
  authorizer.authorizePath(admin, 'GET', '/metrics');
});

test('aggregated roles follow the roles that they select', async () => {
  const { store, put } = await openStore();
  const authorizer = new RbacAuthorizer(store);
  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const stop = startAggregation(store, authorizer, silentLog());
  await settled();
  const rules = (name: string): readonly PolicyRule[] =>
    authorizer.rulesOfReference({ apiGroup: group, kind: 'ClusterRole', name }, '') ?? [];
  const mentions = (name: string, apiGroup: string): boolean =>
    rules(name).some((rule) => rule.apiGroups?.includes(apiGroup) === true);
  await put('ClusterRole', {
    metadata: { name: 'crontabs', labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } },
    rules: [{ apiGroups: ['stable.example.com'], resources: ['crontabs'], verbs: ['get'] }],
  } as ClusterRole);
  for (let turn = 0; turn < 5; turn++) await settled();
  stop();
  for (const name of ['view', 'edit', 'admin']) {
    equal(mentions(name, 'stable.example.com'), true, name);
    equal(mentions(name, 'security.istio.io'), true, name);
  }
  equal(mentions('view', ''), true);
});

test('nobody grants what they do not have, unless they may bind or escalate', async () => {
  const { store, put } = await openStore();
  const authorizer = new RbacAuthorizer(store);
  const rules: PolicyRule[] = [
    { apiGroups: [''], resources: ['pods', 'services'], verbs: ['get', 'list'] },
    { apiGroups: [group], resources: ['roles', 'rolebindings'], verbs: ['*'], resourceNames: ['none'] },
  ];
  await put('Role', { metadata: { name: 'dev', namespace: 'shop' }, rules } as KubeObject);
  await put('RoleBinding', {
    metadata: { name: 'dev', namespace: 'shop' },
    roleRef: { apiGroup: group, kind: 'Role', name: 'dev' },
    subjects: [{ kind: 'User', name: 'jane' }],
  } as RoleBinding);
  const write = (kind: string, object: object, user = jane): void =>
    refuseEscalation(authorizer, { user, kind: infoOf(kind), object: object as ApiObject });
  const roleWith = (...granted: PolicyRule[]): object => ({
    metadata: { name: 'r', namespace: 'shop' },
    rules: granted,
  });
  write('Role', roleWith({ apiGroups: [''], resources: ['pods'], verbs: ['get'] }));
  write('Role', roleWith({ apiGroups: [''], resources: ['pods'], verbs: ['get'], resourceNames: ['x'] }));
  const refused = /attempting to grant RBAC permissions not currently held/;
  throws(() => write('Role', roleWith({ apiGroups: [''], resources: ['secrets'], verbs: ['get'] })), refused);
  throws(() => write('Role', roleWith({ apiGroups: [''], resources: ['pods'], verbs: ['*'] })), refused);
  throws(() => write('Role', roleWith({ apiGroups: ['*'], resources: ['pods'], verbs: ['get'] })), refused);
  throws(() => write('ClusterRole', { metadata: { name: 'r' }, rules: [rules[0]] }), refused);
  write('Role', roleWith({ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }), admin);

  const bind = (name: string): object => ({
    metadata: { name: 'b', namespace: 'shop' },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name },
    subjects: [{ kind: 'User', name: 'jane' }],
  });
  throws(() => write('RoleBinding', bind('cluster-admin')), refused);
  throws(() => write('RoleBinding', bind('absent')), /not found/);
  await put('ClusterRole', {
    metadata: { name: 'binder' },
    rules: [{ apiGroups: [group], resources: ['clusterroles'], verbs: ['bind'], resourceNames: ['cluster-admin'] }],
  } as ClusterRole);
  await put('RoleBinding', {
    metadata: { name: 'binder', namespace: 'shop' },
    roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'binder' },
    subjects: [{ kind: 'User', name: 'jane' }],
  } as RoleBinding);
  write('RoleBinding', bind('cluster-admin'));
});

test('a rules review lists what the user may do', async () => {
  const { store } = await openStore();
  const authorizer = new RbacAuthorizer(store);
  const review = rulesReview(authorizer.rulesOf(application, 'shop'));
  equal(review['incomplete'], false);
  deepEqual(
    (review['resourceRules'] as { resources: string[] }[]).flatMap(({ resources }) => resources),
    ['selfsubjectaccessreviews', 'selfsubjectrulesreviews', 'selfsubjectreviews'],
  );
});
