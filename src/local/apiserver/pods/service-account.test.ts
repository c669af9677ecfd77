import { deepEqual, equal, throws } from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceAccount } from '../../../api/index.ts';
import type { JsonObject } from '../merge-patch.ts';
import type { ApiObject } from '../object-fields.ts';
import { admitServiceAccount } from './service-account.ts';

const folder = '/var/run/secrets/kubernetes.io/serviceaccount';
const own = { name: 'own', mountPath: folder };
const token = { name: 'kube-api-access-x', readOnly: true, mountPath: folder };

function podOf(spec: JsonObject, metadata: ApiObject['metadata'] = {}): ApiObject {
  return {
    metadata: { name: 'p', namespace: 'shop', ...metadata },
    spec: { containers: [{ name: 'a', image: 'i' }], ...spec },
  };
}

function admitted(
  pod: ApiObject,
  accounts: readonly ServiceAccount[] = [{ metadata: { name: 'default' } }],
): JsonObject {
  admitServiceAccount({
    pod,
    findAccount: (name) => accounts.find(({ metadata }) => metadata.name === name),
    generateName: (prefix) => `${prefix}x`,
    refuse: (why) => {
      throw new Error(why);
    },
  });
  return pod.spec ?? {};
}

function mountsOf(spec: JsonObject, list = 'containers'): unknown[] {
  return (spec[list] as JsonObject[]).map((container) => container['volumeMounts']);
}

test('a pod gets the account default, its token, the root certificate and its namespace', () => {
  const spec = admitted(podOf({ initContainers: [{ name: 'i', image: 'i' }] }));
  equal(spec['serviceAccountName'], 'default');
  equal(spec['serviceAccount'], 'default');
  deepEqual(mountsOf(spec), [[token]]);
  deepEqual(mountsOf(spec, 'initContainers'), [[token]]);
  deepEqual(spec['volumes'], [
    {
      name: 'kube-api-access-x',
      projected: {
        sources: [
          { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
          { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
          {
            downwardAPI: {
              items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
            },
          },
        ],
        defaultMode: 420,
      },
    },
  ]);
});

test('a pod whose account is not there is refused', () => {
  const why = (name: string): RegExp =>
    new RegExp(`^Error: error looking up service account shop/${name}: serviceaccount "${name}" not found$`);
  throws(() => admitted(podOf({}), []), why('default'));
  throws(() => admitted(podOf({ serviceAccountName: 'gone' })), why('gone'));
  throws(() => admitted(podOf({ serviceAccount: 'gone' })), why('gone'));
});

test('a container that mounts something there keeps it', () => {
  const containers = [
    { name: 'a', image: 'i', volumeMounts: [own] },
    { name: 'b', image: 'i' },
  ];
  const spec = admitted(podOf({ containers, volumes: [{ name: 'own', emptyDir: {} }] }));
  deepEqual(mountsOf(spec), [[own], [token]]);
  equal((spec['volumes'] as unknown[]).length, 2);
  const alone = admitted(podOf({ containers: containers.slice(0, 1), volumes: [{ name: 'own', emptyDir: {} }] }));
  deepEqual(alone['volumes'], [{ name: 'own', emptyDir: {} }]);
});

test('a volume of that name is taken for the token', () => {
  const volumes = [{ name: 'kube-api-access-mine', emptyDir: {} }];
  const spec = admitted(podOf({ volumes }));
  deepEqual(mountsOf(spec), [[{ ...token, name: 'kube-api-access-mine' }]]);
  deepEqual(spec['volumes'], volumes);
});

test('pod, then account say whether there is a token; pull secrets of the account are for pods without', () => {
  const account = {
    metadata: { name: 'off' },
    automountServiceAccountToken: false,
    imagePullSecrets: [{ name: 'pull' }],
  };
  const spec = admitted(podOf({ serviceAccountName: 'off' }), [account]);
  deepEqual(mountsOf(spec), [undefined]);
  deepEqual(spec['imagePullSecrets'], [{ name: 'pull' }]);
  const imagePullSecrets = [{ name: 'own' }];
  const on = admitted(podOf({ serviceAccountName: 'off', automountServiceAccountToken: true, imagePullSecrets }), [
    account,
  ]);
  deepEqual(mountsOf(on), [[token]]);
  deepEqual(on['imagePullSecrets'], imagePullSecrets);
  deepEqual(mountsOf(admitted(podOf({ automountServiceAccountToken: false }))), [undefined]);
});

test('a mirror pod has no account, and is left alone', () => {
  const annotations = { 'kubernetes.io/config.mirror': 'hash' };
  const spec = admitted(podOf({}, { annotations }), []);
  deepEqual(spec, { containers: [{ name: 'a', image: 'i' }] });
  const volume = (source: JsonObject): JsonObject => ({ volumes: [{ name: 'v', ...source }] });
  const refusals: readonly (readonly [JsonObject, RegExp])[] = [
    [{ serviceAccountName: 'x' }, /may not reference service accounts/],
    [volume({ secret: { secretName: 's' } }), /may not reference secrets/],
    [{ imagePullSecrets: [{ name: 's' }] }, /may not reference secrets/],
    [volume({ projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }), /ServiceAccountToken volume/],
  ];
  for (const [refused, why] of refusals) {
    throws(() => admitted(podOf(refused, { annotations }), []), why);
  }
});

test("the mesh's own mirror pods have their account, and nothing else", () => {
  const annotations = { 'kubernetes.io/config.mirror': 'hash' };
  const metadata = { annotations, namespace: 'istio-system' };
  const sources = [{ serviceAccountToken: { path: 't', audience: 'istio-ca' } }];
  const volumes = [
    { name: 't', projected: { sources } },
    { name: 'c', configMap: { name: 'istio-ca-root-cert' } },
  ];
  const spec = { serviceAccountName: 'ztunnel', volumes };
  admitted(podOf(spec, metadata), []);
  throws(() => admitted(podOf(spec, { annotations }), []), /service accounts/);
  throws(() => admitted(podOf({ ...spec, serviceAccountName: 'istiod' }, metadata), []), /service accounts/);
  const secret = { name: 's', secret: { secretName: 'cacerts' } };
  throws(() => admitted(podOf({ ...spec, volumes: [secret] }, metadata), []), /service accounts/);
  const other = { name: 's', configMap: { name: 'other' } };
  throws(() => admitted(podOf({ ...spec, volumes: [other] }, metadata), []), /service accounts/);
});
