import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProxyExtension } from '../../api/ambit.ts';
import { kinds } from '../../api/kinds.ts';
import { openWorld } from '../fixtures.ts';
import { convertExtension } from './extension-convert.ts';

const module = 'export default () => ({});';

function extension(spec: Partial<ProxyExtension['spec']>): ProxyExtension {
  return {
    apiVersion: 'policy.ambit.dev/v1alpha1',
    kind: 'ProxyExtension',
    metadata: { name: 'mine', namespace: 'shop', generation: 2 },
    spec: { targetRefs: [{ group: '', kind: 'Service', name: 'web' }], source: { inline: module }, ...spec },
  };
}

test('a module is told with its limits, and with its hash', () => {
  const { policy, notes } = convertExtension(
    extension({ config: { a: 1 }, phase: 'Authorization', timeout: '250ms', failureMode: 'FailOpen' }),
    () => undefined,
  );
  assert.deepEqual(notes, []);
  assert.deepEqual(
    { ...policy, sha256: policy.sha256.length, origin: policy.origin.name },
    {
      kind: 'extension',
      name: 'shop/mine',
      origin: 'mine',
      source: module,
      sha256: 64,
      config: '{"a":1}',
      phase: 'authorization',
      priority: 0,
      failOpen: true,
      timeoutMs: 250,
      memoryMb: 64,
      maxBodyBytes: 0,
    },
  );
});

test('a module that is not there fails at every request, and the status says so', () => {
  const from = (data: Record<string, string> | undefined) =>
    convertExtension(extension({ source: { configMap: { name: 'modules' } } }), () => data);
  assert.equal(from({ 'extension.ts': module }).policy.source, module);
  assert.match(from(undefined).notes[0] ?? '', /no ConfigMap "modules": requests are refused/);
  assert.match(from({}).notes[0] ?? '', /has no key "extension.ts"/);
  assert.match(from({}).policy.source, /its module is not there/);
});

test('the status of an extension says where it is bound', () => {
  const world = openWorld();
  world.put(world.sources.namespaces, { metadata: { name: 'shop' } });
  world.put(world.sources.proxyExtensions, extension({}));
  const [verdict] = [...world.statuses.extensionAttachments.entries()].map(([, { verdict }]) => verdict);
  assert.equal(verdict?.reason, 'TargetNotFound');
  assert.equal(kinds.ProxyExtension.plural, 'proxyextensions');
});
