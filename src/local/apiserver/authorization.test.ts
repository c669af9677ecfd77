import { equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { authorize, authorizePath, isAllowed, type ResourceAttributes, type Verb } from './authorization.ts';
import { StatusError } from './status-error.ts';
import type { User } from './user.ts';

const account = (namespace: string, name: string): User => ({
  username: `system:serviceaccount:${namespace}:${name}`,
  groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
});
const admin: User = { username: 'ambit:admin', groups: ['system:masters', 'system:authenticated'] };
const node: User = { username: 'system:node:node-1', groups: ['system:nodes', 'system:authenticated'] };
const istiod = account('istio-system', 'istiod');
const agent = account('istio-system', 'istio-cni');
const application = account('shop', 'default');

/** `get security.istio.io/authorizationpolicies shop/x` */
function ask(text: string): ResourceAttributes {
  const [verb = '', path = '', target = '/'] = text.split(' ');
  const [group = '', resource = '', subresource = ''] = path.split('/');
  const [namespace = '', name = ''] = target.split('/');
  return { verb: verb as Verb, group, resource, subresource, namespace, name };
}

test('the table', () => {
  const rows: [User, string, boolean][] = [
    [admin, 'delete /secrets istio-system/istio-ca-secret', true],
    [istiod, 'watch /pods', true],
    [istiod, 'watch security.istio.io/authorizationpolicies', true],
    [istiod, 'patch security.istio.io/authorizationpolicies/status shop/x', true],
    [istiod, 'patch security.istio.io/authorizationpolicies shop/x', false],
    [istiod, 'create authentication.k8s.io/tokenreviews', true],
    [istiod, 'create /configmaps shop/istio-ca-root-cert', true],
    [istiod, 'create /configmaps shop/other', false],
    [istiod, 'update /secrets istio-system/istio-ca-secret', true],
    [istiod, 'get /secrets shop/password', false],
    [istiod, 'delete /pods shop/x', false],
    [agent, 'watch /pods', true],
    [agent, 'patch /pods/status shop/x', true],
    [agent, 'delete /pods shop/x', false],
    [agent, 'get /secrets shop/x', false],
    [node, 'patch /pods/status shop/x', true],
    [node, 'update /pods shop/x', false],
    [node, 'create /serviceaccounts/token shop/default', true],
    [node, 'list /secrets', false],
    [node, 'create security.istio.io/authorizationpolicies shop/x', false],
    [node, 'create authentication.k8s.io/tokenreviews', false],
    [application, 'create security.istio.io/authorizationpolicies shop/x', false],
    [application, 'get /pods shop/x', false],
    [application, 'list /pods', false],
    [application, 'create authorization.k8s.io/selfsubjectaccessreviews', true],
    [application, 'create authentication.k8s.io/tokenreviews', false],
    [{ username: 'system:node:node-1', groups: ['system:authenticated'] }, 'get /pods shop/x', false],
  ];
  for (const [user, text, expected] of rows) equal(isAllowed(user, ask(text)), expected, `${user.username}: ${text}`);
});

test('a refusal is worded as Kubernetes words it', () => {
  throws(
    () => authorize(application, ask('create security.istio.io/authorizationpolicies shop/')),
    (error) =>
      error instanceof StatusError &&
      error.status.code === 403 &&
      error.status.message ===
        'authorizationpolicies.security.istio.io is forbidden: User "system:serviceaccount:shop:default" cannot create resource "authorizationpolicies" in API group "security.istio.io" in the namespace "shop"',
  );
  throws(
    () => authorize(application, ask('list /nodes')),
    /cannot list resource "nodes" in API group "" at the cluster scope$/,
  );
});

test('discovery is open to everybody who is known, other paths are not', () => {
  authorizePath(application, 'GET', '/apis/apps/v1');
  authorizePath(application, 'GET', '/openapi/v3');
  throws(() => authorizePath(application, 'GET', '/metrics'), /cannot get path "\/metrics"/);
  throws(() => authorizePath(application, 'POST', '/api'), /cannot post path/);
  authorizePath(admin, 'GET', '/metrics');
});
