import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import type { Container } from '../../api/index.ts';
import { expand, resolveEnvironment, type EnvironmentInput } from './environment.ts';

const input = (container: Partial<Container>, more: Partial<EnvironmentInput> = {}): EnvironmentInput => ({
  container: { name: 'main', ...container },
  facts: {
    pod: { metadata: { name: 'p', namespace: 'n', uid: 'u', annotations: { a: 'b' } }, spec: { containers: [] } },
    podIp: '10.244.1.2',
    hostIp: '172.30.1.1',
    nodeName: 'node-1',
  },
  configMap: () => undefined,
  secret: () => undefined,
  capacity: { cpu: 2, memory: 1000 },
  services: {},
  ...more,
});
const own = (result: ReturnType<typeof resolveEnvironment>): unknown => {
  if (result.kind === 'missing') return result.message;
  const { PATH: _, HOME: __, HOSTNAME: ___, ...rest } = result.environment;
  return rest;
};

test('references expand from what came before; doubled and unknown ones stay', () => {
  const values = { A: '1', B: '$(A)' };
  equal(expand('$(A) $$(A) $(NOPE) $ $$ $(A', values), '1 $(A) $(NOPE) $ $ $(A');
  equal(expand('$(B)', values), '$(A)');
});

test('later variables see earlier ones, and replace them', () => {
  const env = [
    { name: 'A', value: '1' },
    { name: 'B', value: '$(A)$(C)' },
    { name: 'C', value: '3' },
    { name: 'A', value: '2' },
  ];
  deepEqual(own(resolveEnvironment(input({ env }))), { A: '2', B: '1$(C)', C: '3' });
});

test('a missing reference is named, an optional one is left out', () => {
  const ref = (optional?: boolean): Partial<Container> => ({
    env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'k', ...(optional ? { optional } : {}) } } }],
  });
  equal(own(resolveEnvironment(input(ref()))), 'secret "s" not found');
  deepEqual(own(resolveEnvironment(input(ref(true)))), {});
  const found = input(ref(), { secret: () => ({ metadata: {}, data: { other: '' } }) });
  equal(own(resolveEnvironment(found)), "couldn't find key k in secret s");
  equal(own(resolveEnvironment(input({ envFrom: [{ configMapRef: { name: 'c' } }] }))), 'configmap "c" not found');
});

test('Secrets are decoded, prefixes are put before', () => {
  const result = resolveEnvironment(
    input(
      { envFrom: [{ prefix: 'P_', secretRef: { name: 's' } }] },
      { secret: () => ({ metadata: {}, data: { k: 'c2VzYW1l' } }) },
    ),
  );
  deepEqual(own(result), { P_k: 'sesame' });
});

test('fields and resources are values', () => {
  const env = [
    { name: 'A', valueFrom: { fieldRef: { fieldPath: "metadata.annotations['a']" } } },
    { name: 'N', valueFrom: { fieldRef: { fieldPath: "metadata.labels['none']" } } },
    { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
    { name: 'MEM', valueFrom: { resourceFieldRef: { resource: 'requests.memory' } } },
  ];
  const resources = { requests: { memory: '1Mi' } };
  deepEqual(own(resolveEnvironment(input({ env, resources }))), { A: 'b', N: '', CPU: '2', MEM: '1048576' });
});
