import { deepEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { kinds } from './kinds.ts';
import type { KindRef } from './meta.ts';
import { kindInfo } from './registry.ts';
import type { JsonObject } from '../lib/json.ts';
import { applyStrategicMergePatch } from './strategic-merge.ts';

const patchAs =
  (kind: KindRef) =>
  (target: JsonObject, patch: JsonObject): JsonObject =>
    applyStrategicMergePatch(target, patch, kindInfo(kind)?.schema);
const patchPod = patchAs(kinds.Pod);
const patchService = patchAs(kinds.Service);
const patchDeployment = patchAs(kinds.Deployment);

const podWith = (...names: string[]): JsonObject => ({
  spec: { containers: names.map((name) => ({ name, image: 'old' })) },
});

test('containers merge by name and new ones are added at the end', () => {
  const patch = { spec: { containers: [{ name: 'b', image: 'new' }, { name: 'c' }] } };
  deepEqual(patchPod(podWith('a', 'b'), patch), {
    spec: { containers: [{ name: 'a', image: 'old' }, { name: 'b', image: 'new' }, { name: 'c' }] },
  });
});

test('$patch: delete removes an item by its key', () => {
  deepEqual(patchPod(podWith('a', 'b'), { spec: { containers: [{ name: 'a', $patch: 'delete' }] } }), podWith('b'));
});

test('$patch: replace in a list takes the rest of the patch as the whole list', () => {
  deepEqual(patchPod(podWith('a', 'b'), { spec: { containers: [{ $patch: 'replace' }, { name: 'c' }] } }), {
    spec: { containers: [{ name: 'c' }] },
  });
});

test('$patch: replace and delete work on maps', () => {
  const target = { metadata: { labels: { a: '1', b: '2' } } };
  deepEqual(patchPod(target, { metadata: { labels: { $patch: 'replace', c: '3' } } }), {
    metadata: { labels: { c: '3' } },
  });
  deepEqual(patchPod(target, { metadata: { labels: { $patch: 'delete' } } }), { metadata: { labels: {} } });
  deepEqual(patchPod(target, { metadata: { labels: { a: null } } }), { metadata: { labels: { b: '2' } } });
});

test('$setElementOrder orders the merged list and keeps what only the server knows in its place', () => {
  const spec = {
    '$setElementOrder/containers': [{ name: 'c' }, { name: 'new' }, { name: 'a' }],
    containers: [{ name: 'new' }],
  };
  const result = patchPod(podWith('a', 'side', 'c'), { spec });
  deepEqual(
    (result['spec'] as { containers: { name: string }[] }).containers.map(({ name }) => name),
    ['side', 'c', 'new', 'a'],
  );
});

test('$setElementOrder alone moves items', () => {
  const spec = { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] };
  deepEqual(patchPod(podWith('a', 'b'), { spec }), podWith('b', 'a'));
});

test('lists of scalars that merge are united, and shortened by $deleteFromPrimitiveList', () => {
  const target = { metadata: { finalizers: ['a', 'b'] } };
  deepEqual(patchPod(target, { metadata: { finalizers: ['b', 'c'] } }), { metadata: { finalizers: ['a', 'b', 'c'] } });
  deepEqual(patchPod(target, { metadata: { '$deleteFromPrimitiveList/finalizers': ['a'] } }), {
    metadata: { finalizers: ['b'] },
  });
});

test('lists without a merge key are replaced', () => {
  const target = { spec: { containers: [{ name: 'a', args: ['x', 'y'] }] } };
  deepEqual(patchPod(target, { spec: { containers: [{ name: 'a', args: ['z'] }] } }), {
    spec: { containers: [{ name: 'a', args: ['z'] }] },
  });
});

test('service ports merge by port', () => {
  const target = { spec: { ports: [{ port: 80, targetPort: 8080 }] } };
  deepEqual(patchService(target, { spec: { ports: [{ port: 80, name: 'http' }, { port: 443 }] } }), {
    spec: { ports: [{ port: 80, targetPort: 8080, name: 'http' }, { port: 443 }] },
  });
});

test('$retainKeys drops the members of a union that are not named', () => {
  const target = { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } };
  deepEqual(patchDeployment(target, { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } }), {
    spec: { strategy: { type: 'Recreate' } },
  });
});

test('a new item is stored without its directives', () => {
  const patch = {
    spec: {
      containers: [{ name: 'a', '$setElementOrder/ports': [{ containerPort: 80 }], ports: [{ containerPort: 80 }] }],
    },
  };
  deepEqual(patchPod({ spec: {} }, patch), { spec: { containers: [{ name: 'a', ports: [{ containerPort: 80 }] }] } });
});

test('an item without its key and an unknown directive are refused', () => {
  throws(
    () => patchPod(podWith('a'), { spec: { containers: [{ image: 'x' }] } }),
    /does not contain declared merge key: name/,
  );
  throws(() => patchPod(podWith('a'), { spec: { $patch: 'explode' } }), /unknown patch type/);
});

test('neither target nor patch is changed', () => {
  const target = podWith('a');
  const patch = { spec: { containers: [{ name: 'a', image: 'new' }] } };
  patchPod(target, patch);
  deepEqual(target, podWith('a'));
  deepEqual(patch, { spec: { containers: [{ name: 'a', image: 'new' }] } });
});
