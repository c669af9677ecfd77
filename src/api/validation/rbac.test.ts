import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds } from '../kinds.ts';
import type { KindRef } from '../meta.ts';
import { kindInfo } from '../registry.ts';

function problemsOf(kind: KindRef, fields: object, old?: object): string[] {
  const metadata = { name: 'x', ...(kind.namespaced && { namespace: 'ns' }) };
  const object = { metadata, ...fields };
  const info = kindInfo(kind);
  const errors = info?.validate(info.defaults(object), old && { old: { metadata, ...old } }) ?? [];
  return errors.map(({ path, message }) => `${path}: ${message}`);
}

const pods = { apiGroups: [''], resources: ['pods'], verbs: ['get'] };

test('rules need verbs, groups and resources, and URLs stand alone', () => {
  assert.deepEqual(
    problemsOf(kinds.ClusterRole, { rules: [pods, { nonResourceURLs: ['/healthz'], verbs: ['get'] }] }),
    [],
  );
  assert.match(problemsOf(kinds.Role, { rules: [{ ...pods, verbs: [] }] }).join(), /rules\[0\]\.verbs: Required value/);
  assert.match(problemsOf(kinds.Role, { rules: [{ ...pods, apiGroups: [] }] }).join(), /at least one api group/);
  assert.match(problemsOf(kinds.Role, { rules: [{ ...pods, resources: [] }] }).join(), /at least one resource/);
  assert.match(
    problemsOf(kinds.Role, { rules: [{ nonResourceURLs: ['/healthz'], verbs: ['get'] }] }).join(),
    /namespaced rules cannot apply to non-resource URLs/,
  );
  assert.match(
    problemsOf(kinds.ClusterRole, { rules: [{ ...pods, nonResourceURLs: ['/healthz'] }] }).join(),
    /both regular resources and non-resource URLs/,
  );
  assert.match(problemsOf(kinds.ClusterRole, { aggregationRule: {} }).join(), /at least one clusterRoleSelector/);
});

test('a binding names a role that fits its scope and never another one', () => {
  const roleRef = { kind: 'ClusterRole', name: 'view' };
  const subjects = [{ kind: 'ServiceAccount', name: 'a', namespace: 'ns' }];
  assert.deepEqual(problemsOf(kinds.RoleBinding, { roleRef, subjects }), []);
  assert.match(
    problemsOf(kinds.ClusterRoleBinding, { roleRef: { kind: 'Role', name: 'x' } }).join(),
    /roleRef\.kind: Unsupported value: "Role": supported values: "ClusterRole"/,
  );
  const other = { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' } };
  assert.match(problemsOf(kinds.RoleBinding, { roleRef }, other).join(), /roleRef: .*field is immutable/);
});

test('subjects are users, groups, and service accounts with their namespace', () => {
  const roleRef = { kind: 'ClusterRole', name: 'view' };
  const withSubject = (subject: object): string =>
    problemsOf(kinds.ClusterRoleBinding, { roleRef, subjects: [subject] }).join();
  assert.equal(withSubject({ kind: 'User', name: 'jane' }), '');
  assert.match(withSubject({ kind: 'ServiceAccount', name: 'a' }), /subjects\[0\]\.namespace: Required value/);
  assert.match(withSubject({ kind: 'Robot', name: 'a' }), /subjects\[0\]\.kind: Unsupported value/);
  assert.match(withSubject({ kind: 'User', name: '' }), /subjects\[0\]\.name: Required value/);
});

test('names of roles may be what fits into one segment of a path', () => {
  const named = (name: string): string =>
    (kindInfo(kinds.ClusterRole)?.validate({ metadata: { name } }) ?? []).map(({ message }) => message).join();
  assert.equal(named('system:controller:x'), '');
  assert.match(named('a/b'), /may not contain '\/'/);
});
