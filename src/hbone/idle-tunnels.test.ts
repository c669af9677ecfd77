import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { IdleBound, type IdleConnection, type IdleHolder } from './idle-tunnels.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Holds connections that are as old as their place says, and forgets those that were closed. */
function holder(count: number): IdleHolder & { readonly left: number[] } {
  const left = Array.from({ length: count }, (_, i) => i);
  return {
    left,
    get size() {
      return left.length;
    },
    idle: () =>
      left.map((idleSinceMs): IdleConnection => ({
        idleSinceMs,
        close: () => left.splice(left.indexOf(idleSinceMs), 1),
      })),
  };
}

test('beyond the bound those who hold most let go of what was idle for longest', async () => {
  const bound = new IdleBound(16);
  const [few, many, most] = [holder(3), holder(8), holder(12)];
  for (const each of [few, many, most]) bound.join(each);
  for (let noted = 0; noted < 2; noted++) bound.note();
  await turn();
  deepEqual([few.left.length, many.left.length, most.left.length], [3, 8, 12], 'a look is worth its while only now');
  bound.note();
  await turn();
  deepEqual([few.left, many.left, most.left], [[0, 1, 2], [1, 2, 3, 4, 5, 6, 7].slice(0), [6, 7, 8, 9, 10, 11]]);
  bound.leave(most);
  for (let noted = 0; noted < 3; noted++) bound.note();
  await turn();
  deepEqual([few.left.length, many.left.length, most.left.length], [3, 7, 6], 'who left holds nothing of it');
});
