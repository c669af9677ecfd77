import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeClock } from '../../lib/fake-clock.ts';
import { HeldSockets } from './held-sockets.ts';

function world(maxSockets = 100) {
  const closed: number[] = [];
  const clock = createFakeClock();
  const abandoned: string[] = [];
  const sockets = new HeldSockets<string>({
    clock,
    abandonedMs: 10_000,
    maxSockets,
    close: (fd) => void closed.push(fd),
    onAbandoned: ({ pod }) => void abandoned.push(pod),
  });
  return { clock, closed, abandoned, sockets };
}

const name = { pod: 'p', netns: '4:1', listener: 'hbone' };

test('a socket is held once however often it comes, and found with whoever accepts from it', () => {
  const { sockets, closed } = world();
  sockets.hold('old', name, 's1', 10);
  sockets.hold('old', name, 's1', 11);
  assert.deepEqual(closed, [11]);
  assert.equal(sockets.size, 1);
  assert.deepEqual(sockets.find('old', name), { fd: 10, accepted: false });
  assert.deepEqual(sockets.find('new', name), { fd: 10, accepted: true });
  assert.equal(sockets.find('new', { ...name, listener: 'outbound' }), undefined);
  assert.equal(sockets.find('new', { ...name, netns: '4:2' }), undefined);
});

test('a socket that nobody accepts from is closed after a while', () => {
  const { sockets, closed, clock, abandoned } = world();
  sockets.hold('old', name, 's1', 10);
  sockets.leave('old');
  clock.advance(9_999);
  assert.deepEqual(closed, []);
  assert.deepEqual(sockets.find('new', name), { fd: 10, accepted: false });
  clock.advance(1);
  assert.deepEqual(closed, [10]);
  assert.deepEqual(abandoned, ['p']);
  assert.equal(sockets.size, 0);
});

test('a successor that accepts from it keeps it', () => {
  const { sockets, closed, clock } = world();
  sockets.hold('old', name, 's1', 10);
  sockets.leave('old');
  sockets.hold('new', name, 's1', 11);
  clock.advance(60_000);
  assert.deepEqual(closed, [11]);
  assert.equal(sockets.size, 1);
});

test('of two sockets of one name, that which nobody accepts from is closed at once', () => {
  const { sockets, closed } = world();
  sockets.hold('old', name, 's1', 10);
  sockets.hold('new', name, 's2', 20);
  assert.deepEqual(closed, []);
  sockets.leave('old');
  assert.deepEqual(closed, [10]);
  sockets.leave('new');
  assert.deepEqual(closed, [10]);
  sockets.hold('newest', name, 's3', 30);
  assert.deepEqual(closed, [10, 20]);
});

test('a pod in another namespace leaves nothing of the earlier one behind that nobody serves', () => {
  const { sockets, closed } = world();
  sockets.hold('old', name, 's1', 10);
  sockets.leave('old');
  sockets.hold('new', { ...name, netns: '4:2', listener: 'outbound' }, 's2', 20);
  assert.deepEqual(closed, [10]);
});

test('a pod that left, and all of them, are closed', () => {
  const { sockets, closed, clock } = world();
  sockets.hold('old', name, 's1', 10);
  sockets.hold('old', { ...name, listener: 'outbound' }, 's2', 11);
  sockets.hold('old', { ...name, pod: 'q' }, 's3', 12);
  sockets.leave('old');
  sockets.drop('p');
  sockets.drop('p');
  assert.deepEqual(closed, [10, 11]);
  sockets.clear();
  assert.deepEqual(closed, [10, 11, 12]);
  clock.advance(60_000);
  assert.equal(closed.length, 3);
  assert.equal(clock.pending, 0);
});

test('what does not fit is closed', () => {
  const { sockets, closed } = world(1);
  assert.equal(sockets.hold('old', name, 's1', 10), true);
  assert.equal(sockets.hold('old', { ...name, pod: 'q' }, 's2', 11), false);
  assert.deepEqual(closed, [11]);
});
