import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds, type KindInfo, type KubeObject, type ValidatingWebhook } from '../../../api/index.ts';
import { kindInfo } from '../../../api/serving.ts';
import { wantedVersion, type AdmittedWrite } from './webhook-match.ts';

function infoOf(kind: { group: string; kind: string }): KindInfo {
  const info = kindInfo(kind);
  if (!info) throw new Error(kind.kind);
  return info;
}

const deployment: KubeObject = { metadata: { name: 'web', namespace: 'shop', labels: { tier: 'front' } } };
const create: AdmittedWrite = {
  kind: infoOf(kinds.Deployment),
  subresource: '',
  operation: 'CREATE',
  namespace: 'shop',
  name: 'web',
  object: deployment,
};

function webhook(more: Partial<ValidatingWebhook> = {}, rule: object = {}): ValidatingWebhook {
  return {
    name: 'a.b.c',
    clientConfig: {},
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    rules: [{ operations: ['CREATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'], ...rule }],
    ...more,
  };
}

test('rules choose by operation, group, version, resource, subresource and scope', () => {
  const asks = (rule: object, write = create): boolean => wantedVersion(webhook({}, rule), write, {}) !== undefined;
  assert.equal(asks({}), true);
  assert.equal(asks({ operations: ['UPDATE'] }), false);
  assert.equal(asks({ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }), true);
  assert.equal(asks({ apiGroups: ['batch'] }), false);
  assert.equal(asks({ apiVersions: ['v2'] }), false);
  assert.equal(asks({ resources: ['deployments/status'] }), false);
  assert.equal(asks({ resources: ['deployments/status'] }, { ...create, subresource: 'status' }), true);
  assert.equal(asks({ resources: ['*'] }, { ...create, subresource: 'status' }), false);
  assert.equal(asks({ resources: ['*/*'] }, { ...create, subresource: 'status' }), true);
  assert.equal(asks({ scope: 'Cluster' }), false);
  assert.equal(asks({ scope: 'Namespaced' }), true);
});

test('selectors choose by the labels of the namespace, and of the object before or after', () => {
  const asks = (
    more: Partial<ValidatingWebhook>,
    labels: Record<string, string> | undefined,
    write = create,
  ): boolean => wantedVersion(webhook(more), write, labels) !== undefined;
  const namespaceSelector = { matchLabels: { mesh: 'yes' } };
  assert.equal(asks({ namespaceSelector }, { mesh: 'yes' }), true);
  assert.equal(asks({ namespaceSelector }, {}), false);
  assert.equal(asks({ namespaceSelector }, undefined), true, 'what is in no namespace cannot be left out by one');
  const objectSelector = { matchLabels: { tier: 'front' } };
  assert.equal(asks({ objectSelector }, {}), true);
  const bare: KubeObject = { metadata: { name: 'web', namespace: 'shop' } };
  assert.equal(asks({ objectSelector }, {}, { ...create, object: bare }), false);
  assert.equal(asks({ objectSelector }, {}, { ...create, object: bare, oldObject: deployment }), true);
});

test('the same object by another version is the same object, unless the webhook is exact', () => {
  const kind: KindInfo = { ...create.kind, version: 'v1beta1', versions: ['v1', 'v1beta1'] };
  assert.equal(wantedVersion(webhook(), { ...create, kind }, {}), 'v1');
  assert.equal(wantedVersion(webhook({ matchPolicy: 'Exact' }), { ...create, kind }, {}), undefined);
});
