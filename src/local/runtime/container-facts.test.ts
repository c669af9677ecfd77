import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { containerFacts } from './container-facts.ts';

test('a container tells its resources, its mounts and, while it runs, its user', () => {
  const requests = { cpu: '100m', memory: '64Mi' };
  const container = {
    name: 'c',
    resources: { limits: { memory: '64Mi' }, requests },
    volumeMounts: [
      { name: 'a', mountPath: '/a', subPath: 'x' },
      { name: 'b', mountPath: '/b', readOnly: true },
    ],
  };
  deepEqual(containerFacts(container, { user: 1000, group: 0 }), {
    resources: { limits: { memory: '64Mi' }, requests },
    allocatedResources: requests,
    volumeMounts: [
      { name: 'a', mountPath: '/a' },
      { name: 'b', mountPath: '/b', readOnly: true, recursiveReadOnly: 'Disabled' },
    ],
    user: { linux: { uid: 1000, gid: 0, supplementalGroups: [0] } },
  });
  deepEqual(containerFacts({ name: 'c' }, undefined), { resources: {} });
});
