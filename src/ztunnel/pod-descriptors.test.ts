import { equal, notEqual, throws } from 'node:assert/strict';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { closeTarget, duplicateListeners, duplicateTarget } from './pod-descriptors.ts';

const pod = { uid: 'p', name: 'p', namespace: 'shop', serviceAccount: 'default' };
const openCount = (): number => readdirSync('/proc/self/fd').length;

test('a pod that cannot be duplicated as a whole leaves no descriptor open', () => {
  const fd = openSync('/dev/null', 'r');
  const listeners = { hbone: fd, plaintext: fd, outbound: fd };
  const before = openCount();
  const copy = duplicateTarget({ pod, netns: fd, listeners });
  equal(openCount(), before + 4);
  notEqual(copy.netns, fd);
  closeTarget(copy);
  equal(openCount(), before);
  // Nobody has a descriptor of that number.
  throws(() => duplicateListeners({ ...listeners, last: 999_999 }), { code: 'net.ebadf' });
  throws(() => duplicateTarget({ pod, netns: 999_999, listeners }), { code: 'net.ebadf' });
  equal(openCount(), before);
  closeSync(fd);
});
