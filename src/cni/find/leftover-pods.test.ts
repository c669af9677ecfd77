import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../api/index.ts';
import { AmbitError } from '../../lib/errors.ts';
import { silentLog } from '../../lib/log.ts';
import { findLeftoverPods } from './leftover-pods.ts';

const podOf = (name: string): Pod =>
  ({
    metadata: { name, namespace: 'shop', uid: name },
    spec: { containers: [] },
    status: { podIP: '10.0.0.1' },
  }) as unknown as Pod;

test('a pod that could not be looked into at first is looked into again', async () => {
  let failures = 2;
  const looked: string[] = [];
  const found = await findLeftoverPods({
    pods: ['left', 'absent'].map(podOf),
    finder: {
      find(uid) {
        looked.push(uid);
        if (uid === 'left') return '/proc/self/ns/uts';
        throw new AmbitError('Cannot find it', { code: 'net.netns-absent', blame: 'internal' });
      },
    },
    writer: {
      async read() {
        if (failures-- > 0) throw new Error('too many open files');
        return 'table inet istio-ambient { }';
      },
    },
    homeNetns: 'another',
    log: silentLog(),
  });
  deepEqual(
    found.map(({ metadata }) => metadata.name),
    ['left'],
  );
  deepEqual(looked.toSorted(), ['absent', 'left', 'left', 'left']);
});
