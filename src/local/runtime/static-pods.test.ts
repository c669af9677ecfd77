import { equal, notEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { mirrorAnnotation, parseStaticPod } from './static-pods.ts';

const manifest =
  'kind: Pod\nmetadata: {name: z, namespace: istio-system, labels: {app: z}}\nspec: {containers: [{name: m, image: i}]}\n';

test('a manifest becomes a pod of the node, marked with its hash', () => {
  const { pod, hash } = parseStaticPod(manifest, 'node-1');
  equal(pod.spec.nodeName, 'node-1');
  equal(pod.metadata.namespace, 'istio-system');
  equal(pod.metadata.annotations?.[mirrorAnnotation], hash);
  notEqual(parseStaticPod(manifest, 'node-2').hash, hash);
  notEqual(parseStaticPod(`${manifest}# changed\n`, 'node-1').hash, hash);
});

test('what is no Pod is refused', () => {
  for (const text of [
    '',
    'kind: Service\nmetadata: {name: x}',
    'kind: Pod\nmetadata: {}\nspec: {containers: []}',
    'kind: Pod\nmetadata: {name: x}',
    '{',
  ]) {
    throws(() => parseStaticPod(text, 'node-1'));
  }
});
