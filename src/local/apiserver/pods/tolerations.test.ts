import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../merge-patch.ts';
import { tolerateLostNodes } from './tolerations.ts';

const lost = (key: string): JsonObject => ({
  key: `node.kubernetes.io/${key}`,
  operator: 'Exists',
  effect: 'NoExecute',
  tolerationSeconds: 300,
});

function tolerations(given?: JsonObject[]): unknown {
  const spec: JsonObject = given ? { tolerations: given } : {};
  tolerateLostNodes(spec);
  return spec['tolerations'];
}

test('a pod tolerates a lost node for five minutes', () => {
  deepEqual(tolerations(), [lost('not-ready'), lost('unreachable')]);
});

test('what the pod says of such nodes stays', () => {
  deepEqual(tolerations([{ operator: 'Exists' }]), [{ operator: 'Exists' }]);
  const forever = { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' };
  deepEqual(tolerations([forever]), [forever, lost('unreachable')]);
  const other = { ...forever, effect: 'NoSchedule' };
  deepEqual(tolerations([other]), [other, lost('not-ready'), lost('unreachable')]);
});
