import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import type { Volume } from '../../api/index.ts';
import { planVolumeFiles, type VolumeFilesInput } from './volume-files.ts';

const plan = (volume: Omit<Volume, 'name'>, more: Partial<VolumeFilesInput> = {}): unknown => {
  const result = planVolumeFiles({
    volume: { name: 'v', ...volume },
    capacity: { cpu: 2, memory: 1024 },
    facts: {
      pod: { metadata: { name: 'p', labels: { b: '2', a: '1' } }, spec: { containers: [] } },
      podIp: '',
      hostIp: '',
      nodeName: '',
    },
    configMap: (name) =>
      name === 'c' ? { metadata: {}, data: { k: 'text' }, binaryData: { bin: 'AAE=' } } : undefined,
    secret: (name) => (name === 's' ? { metadata: {}, data: { k: 'c2VzYW1l' } } : undefined),
    token: ({ audience, expirationSeconds }) => `${audience} ${expirationSeconds}`,
    ...more,
  });
  if (result.kind === 'missing') return result.message;
  return result.files.map(({ path, content, mode }) => `${path} ${mode.toString(8)} ${content.toString('latin1')}`);
};

test('a ConfigMap gives its text and binary keys', () => {
  deepEqual(plan({ configMap: { name: 'c' } }), ['k 644 text', 'bin 644 \0\u0001']);
});

test('items choose, rename and set modes', () => {
  deepEqual(plan({ secret: { secretName: 's', defaultMode: 0o400, items: [{ key: 'k', path: 'a/b' }] } }), [
    'a/b 400 sesame',
  ]);
  deepEqual(plan({ configMap: { name: 'c', items: [{ key: 'k', path: 'x', mode: 0o600 }] } }), ['x 600 text']);
});

test('what is missing is named, unless it is optional', () => {
  equal(plan({ configMap: { name: 'none' } }), 'configmap "none" not found');
  deepEqual(plan({ configMap: { name: 'none', optional: true } }), []);
  equal(plan({ secret: { secretName: 's', items: [{ key: 'zz', path: 'p' }] } }), 'secret "s" has no key "zz"');
  equal(
    plan({ projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }, { token: () => undefined }),
    'service account token is not issued yet',
  );
});

test('a projected volume joins its sources', () => {
  const sources = [
    { serviceAccountToken: { path: 't', audience: 'istio-ca', expirationSeconds: 600 } },
    { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
    { secret: { name: 's' } },
  ];
  deepEqual(plan({ projected: { sources, defaultMode: 0o440 } }), [
    't 440 istio-ca 600',
    'labels 440 a="1"\nb="2"\n',
    'k 440 sesame',
  ]);
});

test('no file leaves its volume', () => {
  for (const path of ['../x', '/etc/x', 'a/../../x', '']) {
    equal(typeof plan({ configMap: { name: 'c', items: [{ key: 'k', path }] } }), 'string', path);
  }
});
