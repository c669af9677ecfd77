import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteQueue } from './byte-queue.ts';

let next = 0;
/** So many bytes that differ from those before. */
function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, () => (next = (next * 31 + 7) & 0xff));
}

const steps = fc.array(
  fc.oneof(
    fc.record({ append: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 30_000, max: 200_000 })) }),
    fc.record({ take: fc.double({ min: 0, max: 1, noNaN: true }) }),
  ),
  { maxLength: 30 },
);

for (const reuses of [false, true]) {
  test(`what goes in comes out, in order${reuses ? ', from memory that is used again' : ''}`, () => {
    fc.assert(
      fc.property(steps, (script) => {
        const queues = [new ByteQueue(reuses), new ByteQueue(reuses)];
        const expected: Buffer[] = [Buffer.alloc(0), Buffer.alloc(0)];
        for (const [i, step] of script.entries()) {
          // Two of them share a pool.
          const queue = queues[i % 2] as ByteQueue;
          const held = expected[i % 2] as Buffer;
          if ('append' in step) {
            const bytes = bytesOf(step.append);
            queue.append(bytes);
            expected[i % 2] = Buffer.concat([held, bytes]);
          } else {
            const piece = queue.peek();
            const take = Math.floor(piece.length * step.take);
            assert.ok(held.subarray(0, piece.length).equals(piece));
            queue.consume(take);
            expected[i % 2] = held.subarray(take);
          }
          assert.equal(queue.length, (expected[i % 2] as Buffer).length);
        }
        for (const [i, queue] of queues.entries()) {
          let rest = expected[i] as Buffer;
          while (queue.length > 0) {
            const piece = queue.peek();
            assert.ok(piece.length > 0 && rest.subarray(0, piece.length).equals(piece));
            rest = rest.subarray(piece.length);
            queue.consume(piece.length);
          }
          assert.equal(rest.length, 0);
        }
      }),
      { numRuns: 60 },
    );
  });
}

test('a queue that is dropped gives its memory back once', () => {
  const queue = new ByteQueue(true);
  queue.append(bytesOf(200_000));
  queue.clear();
  queue.clear();
  assert.equal(queue.length, 0);
  const [a, b] = [new ByteQueue(true), new ByteQueue(true)];
  const [ours, theirs] = [bytesOf(150_000), bytesOf(150_000)];
  a.append(ours);
  b.append(theirs);
  for (const [queue, bytes] of [[a, ours] as const, [b, theirs] as const]) {
    let at = 0;
    while (queue.length > 0) {
      const piece = queue.peek();
      assert.ok(Buffer.from(bytes.subarray(at, at + piece.length)).equals(piece));
      at += piece.length;
      queue.consume(piece.length);
    }
  }
});
