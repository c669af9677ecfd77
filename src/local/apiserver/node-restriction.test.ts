import { doesNotThrow, throws } from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from './merge-patch.ts';
import { restrictNodeToken, restrictNodeWrite, type RestrictedWrite } from './node-restriction.ts';
import type { ApiObject } from './object-fields.ts';
import type { Stored } from './store.ts';

const user = { username: 'system:node:node-1', groups: ['system:nodes'] };
const nodeObject = { metadata: { name: 'node-1', uid: 'uid-1' } };
const tx = { get: (): Stored => ({ resource: 'nodes', object: nodeObject, json: '', revision: 1 }) };
const owner = { apiVersion: 'v1', kind: 'Node', name: 'node-1', uid: 'uid-1', controller: true };

const write = (what: Pick<RestrictedWrite, 'resource' | 'name' | 'before' | 'after'>): void =>
  restrictNodeWrite(tx, { user, ...what });

function mirror(spec: JsonObject = {}, metadata: ApiObject['metadata'] = {}): ApiObject {
  const annotations = { 'kubernetes.io/config.mirror': 'hash' };
  return {
    metadata: { name: 'm', namespace: 'shop', annotations, ownerReferences: [owner], ...metadata },
    spec: { nodeName: 'node-1', containers: [], ...spec },
  };
}

const createPod = (pod: ApiObject) => () => write({ resource: { group: '', plural: 'pods' }, name: 'm', after: pod });

test('a node makes mirror pods of its own', () => {
  doesNotThrow(createPod(mirror()));
  throws(createPod(mirror({}, { annotations: {} })), /can only create mirror pods/);
  throws(createPod(mirror({ nodeName: 'node-2' })), /spec.nodeName set to itself/);
});

test('a mirror pod has one owner: its node, as it is now', () => {
  const owners = (...ownerReferences: (typeof owner & { blockOwnerDeletion?: boolean })[]) =>
    createPod(mirror({}, { ownerReferences }));
  throws(owners(), /with an owner reference set to itself/);
  throws(owners(owner, owner), /with a single owner reference/);
  throws(owners({ ...owner, kind: 'Pod' }), /with an owner reference set to itself/);
  throws(owners({ ...owner, name: 'node-2' }), /with an owner reference set to itself/);
  throws(owners({ ...owner, controller: false }), /with a controller owner reference/);
  throws(owners({ ...owner, blockOwnerDeletion: true }), /must not set blockOwnerDeletion/);
  throws(owners({ ...owner, uid: 'other' }), /node node-1 UID mismatch: expected other got uid-1/);
});

test("a mirror pod refers to nothing, but for the mesh's own", () => {
  const refers = (spec: JsonObject, namespace = 'shop') => createPod(mirror(spec, { namespace }));
  throws(refers({ serviceAccountName: 'x' }), /reference a service account/);
  throws(refers({ volumes: [{ name: 'v', secret: { secretName: 's' } }] }), /reference secrets/);
  throws(refers({ volumes: [{ name: 'v', configMap: { name: 's' } }] }), /reference configmaps/);
  throws(refers({ volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 's' } }] }), /persistentvolumeclaims/);
  throws(refers({ serviceAccountName: 'ztunnel' }), /reference a service account/);
  doesNotThrow(refers({ serviceAccountName: 'ztunnel' }, 'istio-system'));
  throws(refers({ serviceAccountName: 'istiod' }, 'istio-system'), /reference a service account/);
});

test('of pods a node writes the status, and deletes them, where they are its own', () => {
  const resource = { group: '', plural: 'pods' };
  const mine = mirror();
  const theirs = mirror({ nodeName: 'node-2' });
  doesNotThrow(() => write({ resource, name: 'm', before: mine, after: mine }));
  throws(() => write({ resource, name: 'm', before: theirs, after: theirs }), /can only update pod status/);
  throws(() => write({ resource, name: 'm', before: theirs }), /can only delete pods/);
  const labelled = mirror({}, { labels: { a: 'b' } });
  throws(
    () => write({ resource, name: 'm', before: mine, after: labelled }),
    /cannot update labels through pod status/,
  );
});

test('a node changes its own Node, not the taints, owners and labels that place pods', () => {
  const resource = { group: '', plural: 'nodes' };
  const change =
    (after: Partial<ApiObject>, name = 'node-1') =>
    () =>
      write({ resource, name, before: { metadata: { name } }, after: { metadata: { name }, ...after } });
  const labels = (...keys: string[]) =>
    change({ metadata: { name: 'node-1', labels: Object.fromEntries(keys.map((key) => [key, '1'])) } });
  throws(change({}, 'node-2'), /node "node-1" is not allowed to modify node "node-2"/);
  throws(change({ spec: { taints: [{ key: 'a', effect: 'NoSchedule' }] } }), /not allowed to modify taints/);
  throws(change({ metadata: { name: 'node-1', ownerReferences: [owner] } }), /not allowed to modify ownerReferences/);
  doesNotThrow(labels('foo', 'example.com/x', 'topology.kubernetes.io/zone', 'kubernetes.io/os'));
  doesNotThrow(labels('kubelet.kubernetes.io/x', 'a.kubelet.kubernetes.io/x', 'node.kubernetes.io/instance-type'));
  throws(
    labels('node-restriction.kubernetes.io/y', 'a.k8s.io/x', 'foo'),
    /is not allowed to modify labels: a.k8s.io\/x, node-restriction.kubernetes.io\/y$/,
  );
  throws(labels('a.node-restriction.kubernetes.io/x'), /modify labels/);
  throws(labels('kubernetes.io/x'), /modify labels/);
  throws(labels('node-role.kubernetes.io/control-plane'), /modify labels/);
  const made = { metadata: { name: 'node-1', labels: { 'foo.kubernetes.io/x': '1' } } };
  throws(
    () => write({ resource, name: 'node-1', after: made }),
    /node "node-1" is not allowed to set the following labels: foo.kubernetes.io\/x$/,
  );
});

test('a node renews the lease of its own name', () => {
  const resource = { group: 'coordination.k8s.io', plural: 'leases' };
  doesNotThrow(() => write({ resource, name: 'node-1', after: { metadata: {} } }));
  throws(
    () => write({ resource, name: 'node-2', after: { metadata: {} } }),
    /lease with the same name as the requesting/,
  );
});

test('a node gets tokens of its pods, for the audiences that their volumes name', () => {
  const sources = [{ serviceAccountToken: { path: 't', audience: 'ca' } }, { serviceAccountToken: { path: 'u' } }];
  const pod = mirror({ volumes: [{ name: 'v', projected: { sources } }] });
  const request =
    (audiences: string[], of: ApiObject = pod, uid = 'u') =>
    () =>
      restrictNodeToken({
        user,
        bound: { pod: of, uid },
        audiences,
        refuse: (why) => {
          throw new Error(why);
        },
      });
  doesNotThrow(request([]));
  doesNotThrow(request(['ca']));
  throws(request(['other']), /audience "other" not found in pod spec volume, system:node:node-1 is not authorized/);
  throws(request([], mirror()), /audience "" not found in pod spec volume/);
  throws(request(['ca', '']), /may only request 0 or 1 audiences/);
  throws(request([], mirror({ nodeName: 'node-2' })), /bound to a pod scheduled on a different node/);
  throws(request([], pod, ''), /pod binding without a uid/);
});
