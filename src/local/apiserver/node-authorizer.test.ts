import { doesNotThrow, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { authorizeNode } from './node-authorizer.ts';
import type { ApiObject } from './object-fields.ts';

const pods: readonly ApiObject[] = ['node-1', 'node-2'].map((nodeName) => ({
  metadata: { name: `on-${nodeName}`, namespace: 'shop' },
  spec: {
    nodeName,
    serviceAccountName: `account-${nodeName}`,
    volumes: [{ name: 's', secret: { secretName: `secret-${nodeName}` } }],
    containers: [
      { name: 'a', envFrom: [{ configMapRef: { name: `from-${nodeName}` } }] },
      { name: 'b', env: [{ name: 'K', valueFrom: { secretKeyRef: { name: `key-${nodeName}`, key: 'k' } } }] },
    ],
    imagePullSecrets: [{ name: `pull-${nodeName}` }],
  },
}));

/** `verb resource/name`, of the namespace shop unless said otherwise. */
function ask(what: string, more: { namespace?: string; group?: string; fieldSelector?: string } = {}) {
  const { namespace = 'shop', group = '', fieldSelector = '' } = more;
  const [, verb = '', resource = '', name = '', subresource = ''] =
    /^(\w+) (\w+)(?:\/([^/]*))?(?:\/(\w+))?$/.exec(what) ?? [];
  return (): void =>
    authorizeNode({
      user: { username: 'system:node:node-1', groups: ['system:nodes'] },
      attributes: { verb, group, resource, subresource, namespace, name },
      fieldSelector,
      findPod: (_, pod) => pods.find(({ metadata }) => metadata.name === pod),
      podsIn: () => pods,
    });
}

const unrelated = /no relationship found between node 'node-1' and this object$/;

test('Secrets and ConfigMaps are those that its pods name', () => {
  for (const name of ['secret', 'key', 'pull']) {
    doesNotThrow(ask(`get secrets/${name}-node-1`));
    throws(ask(`watch secrets/${name}-node-2`), unrelated);
  }
  doesNotThrow(ask('list configmaps/from-node-1'));
  throws(ask('get configmaps/from-node-2'), unrelated);
  throws(ask('list configmaps'), /No Object name found$/);
});

test('pods are read by the node where they run', () => {
  doesNotThrow(ask('get pods/on-node-1'));
  throws(ask('get pods/on-node-2'), unrelated);
  throws(ask('get pods/none'), unrelated);
  doesNotThrow(ask('list pods', { fieldSelector: 'metadata.name=a,spec.nodeName=node-1' }));
  throws(ask('list pods'), /can only list\/watch pods with spec.nodeName field selector$/);
  throws(ask('watch pods', { fieldSelector: 'spec.nodeName=node-2' }), /spec.nodeName field selector$/);
});

test('tokens are for the accounts of its pods', () => {
  doesNotThrow(ask('create serviceaccounts/account-node-1/token'));
  throws(ask('create serviceaccounts/account-node-2/token'), unrelated);
  doesNotThrow(ask('get serviceaccounts/account-node-1'));
  throws(ask('list serviceaccounts'), /can only create tokens for individual service accounts$/);
});

test('of leases it has its own, in kube-node-lease', () => {
  const group = 'coordination.k8s.io';
  const namespace = 'kube-node-lease';
  doesNotThrow(ask('patch leases/node-1', { group, namespace }));
  doesNotThrow(ask('create leases', { group, namespace }));
  throws(ask('patch leases/node-2', { group, namespace }), /with the same name as the requesting node$/);
  throws(ask('create leases', { group }), /can only access leases in the "kube-node-lease" system namespace$/);
  throws(ask('list leases', { group, namespace }), /can only get, create, update, patch, or delete a node lease$/);
});
